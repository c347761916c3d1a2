"""The figure of what was taken to devices: the front, marks of one cost, labels, and what may be set beside what."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from kdbench.commands.taken import TakenRow, comparable, marks
from kdbench.results import Place, RowRole
from kdbench.results.figures import deploy_figure, figure_bytes
from kdbench.results.figures.deploy import Mark
from kdbench.results.statistics.intervals import Interval
from kdbench.store.deployed import Deployed


def texts(figure: Any) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text)]


def mark(label: str, cost: float, value: float, bits: tuple[int, ...] = (8,), costs: Any = None) -> Mark:
    return Mark(label, "logit", cost, costs or (cost, cost), value, Interval(value - 2, value + 3), bits)


def test_what_was_taken_is_drawn_with_its_front_its_interval_and_how_many_bits_it_has() -> None:
    marks = [mark("small", 16_000, 70), mark("same", 16_001, 68), mark("large", 24_000, 80)]
    marks += [mark("mixed", 50_000, 75, (8, 32), (24_000, 77_000)), mark("whole", 78_000, 79, (32,))]
    figure = deploy_figure({"har": marks}, "size", 7.2, "it leaks")
    (axes,) = figure.axes
    assert axes.lines[0].get_xdata().tolist() == [16_000, 24_000]  # the front: nothing beats these with as few bytes
    assert {"small", "same", "large", "mixed", "whole", "har"} <= set(texts(figure))
    assert any("it leaks" in text for text in texts(figure))
    drawn = {float(line.get_ydata()[0]): line for line in axes.lines if len(line.get_xdata()) == 1}
    assert {value: line.get_fillstyle() for value, line in drawn.items() if value == 75} == {75: "left"}
    assert [value for value, line in drawn.items() if line.get_markerfacecolor() == "white"] == [79]
    assert drawn[70].get_xdata()[0] < drawn[68].get_xdata()[0]  # of one size as it is read, so side by side
    spans = [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines if len(line.get_xdata()) == 2]
    assert ([24_000, 77_000], [75, 75]) in spans
    assert {tuple(y) for _, y in spans} >= {(each.value - 2, each.value + 3) for each in marks}


def test_of_many_that_were_taken_labels_do_not_collide_and_all_is_on_the_page() -> None:
    from matplotlib.text import Text

    marks = [
        mark(f"method {n} (setting=0.{n}), fcn(width=0.25)", 16_000 + 3_000 * (n // 4), 70 + n / 50) for n in range(16)
    ]
    for width in (3.5, 7.2):
        figure = deploy_figure({"one": marks, "two": marks}, "latency", width)
        figure_bytes(figure, "svg")
        for axes in figure.axes:
            boxes = [Text.get_window_extent(text, figure._get_renderer()) for text in axes.texts]
            assert len(boxes) == 16
            assert all(box.x1 <= figure.bbox.x1 + 1 for box in boxes)
            pairs = combinations([box.shrunk(0.98, 0.9) for box in boxes], 2)
            assert not any(one.overlaps(other) for one, other in pairs)


def test_marks_of_one_cost_stay_nearer_to_it_than_to_the_next_and_on_the_axes() -> None:
    many = [mark(f"a{n}", 20_000 + n, 60 + n) for n in range(12)]
    few = [mark("b", 20_500, 50), mark("c", 90_000, 90)]
    (axes,) = deploy_figure({"har": [*many, *few]}, "size", 7.2).axes
    points = sorted(float(line.get_xdata()[0]) for line in axes.lines if len(line.get_xdata()) == 1)
    assert len(points) == 14
    assert points[11] < (20_000 * 20_500) ** 0.5 < points[12]
    low, high = axes.get_xlim()
    assert low < points[0] < points[-1] < high


@pytest.mark.parametrize("width", [3.5, 7.2])
@pytest.mark.parametrize("label", ["k", "a method with a long label, and commas, mlp(hidden=64, channels=wrist)"])
def test_a_label_of_any_length_is_on_the_page_and_keeps_its_network(label: str, width: float) -> None:
    from matplotlib.text import Text

    figure = deploy_figure({"har": [mark(label, 20_000, 60)]}, "size", width)
    figure_bytes(figure, "svg")
    (text,) = figure.axes[0].texts
    assert Text.get_window_extent(text, figure._get_renderer()).x1 <= figure.bbox.x1 + 1
    assert text.get_text()[0] == label[0]
    assert text.get_text()[-8:] == label[-8:]


def row(
    label: str, pair: str = "cnn:mlp", *, seeds: Any = (0, 1), of: int = 2, f1: float = 0.6, **form: Any
) -> TakenRow:
    role = RowRole.METHOD if label == "kd" else RowRole.STUDENT
    place = Place("har", pair, pair.split(":")[1], label, "logit", role, 0)
    people = {str(n): {"f1": f1} for n in range(form.pop("people", 6))}
    kept = Deployed("w", "ONNX, 8 bits", form.get("size", 20_000), 1.0, f1, f1, 0.1, "", (), people=people)
    digests = tuple(f"{pair} {label} {n}" for n in range(2))
    return TakenRow(place, digests, tuple(kept for _ in seeds), tuple((seed, 0) for seed in seeds))


def test_a_row_that_was_taken_at_other_seeds_is_set_beside_nobody_and_says_how_many_it_has() -> None:
    rows = [row("kd", "a:mlp"), row("student alone", "a:mlp"), row("kd", "a:cnn", seeds=(1,), f1=0.9)]
    assert comparable(rows) == rows[:2]
    drawn = marks(rows, "size")["har"]
    assert [(each.label, each.level) for each in drawn] == [
        ("kd, mlp", True), ("alone, mlp", True), ("kd, cnn (1 of 2 cells)", False),
    ]  # fmt: skip
    (axes,) = deploy_figure({"har": drawn}, "size", 7.2).axes
    assert 90 not in axes.lines[0].get_ydata()
    single = [row(name, seeds=(0,)) for name in ("kd", "student alone")]
    assert comparable(single) == single, "where all have one cell, these are compared"


def test_two_rows_of_one_label_are_told_apart_and_a_cell_of_several_pairs_stands_once() -> None:
    shared = row("student alone", "a:mlp")
    again = replace(shared, place=replace(shared.place, pair="b:mlp"))
    other = row("student alone", "c:mlp", f1=0.5)
    drawn = marks([row("kd", "a:mlp"), row("kd", "b:mlp"), shared, again, other, row("kd", "a:cnn")], "size")["har"]
    assert [each.label for each in drawn] == [
        "kd, mlp, taught by a", "kd, mlp, taught by b", "alone, mlp, of a:mlp", "alone, mlp, of c:mlp", "kd, cnn",
    ]  # fmt: skip


def test_no_interval_is_told_of_few_people_or_where_a_form_lacks_them() -> None:
    assert row("kd").interval is not None
    assert row("kd", people=5).interval is None
    whole, old = row("kd"), row("kd", people=0)
    assert replace(whole, taken=(whole.taken[0], old.taken[0])).interval is None

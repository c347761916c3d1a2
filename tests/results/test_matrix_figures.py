"""Figures of a matrix: what they show, that labels keep clear of each other, and a sentence where nothing can be."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kdbench.kinds import KINDS
from kdbench.results import Asked, Entry
from kdbench.results.figures import figure_bytes, figure_of, figures
from kdbench.results.figures._looks import look_of, spread
from kdbench.results.seen import Seen

STUDENT = "student alone"
COSTS = {"parameters": 1e4, "multiply_adds": 1e6, "latency_ms": 0.1}
CURVE = "epoch,loss_a,train_accuracy\n1,2.0,0.5\n2,1.0,0.75\n3,0.5,1.0\n"
ODD = ["$x_1$ + \\frac{1}{$", "_hidden #1 & 50% <b>\ntwo", "x" * 200 + " word" * 20]


@pytest.fixture
def see(asked: Asked) -> Callable[..., Seen]:
    def made(entries: list[Entry], **changes: Any) -> Seen:
        return Seen(entries, asked, "1", **{"metric": "accuracy", "curve": lambda digest: CURVE} | changes)

    return made


@pytest.fixture
def make(make_run: Any) -> Callable[..., list[Entry]]:
    """``make({"kd": 0.1}, "ab")``: rows with their gain, on nine people, three seeds, and so many datasets."""

    def made(gains: dict[str, float], datasets: Any = ("one",), **changes: Any) -> list[Entry]:
        rng = np.random.default_rng(0)
        found = []
        for dataset in datasets:
            people = rng.uniform(0.5, 0.8, 9)
            for row, gain in {"teacher": 0.1, STUDENT: 0.0, **gains}.items():
                for seed in range(3):
                    scores = np.clip(people + gain + rng.normal(0, 0.01, 9), 0, 1)
                    entry = make_run(row, seed, scores.tolist(), dataset=dataset, **changes)
                    work = {key: value * (10 if row == "teacher" else 1) for key, value in COSTS.items()}
                    entry.record.costs.update(work)
                    facts = {"stage_weight_student_1": 0.25, "stage_weight_student_2": 0.75}
                    entry.record.facts.update(facts if row not in ("teacher", STUDENT) else {})
                    entry.record.metrics["student"]["confusion"] = [[8, 2], [1, 9]]
                    found.append(entry)
        return found

    return made


def sizes(make: Any, times: list[float], network: str = "small", teacher: str = "big") -> list[Entry]:
    """Runs whose student has so many times the parameters, and gains as many hundredths."""
    found = []
    for each in times:
        entries = make({"kd": each / 100, "at": -each / 100}, pair=f"{teacher}:{network}(width={each:g})")
        for entry in entries:
            entry.record.costs["parameters"] *= each if entry.place.row != "teacher" else 1
        found += entries
    return found


def texts(figure: Any) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text)]


def test_every_figure_says_in_a_line_what_it_shows() -> None:
    wanted = {"gain", "heatmap", "pairs", "ranks", "pareto", "curves", "confusion", "weights", "people", "capacity"}
    assert set(figures()) >= wanted
    assert all(text.endswith(".") for text in figures().values())


@pytest.mark.parametrize("name", figures())
@pytest.mark.parametrize("width", ["one", "two"])
def test_a_figure_is_as_wide_as_it_should_be_and_the_same_bytes_each_time(
    name: str, width: str, see: Any, make: Any
) -> None:
    entries = make({"kd": 0.05, "at": -0.05}, [f"set {number}" for number in range(5)])
    seen = see(entries if name != "capacity" else [*entries, *sizes(make, [1, 2])])
    figure = figure_of(name, seen, width)
    assert figure.get_size_inches()[0] == {"one": 3.5, "two": 7.2}[width]
    svg = figure_bytes(figure, "svg")
    assert svg.startswith(b"<?xml")
    if width == "one":
        assert figure_bytes(figure_of(name, seen, width), "svg") == svg
        assert figure_bytes(figure, "pdf").startswith(b"%PDF")
        assert figure_bytes(figure, "png").startswith(b"\x89PNG")


def test_gains_are_sorted_and_show_people_seeds_and_the_interval(see: Any, make: Any) -> None:
    seen = see(make({"bad": -0.1, "good": 0.1}))
    (axes,) = figure_of("gain", seen).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["good", "bad"]
    difference = seen.families[0].difference("good", STUDENT)
    drawn = [np.round(line.get_xydata(), 6) for line in axes.lines]
    good = [points[np.abs(points[:, 1]) < 0.5, 0].tolist() for points in drawn]  # what stands in the first line
    assert np.round([100 * difference.interval.low, 100 * difference.interval.high], 6).tolist() in [
        [x for x in each if not np.isnan(x)] for each in good
    ]
    assert np.round([100 * difference.mean], 6).tolist() in good
    assert {9, 3} <= set(map(len, good))  # people, seeds


def test_a_panel_of_gains_has_as_many_artists_for_many_rows_as_for_few(see: Any, make: Any) -> None:
    few, many = (
        figure_of("gain", see(make({f"m{n}": 0.1 for n in range(count)}, "ab"))).axes[0].lines for count in (2, 12)
    )
    assert len(few) == len(many)


@pytest.mark.parametrize(("height", "dpi"), [(12, 300), (20, 150)])
def test_a_figure_longer_than_two_pages_has_fewer_dots(height: float, dpi: int) -> None:
    from matplotlib.figure import Figure

    png = figure_bytes(Figure(figsize=(1, height)), "png")
    assert int.from_bytes(png[16:20], "big") == dpi


def test_a_figure_that_was_saved_is_laid_out_again_when_it_is_drawn_otherwise(see: Any, make: Any) -> None:
    figure = figure_of("gain", see(make({"kd": 0.1})))
    before = figure.get_layout_engine(), figure.dpi
    png = figure_bytes(figure, "png")
    assert (figure.get_layout_engine(), figure.dpi) == before
    figure.savefig(drawn := BytesIO(), format="png", dpi=300)
    with Image.open(BytesIO(png)) as one, Image.open(drawn) as other:
        assert np.array_equal(np.asarray(one), np.asarray(other))


def test_what_is_missing_stands_in_place_of_a_gain(see: Any, make_entry: Any) -> None:
    rows = {STUDENT: [0.5, 0.6], "kd": [0.6, 0.62], "at": [0.4, None]}
    entries = [make_entry(row, seed, value) for row, values in rows.items() for seed, value in enumerate(values)]
    assert "1 of 2 seeds" in texts(figure_of("gain", see(entries)))
    assert "no student alone" in texts(figure_of("gain", see([make_entry("kd", 0, 0.5)])))


def test_a_kind_has_one_look_everywhere_and_no_two_known_kinds_share_one() -> None:
    looks = [look_of(kind) for kind in KINDS]
    assert all(one["marker"] != other["marker"] for one, other in combinations(looks, 2))
    assert all(one["color"] != other["color"] for one, other in combinations(looks, 2))
    assert look_of("somebody's") == look_of("somebody's")


def test_pairs_frame_what_is_shown_and_nothing_else(see: Any, make: Any) -> None:
    seen = see(make({"good": 0.2, "like student": 0.0}))
    (axes,) = figure_of("pairs", seen).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == "good"
    family = seen.judged.overall
    shown = sum(family.shown(a, b) > 0 for a in family.labels for b in family.labels)
    assert 0 < shown < 3
    assert len([patch for patch in axes.patches if not patch.get_fill()]) == shown


def test_ranks_are_drawn_from_five_groups_of_people_on_and_a_sentence_says_so(see: Any, make: Any) -> None:
    with pytest.raises(ValueError, match=r"^no diagram of ranks: 4 groups of people, 5 are wanted$"):
        figure_of("ranks", see(make({"kd": 0.1}, "abcd")))
    assert figure_of("ranks", see(make({"kd": 0.1}, "abcde")))


def test_the_front_of_costs_joins_what_nothing_beats(see: Any, make: Any) -> None:
    figure = figure_of("pareto", see(make({"good": 0.05, "bad": -0.1})))
    front = figure.axes[0].lines[0]
    assert front.get_xdata().tolist() == [1e4, 1e5]  # the better method, then the teacher
    assert {"good", "bad", "teacher alone", STUDENT} <= set(texts(figure))


def test_capacity_draws_what_each_method_gains_against_the_students_share_of_its_teacher(see: Any, make: Any) -> None:
    seen = see([*sizes(make, [2, 0.5, 1]), *sizes(make, [1], network="other")])
    kd, at = figure_of("capacity", seen).axes
    assert [axes.get_title().split("\n") for axes in (kd, at)] == [["kd", "one"], ["at", "one"]]
    (small,) = [line for line in kd.lines if len(line.get_xdata()) == 3]
    assert small.get_xdata().tolist() == [5, 10, 20], "in percent, from the smallest on"
    blocks = 1, 2, 0  # as they came: twice the size, half of it, the same
    assert np.allclose(small.get_ydata(), [100 * seen.families[b].difference("kd", STUDENT).mean for b in blocks])
    assert {"small", "other"} <= set(texts(kd.figure))
    with_another = see([*sizes(make, [1, 2]), *sizes(make, [1], teacher="huge")])
    assert "small, taught by huge" in texts(figure_of("capacity", with_another))


def test_capacity_cuts_an_interval_that_would_press_the_points_together(see: Any, make_run: Any) -> None:
    entries = []
    for width, gains in ((1, (0.1, 0.1)), (2, (0.0, 0.2))):  # seeds that agree, and seeds that do not
        for row, values in {"teacher": (0.3, 0.3), STUDENT: (0, 0), "kd": gains}.items():
            for seed, gain in enumerate(values):
                people = [0.3 + 0.01 * person + gain for person in range(9)]
                entry = make_run(row, seed, people, pair=f"big:small(width={width})")
                entry.record.costs["parameters"] = 100.0 if row == "teacher" else 10.0 * width
                entries.append(entry)
    seen = see(entries)
    assert seen.families[1].gain("kd").interval.high > 0.5
    (axes,) = figure_of("capacity", seen).axes
    assert axes.get_ylim()[1] < 25
    assert [line.get_marker() for line in axes.lines if line.get_marker() in "v^"] == ["v", "^"]


@pytest.mark.parametrize(("methods", "datasets", "panels"), [(8, 1, 8), (2, 3, 6)])
def test_capacity_uses_the_width_that_there_is(methods: int, datasets: int, panels: int, see: Any, make: Any) -> None:
    gains = {f"m{number}": 0.01 * number for number in range(methods)}
    entries = []
    for width in (1, 2):
        entries += make(gains, "abc"[:datasets], pair=f"big:small(width={width})")
        for entry in entries[-len(entries) // width :]:
            entry.record.costs["parameters"] *= width if entry.place.row != "teacher" else 1
    assert len([axes for axes in figure_of("capacity", see(entries)).axes if axes.get_visible()]) == panels


def test_capacity_of_an_unfinished_matrix_says_that_it_is_unfinished(see: Any, make: Any) -> None:
    entries = sizes(make, [1, 2])
    few = [each for each in entries if each.place.row != "kd" or "width=1" in each.place.pair or each.place.seed]
    few = [each for each in few if each.place.row != "at"]
    missing = [replace(each, status="missing", record=None) for each in entries if each not in few]
    with pytest.raises(ValueError, match=r"taught in two sizes; no method is complete in two yet$"):
        figure_of("capacity", see([*few, *missing]))


def test_a_gain_of_what_should_be_low_says_so(see: Any, make: Any) -> None:
    entries = sizes(make, [1, 2])
    for entry in entries:
        entry.record.metrics["student"]["calibration_error"] = 0.1
    for name in ("gain", "capacity"):
        assert any("below 0 is better" in text.replace("\n", " ") for text in
                   texts(figure_of(name, see(entries, metric="calibration_error"))))  # fmt: skip


def test_capacity_of_one_size_of_every_network_is_a_sentence(see: Any, make: Any) -> None:
    with pytest.raises(ValueError, match=r"^a figure of capacity wants a network that one teacher taught in two sizes"):
        figure_of("capacity", see([*sizes(make, [1]), *sizes(make, [2], network="other")]))


def test_people_are_drawn_as_those_who_gain_and_those_who_are_harmed(see: Any, make_run: Any) -> None:
    scores = {STUDENT: [0.5, 0.6, 0.7], "kd": [0.6, 0.5, 0.701]}
    entries = [make_run(row, seed, each) for row, each in scores.items() for seed in (0, 1)]
    (axes,) = figure_of("people", see(entries)).axes
    assert [line.get_linestyle() for line in axes.lines] == ["-", "--", ":"]


def test_places_of_labels_keep_their_order_and_their_distance() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        wanted = rng.normal(0, 1, 12).tolist()
        placed = spread(wanted, 0.3)
        order = np.argsort(wanted, kind="stable")
        assert (np.diff(np.array(placed)[order]) >= 0.3 - 1e-9).all()
    assert spread([0.0, 1.0, 2.0], 0.5) == [0.0, 1.0, 2.0]
    assert spread([], 1.0) == []


@pytest.mark.parametrize("name", ["gain", "heatmap", "pareto", "pairs"])
def test_long_and_many_labels_do_not_collide(name: str, see: Any, make: Any) -> None:
    gains = {f"method number {number} (setting=0.{number})": number / 1000 for number in range(14)}
    from matplotlib.text import Text

    figure = figure_of(name, see(make(gains)), "two")
    figure_bytes(figure, "svg")
    renderer = figure._get_renderer()
    labels = [label for axes in figure.axes for label in axes.get_yticklabels() if label.get_text()]
    labels = labels if name != "pareto" else [text for axes in figure.axes for text in axes.texts]
    boxes = [Text.get_window_extent(label, renderer) for label in labels]  # without the line to the point
    assert len(boxes) >= 13
    page = figure.bbox
    for box in boxes:
        assert box.x0 >= page.x0 - 1
        assert box.x1 <= page.x1 + 1
    assert not any(one.shrunk(0.98, 0.9).overlaps(other.shrunk(0.98, 0.9)) for one, other in combinations(boxes, 2))


@pytest.mark.parametrize("odd", ODD)
def test_labels_are_drawn_as_they_are_written(odd: str, see: Any, make: Any) -> None:
    seen = see(make({odd: 0.05}, [odd], pair=f"{odd}:{odd}2"))
    for name in ("gain", "heatmap", "people", "pareto", "confusion", "curves", "weights", "pairs"):
        figure = figure_of(name, seen)
        figure_bytes(figure, "svg")
        assert "".join(odd.split())[:12] in "".join("".join(texts(figure)).split()), name


@pytest.mark.parametrize("name", figures())
def test_a_figure_of_nothing_is_one_sentence(name: str, see: Any, make_entry: Any) -> None:
    worlds = {
        "nothing ran": [make_entry(row, 0, None) for row in (STUDENT, "kd")],
        "all failed": [make_entry(row, 0, None, status="failed", reason="boom") for row in (STUDENT, "kd")],
        "no methods": [make_entry(STUDENT, 0, 0.5)],
        "one seed, no people": [make_entry(row, 0, 0.5) for row in (STUDENT, "kd")],
    }
    for entries in worlds.values():
        try:
            figure_bytes(figure_of(name, see(entries, curve=lambda digest: "")), "svg")
        except ValueError as error:
            said = str(error)
        else:
            continue
        assert said
        assert "\n" not in said


def test_what_a_protocol_leaks_stands_under_every_figure(make: Any) -> None:
    seen = Seen(make({"kd": 0.1}), Asked("leaky", "har", warning="it leaks"), "1", "accuracy")
    for name in ("gain", "pareto"):
        assert any("it leaks" in text for text in texts(figure_of(name, seen)))

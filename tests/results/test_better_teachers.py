"""Whether a teacher is better than its student alone is said with an interval and a p-value, by counting by hand."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from kdbench.results import Asked, Entry
from kdbench.results.seen import Seen
from kdbench.results.sheet import Page, Sheet
from kdbench.results.views import view_page

TITLE = "Is the teacher shown to be better than student alone?"
GAINS = {"big:small": [0.05, 0.07, 0.06, 0.08, 0.04, 0.06, 0.05, 0.07], "poor:small": [0.05, -0.05] * 4}


@pytest.fixture
def entries(make_run: Any) -> list[Entry]:
    """Two teachers, two datasets of the same eight people, three seeds: one is better on everyone, one on half."""
    made = []
    for pair, gains in GAINS.items():
        for dataset in ("uci_har", "hapt"):
            for seed in range(3):
                alone = [0.6 + number / 50 + seed / 1000 for number in range(8)]
                taught = [own + gain + (-1) ** seed / 1000 for own, gain in zip(alone, gains, strict=True)]
                where = {"pair": pair, "dataset": dataset, "people": "uci_har"}
                made += [make_run("student alone", seed, alone, **where), make_run("teacher", seed, taught, **where)]
    return made


def sheets(page: Page) -> dict[str, Sheet]:
    return {part.title: part for part in page.parts if isinstance(part, Sheet)}


def flipped(values: list[float]) -> float:
    """The two-sided sign-flip test over people, all signs counted."""
    sums = [abs(float(np.dot(signs, values))) for signs in product((-1, 1), repeat=len(values))]
    return sum(each >= sums[0] - 1e-12 for each in sums) / len(sums)


def test_a_teacher_that_is_better_on_everyone_is_shown_to_be_and_one_that_is_not_is_not(
    entries: list[Entry], asked: Asked
) -> None:
    page = view_page("teachers", Seen(entries, asked, "1"))
    found = sheets(page)[TITLE]
    names = [column.name for column in found.columns]
    rows = {str(line[0].value): dict(zip(names, line, strict=True)) for line in found.rows}
    assert rows.keys() == GAINS.keys()
    good, poor = (rows[pair] for pair in GAINS)
    extra = float(np.mean([0.001, -0.001, 0.001]))
    assert good["difference"].value == pytest.approx(np.mean(GAINS["big:small"]) + extra)
    assert good["p_adjusted"].value == pytest.approx(2 * flipped(GAINS["big:small"]))  # Holm's, of two
    assert (good["so"].value, poor["so"].value) == ("teacher better", "not told apart")
    assert poor["p_adjusted"].value > 0.9
    assert [each["people"].value for each in (good, poor)] == [8, 8]
    low, high = (float(text) for text in good["interval"].body.split(" to "))
    assert low < 100 * good["difference"].value < high
    assert low > 0
    assert [good[name].value for name in ("datasets", "people")] == [2, 8]
    assert 0 < good["detectable"].value < poor["detectable"].value


def test_trainings_that_differ_much_leave_a_teacher_untold_on_whom_all_people_agree(
    make_run: Any, asked: Asked
) -> None:
    gains = [0.02, 0.3, 0.05]  # of three seeds, the same on everyone: a person's own test would say p = 2 / 2**12
    runs = [
        make_run(row, seed, [0.4 + number / 50 + gain * taught for number in range(12)])
        for seed, gain in enumerate(gains)
        for row, taught in (("student alone", 0), ("teacher", 1))
    ]
    line = sheets(view_page("teachers", Seen(runs, asked, "1")))[TITLE].rows[0]
    assert line[-1].body == "not told apart"
    assert line[-3].value > 0.05


def test_a_teacher_that_is_worse_on_everyone_is_called_so(make_run: Any, asked: Asked) -> None:
    worse = [
        make_run(row, seed, [0.6 + number / 50 - lost for number in range(8)])
        for seed in range(3)
        for row, lost in (("student alone", 0.0), ("teacher", 0.1 + seed / 1000))
    ]
    line = sheets(view_page("teachers", Seen(worse, asked, "1")))[TITLE].rows[0]
    assert line[-1].body == "teacher worse"


def test_why_nothing_can_be_said_is_said_for_each_pair(make_run: Any, asked: Asked) -> None:
    alone = [make_run(row, 0, [0.5] * 8) for row in ("student alone", "teacher")]
    page = view_page("teachers", Seen(alone, asked, "1"))
    assert TITLE not in sheets(page)
    assert (
        "Whether the teacher of big:small is better than student alone cannot be shown: one seed supports no statement "
        "on what another training would give."
    ) in page.parts
    assert not any(str(part).startswith("big:small is judged without") for part in page.parts)
    few = [make_run(row, seed, [0.5] * 3) for row in ("student alone", "teacher") for seed in range(3)]
    page = view_page("teachers", Seen(few, asked, "1"))
    assert any("with 3 people no p-value over people can go below 0.25" in str(part) for part in page.parts)


def test_runs_that_are_missing_are_named_and_the_rest_is_judged(
    entries: list[Entry], make_run: Any, asked: Asked
) -> None:
    where = {"pair": "big:small", "dataset": "motionsense"}
    some = [make_run("student alone", 0, [0.5] * 8, **where)]
    none = [make_run("student alone", seed, [0.5] * 8, pair="new:small") for seed in range(3)]
    page = view_page("teachers", Seen([*entries, *some, *none], asked, "1"))
    assert [str(line[0].value) for line in sheets(page)[TITLE].rows] == list(GAINS)
    assert "big:small is judged without motionsense, where runs are missing." in page.parts
    assert (
        "Whether the teacher of new:small is better than student alone cannot be shown: its runs are incomplete."
        in (page.parts)
    )


def test_people_who_are_too_few_for_so_many_lines_are_counted(make_run: Any, asked: Asked) -> None:
    runs = [
        make_run(row, seed, [0.5 + number / 50 + better * (0.1 + number / 1000) for number in range(6)], pair=pair)
        for pair in ("big:small", "wide:small")
        for seed in range(3)
        for row, better in (("student alone", 0), ("teacher", 1))
    ]
    page = view_page("teachers", Seen(runs, asked, "1"))
    assert {line[-1].body for line in sheets(page)[TITLE].rows} == {"not told apart"}
    assert "With 6 people and 2 lines no adjusted p can go below 0.062: big:small and wide:small." in page.parts

"""Recordings that something went wrong with: they end in a right dataset or in one clear line, never in a silent loss.

Each number is one study with one or two mutations, drawn from it. A few run always, all of them where ``-m slow`` asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from kdbench.data import Prepared, prepare
from kdbench.data._own.account import LOST
from kdbench.data.own import Own
from kdbench.errors import KdbenchError

RATE, ROWS, LENGTH = 50, 200, 50
CLASSES = ("walking", "sitting")
PEOPLE = ("1", "2", "3", "4")
HEADER = ["subject", "activity", "ms", "acc_x", "acc_y"]
ABOUT = """
name = "study"
rate = 50
classes = ["walking", "sitting"]
channels = [{ name = "acc_x", unit = "g" }, { name = "acc_y", unit = "g" }]
[split]
test = [4]
[recordings]
person = "subject"
label = "activity"
time = "ms"
time_unit = "ms"
length = 50
step = 25
"""

Rows = list[list[str]]


@dataclass
class Study:
    """Files as rows of cells, and how they are written."""

    files: dict[str, Rows]
    separator: str = ","
    encoding: str = "utf-8"
    ends: str = "\n"
    header: list[str] = field(default_factory=lambda: list(HEADER))
    decimal: str = "."

    def write(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "dataset.toml").write_text(ABOUT)
        for name, rows in self.files.items():
            cells = [row[:2] + [cell.replace(".", self.decimal) for cell in row[2:]] for row in rows]
            text = self.ends.join(self.separator.join(row) for row in [self.header, *cells]) + self.ends
            (folder / name).write_bytes(text.encode(self.encoding, "replace"))


def sound() -> Study:
    files = {}
    for person in PEOPLE:
        noise = np.random.default_rng(int(person)).normal(0, 1, (2 * ROWS, 2))
        files[f"p{person}.csv"] = [
            [person, CLASSES[row // ROWS], str(20 * row), *(f"{value:.6f}" for value in noise[row])]
            for row in range(2 * ROWS)
        ]
    return Study(files)


def some(rng: np.random.Generator, study: Study) -> list[str]:
    """One file or several."""
    names = sorted(study.files)
    return list(rng.choice(names, int(rng.integers(1, len(names) + 1)), replace=False))


def stretch(rng: np.random.Generator, rows: Rows) -> slice:
    first = int(rng.integers(0, len(rows) - 1))
    return slice(first, first + int(rng.integers(1, len(rows) - first)))


def dropped(rng: np.random.Generator, study: Study) -> None:
    share = float(rng.choice([0.005, 0.02, 0.1, 0.5]))
    for name in some(rng, study):
        rows = study.files[name]
        if rng.random() < 0.5:
            del rows[stretch(rng, rows)]
        else:
            study.files[name] = [row for row in rows if rng.random() > share]


def doubled(rng: np.random.Generator, study: Study) -> None:
    share = float(rng.choice([0.005, 0.05, 1.0]))
    for name in some(rng, study):
        rows, whole = study.files[name], rng.random() < 0.3
        if whole:
            study.files[str(rng.choice([name, name.replace(".", " (1).")]))] = rows + rows * (rng.random() < 0.5)
        else:
            study.files[name] = [again for row in rows for again in [row] * (1 + (rng.random() < share))]


def shuffled(rng: np.random.Generator, study: Study) -> None:
    for name in some(rng, study):
        rows = study.files[name]
        where = stretch(rng, rows) if rng.random() < 0.7 else slice(None)
        part = rows[where]
        rows[where] = [part[k] for k in rng.permutation(len(part))]


def shifted(rng: np.random.Generator, study: Study) -> None:
    kind = int(rng.integers(4))
    for name in some(rng, study):
        rows = study.files[name]
        where, by = stretch(rng, rows), int(rng.integers(-3000, 3000))
        if kind == 0:  # the clock is set while it records
            rows[where] = [[*row[:2], str(int(row[2]) + by), *row[3:]] for row in rows[where]]
        elif kind == 1:  # a stretch comes too late in the file
            part = rows[where]
            del rows[where]
            rows.extend(part)
        elif kind == 2:  # labels are some rows off
            labels = np.roll([row[1] for row in rows], by // 20).tolist()
            study.files[name] = [[row[0], label, *row[2:]] for row, label in zip(rows, labels, strict=True)]
        else:  # a cell is missing, so that the others move up
            rows[where.start] = rows[where.start][:2] + rows[where.start][3:]


def wrong_rate(rng: np.random.Generator, study: Study) -> None:
    factor = float(rng.choice([0.1, 0.5, 0.97, 1.02, 2, 1000]))
    for name in some(rng, study):
        rows = study.files[name]
        if rng.random() < 0.3:
            study.files[name] = rows[:: int(rng.integers(2, 4))]
        else:
            study.files[name] = [[*row[:2], f"{float(row[2]) * factor:g}", *row[3:]] for row in rows]


def renamed(rng: np.random.Generator, study: Study) -> None:
    forms = ("0{}", " {}", "{}.0", "S{}", "s{}", "S 0{}", "{}_", "", "1", "4", "nobody")
    form = str(rng.choice(forms))
    for name in some(rng, study):
        rows = study.files[name]
        where = stretch(rng, rows) if rng.random() < 0.5 else slice(None)
        rows[where] = [[form.format(row[0]), *row[1:]] for row in rows[where]]


def relabelled(rng: np.random.Generator, study: Study) -> None:
    label = str(rng.choice(["", "Walking", "walk", "sitting", " sitting ", "0", "nan"]))
    for name in some(rng, study):
        rows = study.files[name]
        for k in range(0, len(rows), int(rng.choice([1, 40, 97]))):
            rows[k] = [rows[k][0], label, *rows[k][2:]]


def odd_text(rng: np.random.Generator, study: Study) -> None:
    kind = int(rng.integers(5))
    if kind == 0:
        study.separator = str(rng.choice([";", "\t", "|", " ", ", "]))
    elif kind == 1:
        study.encoding = str(rng.choice(["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp037"]))
        study.header = ["subject", "activity", "ms", "acc_x", str(rng.choice(["acc_y", "acc_ÿ", "acc_y "]))]
    elif kind == 2:
        study.ends = str(rng.choice(["\r\n", "\r", "\n\n", "\x00\n", " \n", ",\n"]))
    elif kind == 3:
        study.decimal = ","
    else:
        study.header = [str(each) for each in rng.permutation(study.header)]


def odd_values(rng: np.random.Generator, study: Study) -> None:
    value = str(rng.choice(["", "nan", "inf", "-", "1e999", "1_0", "0x1p3", "1.5.2", "N/A"]))
    for name in some(rng, study):
        rows = study.files[name]
        for k in rng.choice(len(rows), int(rng.choice([1, 20])), replace=False).tolist():
            rows[k] = [*rows[k][:3], value, rows[k][4]]


MUTATIONS: tuple[Callable[[np.random.Generator, Study], None], ...] = (
    *(dropped, doubled, shuffled, shifted, wrong_rate, renamed, relabelled, odd_text, odd_values),
)


def plain(study: Study) -> bool:
    """Whether rows are still such that another mutation can work on them."""
    rows = [row for rows in study.files.values() for row in rows]
    whole = all(len(row) == len(HEADER) and row[2].lstrip("-").isdigit() for row in rows)
    return whole and all(len(rows) > 2 for rows in study.files.values())


def mutated(number: int) -> Study:
    rng, study = np.random.default_rng([15, number]), sound()
    MUTATIONS[number % len(MUTATIONS)](rng, study)
    if number >= 100 and plain(study):
        MUTATIONS[int(rng.integers(len(MUTATIONS)))](rng, study)
    return study


def right_or_told(study: Study, folder: Path) -> None:
    study.write(folder / "study")
    own, refused = Own(path=str(folder / "study")), ""
    try:
        prepared = prepare(own, data_dir=None, cache=folder / "cache", download=False)
    except KdbenchError as error:
        refused = str(error)
    if refused:
        assert refused.isprintable()
        assert len(refused) > len(str(folder)) + 20
        assert "Error" not in refused
    else:
        told(prepared, study)
        right(prepared, study)


def told(prepared: Prepared, study: Study) -> None:
    """Every row is accounted for, and what is lost above the stated share is a warning."""
    account, total = prepared.report["account"], sum(map(len, study.files.values()))
    assert prepared.report["rows"] == total
    for named in account.values():
        assert sum(rows for counts in named.values() for rows in counts.values()) == total
    labelled = sum(row[1].strip() != "" for rows in study.files.values() for row in rows)
    used = sum(counts.get("in windows", 0) for counts in account["class"].values())
    twice = sum(counts.get("there twice", 0) for counts in account["class"].values())
    if used < (1 - LOST) * (labelled - twice):
        assert any("labelled rows are in no window" in each for each in prepared.warnings)
    assert not twice or any(
        "again and is left out" in each or "more of that kind" in each for each in prepared.warnings
    )
    here = {(prepared.person(who), label) for who, label in zip(*people_and_labels(prepared), strict=True)}
    for person in PEOPLE:
        if not any(who == person for who, _ in here):
            rows = [row for rows in study.files.values() for row in rows if row[0].strip() == person and row[1].strip()]
            assert not rows or any(f"person {person} has no window" in each for each in prepared.warnings)


def people_and_labels(prepared: Prepared) -> tuple[list[int], list[int]]:
    return prepared.windows.person.tolist(), prepared.windows.y.tolist()


def one_name(person: str) -> str:
    """A person's name as one of the ways to write it: ``01``, `` 1`` and ``1.0`` are 1."""
    number = re.fullmatch(r"0*(\d+)(\.0)?", person.strip())
    return number[1] if number else person.strip()


def right(prepared: Prepared, study: Study) -> None:
    """Every window is rows of one file, person and label that follow each other in time."""
    known: dict[tuple[float, float], set[tuple[str, str, str]]] = {}
    clock: dict[tuple[float, float], set[float]] = {}
    columns = [study.header.index(name) if name in study.header else HEADER.index(name) for name in HEADER]
    if study.header != HEADER and columns != sorted(columns):
        return  # the names of columns were moved, which says another thing of each
    for name, rows in study.files.items():
        for row in rows:
            try:
                values = float(np.float32(row[3])), float(np.float32(row[4]))
            except (ValueError, IndexError):
                continue
            known.setdefault(values, set()).add((name, one_name(row[0]), row[1].strip()))
            clock.setdefault(values, set()).add(float(row[2]))
    for window, who, label in zip(prepared.windows.x, *people_and_labels(prepared), strict=True):
        samples = [(float(x), float(y)) for x, y in window.T]
        owners = set.intersection(*(known[each] for each in samples))
        wanted = one_name(prepared.person(who)), CLASSES[label]
        assert wanted in {owner[1:] for owner in owners}, f"a window of {wanted} is of {sorted(owners)}"
        times = [min(clock[each]) for each in samples]
        steps = np.diff(times) / (1000 if max(times) > 1e6 else 1)
        assert (steps > 0).all() or any(len(clock[each]) > 1 for each in samples)


@pytest.mark.parametrize("number", range(27))
def test_a_mutated_study_ends_right_or_in_one_clear_line(number: int, tmp_path: Path) -> None:
    right_or_told(mutated(number), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(27, 300))
def test_three_hundred_of_them_do(number: int, tmp_path: Path) -> None:
    right_or_told(mutated(number), tmp_path)


def test_the_study_that_nothing_was_done_to_is_whole_and_warns_of_nothing(tmp_path: Path) -> None:
    sound().write(tmp_path / "study")
    prepared = prepare(Own(path=str(tmp_path / "study")), data_dir=None, cache=tmp_path / "cache", download=False)
    assert prepared.warnings == ()
    assert len(prepared.windows.y) == len(PEOPLE) * len(CLASSES) * ((ROWS - LENGTH) // 25 + 1)
    right(prepared, sound())
    told(prepared, sound())

"""PAMAP2 and MHEALTH, on text generated in their published formats with every known flaw; no original was at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from kdbench.data import Dataset, Prepared, Source, mhealth, pamap2, prepare
from kdbench.data._labelled import COUNTED, fill
from kdbench.data.mhealth import MHealth
from kdbench.data.pamap2 import Pamap2
from kdbench.errors import KdbenchError

Table = npt.NDArray[np.float64]
Pack = Callable[[Mapping[str, bytes]], bytes]


class SmallPamap2(Pamap2):
    known: ClassVar[pamap2.Original] = pamap2.Original((101, 102), 6000)
    urls: ClassVar[tuple[str, ...]] = ()


class SmallMHealth(MHealth):
    known: ClassVar[mhealth.Original] = mhealth.Original((1, 3), 6000)
    urls: ClassVar[tuple[str, ...]] = ()


def pamap2_table(person: int) -> Table:
    """3000 rows: a transient, every activity for 230 rows or more, and a heart rate every eleventh row."""
    rng = np.random.default_rng(person)
    table = rng.normal(size=(3000, 54)).round(4)
    table[:, 0] = (5 + np.arange(3000) / 100).round(2)
    table[:, 1] = 0
    for number, label in enumerate(pamap2.CLASSES):
        table[10 + 245 * number : 10 + 245 * number + (300 if number == 11 else 240), 1] = label
    table[:, 2] = np.where(np.arange(3000) % 11, np.nan, 100)
    return table


def mhealth_table(person: int) -> Table:
    rng = np.random.default_rng(person)
    table = rng.normal(size=(3000, 24)).round(5)
    table[:, -1] = 0
    for number in range(12):
        table[20 + 240 * number : 20 + 240 * number + 200, -1] = number + 1
    return table


def text(table: Table, between: str) -> bytes:
    """NaN as the authors write it, whole numbers without a point."""
    lines = [
        between.join("NaN" if v != v else f"{v:g}" if v % 1 == 0 else repr(v) for v in row) for row in table.tolist()
    ]
    return ("\n".join(lines) + "\n").encode()


def members(of: str, change: Callable[[int, Table], Table] = lambda _, table: table) -> dict[str, bytes]:
    if of == "pamap2":
        people = ((101, pamap2_table), (102, pamap2_table))
        return {f"PAMAP2_Dataset/Protocol/subject{p}.dat": text(change(p, make(p)), " ") for p, make in people}
    return {f"MHEALTHDATASET/mHealth_subject{p}.log": text(change(p, mhealth_table(p)), "\t") for p in (1, 3)}


@pytest.fixture
def load(tmp_path: Path, zipped: Pack) -> Callable[..., Prepared]:
    def load(dataset: Dataset, files: Mapping[str, bytes]) -> Prepared:
        (tmp_path / dataset.archives[0]).write_bytes(zipped(files))
        return prepare(dataset, data_dir=tmp_path, cache=tmp_path / "cache", download=False)

    return load


Load = Callable[..., Prepared]
BOTH = pytest.mark.parametrize(("name", "make"), [("pamap2", SmallPamap2), ("mhealth", SmallMHealth)])


def longer(of: str, rows: slice, label: int) -> Callable[[int, Table], Table]:
    """The first person does one thing for longer."""

    def change(person: int, table: Table) -> Table:
        if person in (101, 1):
            table[rows, 1 if of == "pamap2" else -1] = label
        return table

    return change


def test_pamap2_s_windows_are_the_sensors_rows_under_one_activity(load: Load) -> None:
    prepared = load(SmallPamap2(), members("pamap2", longer("pamap2", slice(0, 1000), 17)))
    windows, table = prepared.windows, pamap2_table(101)
    ironing = list(pamap2.CLASSES).index(17)
    rows = np.flatnonzero((windows.person == 101) & (windows.y == ironing))
    assert windows.start[rows[:6]].tolist() == [0, 128, 256, 384, 512, 640]
    columns = [3 + 17 * place + k for place in range(3) for k in (1, 2, 3, 7, 8, 9)]
    np.testing.assert_array_equal(windows.x[rows[1]], table[128:384, columns].T.astype(np.float32))
    assert prepared.description.channels[3].name == "hand_gyro_x"
    assert np.unique(windows.person[windows.test]).tolist() == [102]


def test_mhealth_s_windows_are_the_sensors_rows_under_one_activity(load: Load) -> None:
    windows, table = load(SmallMHealth(), members("mhealth")).windows, mhealth_table(1)
    assert len(windows.y) == 2 * 12 * 2
    columns = [*range(3), *range(5, 11), *range(14, 20)]
    np.testing.assert_array_equal(windows.x[1], table[84:212, columns].T.astype(np.float32))
    assert windows.y[:4].tolist() == [0, 0, 1, 1]
    assert np.unique(windows.person[windows.test]).tolist() == [3]


@BOTH
def test_every_row_is_counted_by_what_became_of_it(load: Load, name: str, make: Any) -> None:
    def worse(person: int, table: Table) -> Table:
        table[500:600, 4:10] = np.nan
        return table

    prepared = load(make(), members(name, longer(name, slice(0, 400), 1)))
    assert prepared.report["rows"] == 6000 == sum(prepared.report[key] for key in COUNTED[1:])
    assert prepared.report["as many rows as published"]
    lost = load(make(), members(name, lambda p, t: worse(p, longer(name, slice(0, 400), 1)(p, t)))).report
    assert lost["rows"] == sum(lost[key] for key in COUNTED[1:])
    assert lost["rows with values missing"] > 150


@BOTH
def test_short_stretches_of_missing_values_are_filled_and_longer_ones_end_a_run(
    load: Load, name: str, make: Any
) -> None:
    most, column, rows = (10, 4, slice(0, 1000)) if name == "pamap2" else (5, 5, slice(20, 620))

    def holed(size: int) -> Callable[[int, Table], Table]:
        def change(person: int, table: Table) -> Table:
            table = longer(name, rows, 1)(person, table)
            if person in (101, 1):
                table[300 : 300 + size, column] = np.nan
            return table

        return change

    whole, short, long = (load(make(), members(name, holed(size))) for size in (0, most, most + 1))
    assert short.report["values filled"] == most
    assert whole.report["values filled"] == long.report["values filled"] == 0
    assert short.windows.x.shape == whole.windows.x.shape
    assert len(long.windows.y) < len(whole.windows.y)
    assert long.report["rows with values missing"] == most + 1
    changed = (short.windows.x != whole.windows.x).sum(axis=(0, 2))
    assert np.flatnonzero(changed).tolist() == [0 if name == "pamap2" else 3]


def test_a_pause_and_a_step_back_of_pamap2_s_times_end_a_run(load: Load) -> None:
    def stepped(by: float) -> Callable[[int, Table], Table]:
        def change(person: int, table: Table) -> Table:
            table = longer("pamap2", slice(0, 600), 4)(person, table)
            table[300:, 0] = (table[300:, 0] + by).round(2)
            return table

        return change

    whole = load(SmallPamap2(), members("pamap2", stepped(0)))
    assert (whole.windows.y == 3).sum() >= 3
    for by in (0.01, 3.0, -1.0):
        parted = load(SmallPamap2(), members("pamap2", stepped(by)))
        starts = parted.windows.start[(parted.windows.person == 101) & (parted.windows.recording == 0)]
        assert starts.tolist() == [0]


@pytest.mark.parametrize(
    ("name", "make", "old", "new", "words"),
    [
        ("pamap2", SmallPamap2, "5 0 ", "5 8 ", "subject101.dat line 1 begins with 5 8, wanted a time and an activity"),
        ("pamap2", SmallPamap2, "5 0 ", "NaN 0 ", "line 1 begins with nan 0, wanted a time"),
        ("pamap2", SmallPamap2, "5 0 ", "5 0 1 ", "subject101.dat line 1 has 55 numbers, wanted 54"),
        ("pamap2", SmallPamap2, "5 0 ", "5 inf ", "line 1 holds 'inf', a value that is not finite"),
        (
            "mhealth",
            SmallMHealth,
            "\t0\n",
            "\t13\n",
            "mHealth_subject1.log line 1 ends with 13, wanted an activity, 0 to",
        ),
        ("mhealth", SmallMHealth, "\t0\n", "\tNaN\n", "line 1 ends with nan, wanted an activity"),
        ("mhealth", SmallMHealth, "\t0\n", "\t0\t0\n", "line 1 has 25 numbers, wanted 24"),
        ("mhealth", SmallMHealth, "\t0\n", "\tx\n", "line 1 holds 'x', wanted a number"),
    ],
)
def test_what_is_malformed_is_named(load: Load, name: str, make: Any, old: str, new: str, words: str) -> None:
    files = members(name)
    first = next(iter(files))
    files[first] = files[first].replace(old.encode(), new.encode(), 1)
    with pytest.raises(KdbenchError) as refused:
        load(make(), files)
    assert words in str(refused.value)


@BOTH
@pytest.mark.parametrize(("flaw", "words"), [("unlabelled", "3000 without a class"), ("NaN", "with values missing")])
def test_a_person_without_a_usable_row_is_named_with_the_file_and_why(
    load: Load, name: str, make: Any, flaw: str, words: str
) -> None:
    def change(person: int, table: Table) -> Table:
        if person in (102, 3):
            table[:, slice(4, 7) if flaw == "NaN" else 1 if name == "pamap2" else -1] = np.nan if flaw == "NaN" else 0
            if name == "mhealth" and flaw == "NaN":
                table[:, 0] = np.nan
        return table

    with pytest.raises(KdbenchError) as refused:
        load(make(), members(name, change))
    who = "subject102.dat (person 102)" if name == "pamap2" else "mHealth_subject3.log (person 3)"
    assert f"{who} has no run of {make.length} rows under one activity: " in str(refused.value)
    assert words in str(refused.value)


@pytest.mark.parametrize("every", [2, 4])
def test_pamap2_s_file_at_another_rate_is_named_with_both(load: Load, every: int) -> None:
    files = members("pamap2", lambda person, table: table[::every] if person == 102 else table)
    with pytest.raises(KdbenchError, match=rf"subject102.dat goes at {100 // every} Hz by its times, wanted 100 Hz"):
        load(SmallPamap2(), files)


@BOTH
def test_an_archive_in_an_archive_and_a_folder_give_the_same_windows(
    tmp_path: Path, zipped: Pack, name: str, make: Any
) -> None:
    files = members(name, longer(name, slice(0, 400), 1))
    (tmp_path / "a.zip").write_bytes(zipped({f"{name}.zip": zipped(files), "readme.pdf": b"%PDF"}))
    for path, content in files.items():
        (tmp_path / "folder" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / path).write_bytes(content)
    digests = set()
    for form in ("a.zip", "folder"):
        with Source(tmp_path / form) as source:
            digests.add(make().parse(source).digest())
    assert len(digests) == 1


def test_filling_stays_off_ends_and_breaks() -> None:
    nan = np.nan
    signals = np.array([[nan, 1, nan, nan, 4, nan, 6, nan]]).T
    breaks = np.array([False] * 8)
    out, count = fill(signals, 2, breaks)
    assert np.nan_to_num(out[:, 0], nan=-1).tolist() == [-1, 1, 2, 3, 4, 5, 6, -1]
    assert count == 3
    assert np.isnan(signals[2, 0]), "the given one is left alone"
    breaks[3] = True
    assert np.nan_to_num(fill(signals, 2, breaks)[0][:, 0], nan=-1).tolist() == [-1, 1, -1, -1, 4, 5, 6, -1]
    assert fill(signals, 1, np.zeros(8, np.bool_))[1] == 1

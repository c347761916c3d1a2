"""A user's own recordings as they come off a device: what becomes of every row, and what is said about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from kdbench.data import Prepared, prepare
from kdbench.data.own import Own
from kdbench.errors import KdbenchError

RATE, LENGTH, STEP, ROWS = 50, 50, 25, 150
CLASSES = ("walking", "sitting")
ABOUT = """
name = "study"
rate = 50
classes = ["walking", "sitting"]
channels = [{ name = "acc_x", unit = "g" }, { name = "acc_y", unit = "g" }]
[split]
test = [3]
[recordings]
person = "subject"
label = "activity"
length = 50
step = 25
"""
TIMED = ABOUT + 'time = "ms"\ntime_unit = "ms"\n'

Cells = list[list[str]]


def signals(person: int, label: int, rows: int = ROWS, rate: float = RATE) -> npt.NDArray[np.float64]:
    """Two channels (rows, 2) that differ from person to person."""
    t = np.arange(rows) / rate
    noise = np.random.default_rng([person, label, rows]).normal(0, 0.05, (rows, 2))
    return np.stack([np.sin(2 * np.pi * (1 + label) * t + person), 0.5 * t + label], axis=1) + noise


def recording(person: int, *, rate: float = RATE, name: str | None = None) -> Cells:
    """Rows of one person who does both classes, without the line of names: subject, activity, ms, acc_x, acc_y."""
    rows = []
    for label, called in enumerate(CLASSES):
        for number, values in enumerate(signals(person, label, int(ROWS * rate / RATE), rate)):
            clock = 1000 * (number / rate + label * ROWS / RATE)
            rows.append([name or str(person), called, f"{clock:g}", *(f"{value:.5f}" for value in values)])
    return rows


def written(rows: Cells, header: str = "subject,activity,ms,acc_x,acc_y", separator: str = ",") -> str:
    lines = [header.replace(",", separator), *(separator.join(row) for row in rows)]
    return "\n".join(lines) + "\n"


def study(**changed: Cells) -> dict[str, str]:
    """Three people, one file each."""
    return {name: written(rows) for name, rows in ({f"p{n}": recording(n) for n in (1, 2, 3)} | changed).items()}


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Prepared]:
    def load(toml: str, files: dict[str, str]) -> Prepared:
        for name, text in {"dataset.toml": toml, **{f"{name}.csv": text for name, text in files.items()}}.items():
            path = tmp_path / "study" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return prepare(Own(path=str(tmp_path / "study")), data_dir=None, cache=tmp_path / "cache", download=False)

    return load


Load = Callable[..., Prepared]


def every_row_is_accounted_for(prepared: Prepared) -> None:
    for named in prepared.report["account"].values():
        assert sum(rows for counts in named.values() for rows in counts.values()) == prepared.report["rows"]


def refusal(load: Load, toml: str, files: dict[str, str]) -> str:
    with pytest.raises(KdbenchError) as caught:
        load(toml, files)
    assert str(caught.value).isprintable()
    return str(caught.value)


def warned_or_refused(load: Load, files: dict[str, str]) -> str:
    try:
        prepared = load(TIMED, files)
    except KdbenchError as error:
        return str(error)
    every_row_is_accounted_for(prepared)
    return "\n".join(prepared.warnings)


def test_a_sound_study_loses_nothing_and_warns_of_nothing(load: Load) -> None:
    prepared = load(TIMED, study())
    assert len(prepared.windows.y) == 3 * 2 * 5
    assert prepared.warnings == ()
    every_row_is_accounted_for(prepared)
    assert prepared.report["account"]["person"]["1"] == {"in windows": 300}


@pytest.mark.parametrize(("waver", "gap"), [(6.0, 0.06), (9.0, 0.08)])
def test_times_that_waver_are_counted_as_pauses_and_gap_is_the_way_out(load: Load, waver: float, gap: float) -> None:
    rng = np.random.default_rng(0)
    files = {}
    for person in (1, 2, 3):
        rows = recording(person)
        clock = np.sort([float(row[2]) + rng.uniform(-waver, waver) for row in rows])
        files[f"p{person}"] = written([[*row[:2], f"{t:.2f}", *row[3:]] for row, t in zip(rows, clock, strict=True)])
    said = warned_or_refused(load, files)
    assert "pauses above 0.03 s in column 'ms'" in said
    assert "gap = " in said
    assert len(load(TIMED + f"gap = {gap}\n", files).windows.y) == 30
    assert len(load(TIMED + f"gap = {gap}\nresample = true\n", files).windows.y) >= 28  # an end is lost


@pytest.mark.parametrize("every", [40, 30])
def test_lost_samples_are_named_as_pauses(load: Load, every: int) -> None:
    files = study(
        **{f"p{n}": [row for i, row in enumerate(recording(n)) if i % every != every // 2] for n in (1, 2, 3)}
    )
    said = refusal(load, TIMED, files)
    assert f"its longest run has {every - 1} samples, wanted 50" in said
    assert re.search(r"lost by pauses above 0\.03 s in column 'ms' \(\d+, the first at p1\.csv line \d+\)", said)
    assert "gap = 0.041 bridges" in said
    assert len(load(TIMED + "gap = 0.041\n", files).windows.y) == 24


@pytest.mark.parametrize("back", [0, 20])
def test_times_that_stand_still_or_go_back_are_named(load: Load, back: int) -> None:
    files = {}
    for person in (1, 2, 3):
        rows = recording(person)
        for row in rows[20::40]:
            row[2] = f"{float(row[2]) - 20 - back:g}"
        files[f"p{person}"] = written(rows)
    said = refusal(load, TIMED, files)
    assert re.search(r"times in column 'ms' that do not go on \(\d+, the first at p1\.csv line 22\)", said)
    assert "leave time out" in said
    assert len(load(ABOUT, files).windows.y) == 30


@pytest.mark.parametrize("packet", [5, 10])
def test_times_of_packets_are_named_and_not_called_a_rate(load: Load, packet: int) -> None:
    files = {}
    for person in (1, 2, 3):
        rows = recording(person)
        for number, row in enumerate(rows):
            row[2] = rows[number - number % packet][2]
        files[f"p{person}"] = written(rows)
    assert "times stand still, as where a sensor sends packets; where rows are evenly" in refusal(load, TIMED, files)


@pytest.mark.parametrize("slip", ["sitting", ""])
def test_slips_in_the_labels_are_named_as_changes_of_label(load: Load, slip: str) -> None:
    files = {}
    for person in (1, 2, 3):
        rows = recording(person)
        for row in rows[20:150:40]:
            row[1] = slip
        files[f"p{person}"] = written(rows)
    said = refusal(load, ABOUT, files)
    assert "class 'walking' has no window; its longest run has 39 samples, wanted 50" in said
    assert "lost by changes of label" in said
    assert "the first at p1.csv line 22" in said


@pytest.mark.parametrize(("rate", "who"), [(25, 2), (100, 3)])
def test_a_device_at_another_rate_is_named_with_file_person_and_both_rates(load: Load, rate: int, who: int) -> None:
    files = study(**{f"p{who}": recording(who, rate=rate)})
    said = refusal(load, TIMED + "gap = 1\n", files)
    assert f"p{who}.csv (person {who}): rate is 50 Hz, but column 'ms' in ms gives {rate} Hz" in said
    assert "resample = true" in said
    prepared = load(TIMED + "resample = true\n", files)
    assert np.bincount(prepared.windows.person)[1:].min() >= 8  # up to a sample is lost at an end
    every_row_is_accounted_for(prepared)


def test_one_person_s_rate_is_checked_where_all_are_in_one_file(load: Load) -> None:
    rows = [row for person in (1, 2, 3) for row in recording(person, rate=25 if person == 2 else 50)]
    assert "all.csv (person 2): rate is 50 Hz" in refusal(load, TIMED, {"all": written(rows)})


def test_a_wrong_unit_of_time_is_named_with_the_right_one(load: Load) -> None:
    said = refusal(load, TIMED.replace('"ms"\n', '"us"\n').replace('time = "us"', 'time = "ms"'), study())
    assert "column 'ms' in us gives 5e+04 Hz; with time_unit = \"ms\" it would be 50 Hz" in said


@pytest.mark.parametrize("block", [1, 5])
@pytest.mark.parametrize("toml", [ABOUT, TIMED])
def test_devices_in_turn_are_read_apart_by_the_column_that_tells(load: Load, toml: str, block: int) -> None:
    header = "subject,activity,ms,acc_x,acc_y,device"
    files, whole = {}, {}
    for person in (1, 2, 3):
        left, right = recording(person), recording(person + 10)
        both = []
        for first in range(0, len(left), block):
            both += [[*row, "left"] for row in left[first : first + block]]
            both += [[str(person), *row[1:], "right"] for row in right[first : first + block]]
        files[f"p{person}"] = written(both, header)
        whole |= {f"p{person}_l": written(left), f"p{person}_r": written([[str(person), *row[1:]] for row in right])}
    apart = load(toml + 'recording = "device"\n', files)
    assert len(apart.windows.y) == 60
    assert len(np.unique(apart.windows.recording)) == 12
    every_row_is_accounted_for(apart)
    if block == 1 and toml == ABOUT:
        mixed = load(toml, files)
        assert (
            "column 'device' goes to and fro row by row in p1.csv and 2 more; recording = 'device'" in mixed.warnings[0]
        )
    elif toml == TIMED:
        assert "recording" in refusal(load, toml, files)


def test_people_in_turn_are_read_apart_by_their_times(load: Load) -> None:
    people = [recording(person) for person in (1, 2, 3)]
    turns = [row for rows in zip(*people, strict=True) for row in rows]
    assert (
        load(TIMED, {"all": written(turns)}).digest
        == load(TIMED, {"all": written([row for rows in people for row in rows])}).digest
    )
    said = refusal(load, ABOUT, {"all": written(turns)})
    assert "lost by changes of person" in said
    assert "recording or time reads them apart" in said


def test_a_recording_that_is_there_twice_is_left_out_and_named(load: Load, tmp_path: Path) -> None:
    alone = load(TIMED, study())
    again = load(TIMED, {**study(), "p1 (1)": study()["p1"].replace("\n", "\r\n")})
    assert again.digest == alone.digest
    assert again.warnings == ("p1.csv is p1 (1).csv again and is left out",)
    assert again.report["account"]["file"]["p1.csv"] == {"there twice": 300}


def test_an_export_of_a_part_of_a_recording_is_named(load: Load) -> None:
    part = load(TIMED, {**study(), "p1 (1)": written(recording(1)[7:200])})
    assert part.warnings == ("p1 (1).csv and p1.csv have 193 rows in common",)


def test_rows_that_stand_twice_in_a_file_are_named(load: Load) -> None:
    assert load(ABOUT, study(p1=recording(1) * 2)).warnings == ("p1.csv holds 300 rows twice",)


@pytest.mark.parametrize("first", [0, 7])
def test_a_recording_under_two_people_is_refused_with_both(load: Load, first: int) -> None:
    stolen = [["2", *row[1:]] for row in recording(1)[first:]]
    said = refusal(load, TIMED, study(p2=stolen))
    assert re.search(r"p1\.csv of 1 and p2\.csv of 2 hold", said)
    assert "wanted them under one person" in said


@pytest.mark.parametrize("hole", ["", "NaN", " n/a "])
def test_missing_values_are_refused_left_out_or_filled_as_is_said(load: Load, hole: str) -> None:
    rows = recording(2)
    for row in rows[60:75]:
        row[3] = hole
    rows[100][4] = hole
    files = study(p2=rows)
    said = refusal(load, TIMED, files)
    assert "p2.csv line 62 holds" in said
    assert 'missing = "drop" leaves such rows out' in said
    dropped = load(TIMED + 'missing = "drop"\n', files)
    assert dropped.report["account"]["person"]["2"]["missing values"] == 100  # and rests and runs cut short by them
    filled = load(TIMED + 'missing = "fill 15"\n', files)
    assert len(filled.windows.y) == 30
    assert filled.report["values filled"] == 16
    some = load(TIMED + 'missing = "fill 1"\n', files)
    assert some.report["values filled"] == 1
    for prepared in (dropped, filled, some):
        every_row_is_accounted_for(prepared)


def retimed(person: int, clock: Callable[[int], float]) -> Cells:
    """A recording whose row n is at ``clock(n)`` ms."""
    return [[*row[:2], f"{clock(n):g}", *row[3:]] for n, row in enumerate(recording(person))]


@pytest.mark.parametrize(
    ("unit", "step", "gives", "way"),
    [
        ("s", 20, "0.05 Hz", 'with time_unit = "ms" it would be 50 Hz'),
        ("us", 20, "5e+04 Hz", 'with time_unit = "ms" it would be 50 Hz'),
        ("ms", 0.01, "1e+05 Hz", 'with time_unit = "s" it would be 100 Hz'),
        ("ms", 1000, "1 Hz", "resample = true cannot make up what lies between; lower rate, or leave the file out"),
        ("ms", 60, "16.67 Hz", "resample = true cannot make up what lies between"),
    ],
)
def test_a_rate_that_no_resampling_brings_to_the_wanted_one_is_refused_with_both(
    load: Load, unit: str, step: float, gives: str, way: str
) -> None:
    toml = TIMED.replace('time_unit = "ms"', f'time_unit = "{unit}"\nresample = true')
    others = {"s": 0.02, "ms": 20, "us": 20000}[unit]
    files = study(**{f"p{n}": retimed(n, lambda row, n=n: row * (step if n == 2 else others)) for n in (1, 2, 3)})
    said = refusal(load, toml, files)
    assert f"p2.csv (person 2): rate is 50 Hz, but column 'ms' in {unit} gives {gives}" in said
    assert way in said


@pytest.mark.parametrize("rate", [25, 40, 60, 100])
@pytest.mark.parametrize("turns", [1, 2])
def test_a_rate_that_changes_within_a_file_is_named_with_the_class_and_gap_is_no_way_out(
    load: Load, rate: int, turns: int
) -> None:
    """In a class, or in the second of two stretches of it, beside hours at the right rate."""
    rows, clock = [], 0.0
    for turn in range(turns):
        for part in recording(2, name="2")[:ROWS], recording(2 + 10 * turn, name="2")[ROWS:]:
            own = rate if part[0][1] == "sitting" and turn == turns - 1 else 50
            for row in part:
                rows.append([*row[:2], f"{clock:.3f}", *row[3:]])
                clock += 1000 / own
    said = refusal(load, TIMED, study(p2=rows))
    assert "p2.csv (person 2, sitting): rate is 50 Hz, but column 'ms' in ms gives " in said
    assert f"{rate - 1}" in said or f"{rate}" in said
    assert "resample = true" in said
    assert "gap" not in said
    resampled = load(TIMED + "resample = true\n", study(p2=rows))
    assert "pause" not in resampled.report["account"]["person"]["2"]


def test_rows_that_all_follow_a_pause_of_one_step_are_told_to_be_at_another_rate(load: Load) -> None:
    rows = recording(2)[:ROWS] + recording(2)[ROWS : ROWS + 80 : 2]  # too few of them to be refused
    said = load(TIMED, study(p2=rows)).report["rows lost"]
    assert "these rows are 0.04 s apart, at 25 Hz; resample = true brings files to one rate" in said[0]


@pytest.mark.parametrize("missing", [False, True])
def test_a_person_of_whom_nothing_is_labelled_is_told_to_be_left_out(load: Load, missing: bool) -> None:
    rows = [[row[0] if not missing else "n/a", "", *row[2:]] for row in recording(2)]
    said = load(TIMED, study(p2=rows)).warnings
    assert said == (() if missing else ("person 2 is left out: none of 300 rows has a label, from p2.csv",))
    part = [[*row[:1], "", *row[2:]] for row in recording(2)]
    assert load(TIMED, {**study(), "p2b": written(part)}).warnings == ()


@pytest.mark.parametrize("toml", [ABOUT, TIMED])
def test_a_file_without_rows_is_told(load: Load, toml: str) -> None:
    assert load(toml, study(p4=[])).warnings == ("p4.csv has no rows",)


@pytest.mark.parametrize("text", ["\n", " , ,\n", ",,,\n1,walking,0,1,1\n"])
def test_a_file_without_names_of_columns_is_refused(load: Load, text: str) -> None:
    assert "p4.csv line 1 is empty, wanted names of columns" in refusal(load, TIMED, {**study(), "p4": text})


def test_a_class_of_test_people_alone_is_a_warning(load: Load) -> None:
    files = {f"p{n}": written(recording(n)[: None if n == 3 else ROWS]) for n in (1, 2, 3)}
    assert load(TIMED, files).warnings == ("only test people have windows of class sitting: no network can learn it",)


@pytest.mark.parametrize("name", ["nan", "NaN", "NULL", "None", " n/a ", "NA"])
def test_what_stands_for_a_missing_value_is_no_person(load: Load, name: str) -> None:
    said = refusal(load, TIMED, study(p2=recording(2, name=name)))
    assert f"p2.csv line 2 has person {name!r}, wanted a name or a number" in said
    toml = TIMED.replace('"subject"', '["site", "subject"]').replace("test = [3]", 'test = ["a 3"]')
    rows = [["a" if person != 2 else name, *row] for person in (1, 2, 3) for row in recording(person)]
    said = refusal(load, toml, {"all": written(rows, "site,subject,activity,ms,acc_x,acc_y")})
    assert f"all.csv line 302 has person {name!r}" in said


@pytest.mark.parametrize("resample", ["", "resample = true\n"])
@pytest.mark.parametrize("packet", [10, 25])
def test_packets_are_not_told_to_be_resampled(load: Load, packet: int, resample: str) -> None:
    files = study(p2=retimed(2, lambda row: 20 * (row - row % packet)))
    said = refusal(load, TIMED + resample, files)
    assert "p2.csv (person 2)" in said
    assert "leave time out" in said
    assert "resample" not in said


@pytest.mark.parametrize("seed", [0, 1, None])
def test_rows_out_of_order_are_named_as_times_that_go_back(load: Load, seed: int | None) -> None:
    order = range(299, -1, -1) if seed is None else np.random.default_rng(seed).permutation(300).tolist()
    said = refusal(load, TIMED, study(p2=[recording(2)[row] for row in order]))
    assert re.search(r"\d+ of \d+ times go back, so rows are not in the order of their times; sort them", said)
    assert "resample" not in said


@pytest.mark.parametrize("times", [2, 3])
def test_rows_that_each_stand_twice_are_not_told_to_go_without_a_time(load: Load, times: int) -> None:
    prepared = load(TIMED, study(p2=[row for row in recording(2) for _ in range(times)]))
    said = " ".join((*prepared.warnings, *prepared.report["rows lost"]))
    assert "there are more rows than the rate says: leave out those that stand twice" in said
    assert "leave time out" not in said


@pytest.mark.parametrize(
    ("missing", "column", "rows", "words"),
    [
        ("drop", 3, slice(0, 300), "holes of up to 300 rows are too long to fill: correct the file"),
        ("fill 5", 3, slice(0, 300), "holes of up to 300 rows are too long to fill: correct the file"),
        ("fill 5", 2, slice(0, 300, 20), "rows without a time cannot be filled: correct column 'ms'"),
        ("fill 5", 3, slice(0, 3), "holes at the end of a run have no value on both sides"),
        ("drop", 3, slice(40, 300, 20), 'missing = "fill 1" fills 13 of 13 holes'),
        ("fill 5", 3, slice(40, 47), 'missing = "fill 7" fills 1 of 1 holes'),
    ],
)
def test_filling_is_advised_only_where_it_helps(load: Load, missing: str, column: int, rows: slice, words: str) -> None:
    cells = recording(2)
    for row in cells[rows]:
        row[column] = ""
    said = load(TIMED + f'missing = "{missing}"\n', study(p2=cells)).report["rows lost"]
    assert any(words in each for each in said)
    assert 'fill N"' not in " ".join(said)


ALIKE = [("S1", "S01"), ("s-1", "S_1"), ("P 3", "P3"), ("ann b.", "Ann-B"), ("#4", "4"), ("team2_p03", "Team 2 P3")]
ALIKE += [("S1.0", "S1"), ("1.50", "1.5"), ("١", "1"), ("S٢", "s2"), ("-1", "1"), ("S1.", "S1"), ("a 2.500", "A2.5")]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_names_that_are_much_alike_are_refused_with_both_spellings_and_places(load: Load, one: str, other: str) -> None:
    files = study(p1=recording(1, name=one), p2=recording(2, name=other))
    said = refusal(load, TIMED, files)
    assert "p2.csv line 2 has person" in said
    assert "p1.csv line 2 " in said
    assert "wanted one spelling of a person" in said


@pytest.mark.parametrize(
    ("one", "other"),
    [("1-1", "11"), ("S1", "S11"), ("ann", "anna"), ("1.5", "1.05.1"), ("p1a2", "p12a"), ("S1.5", "S15")],
)
def test_names_that_are_not_alike_are_two_people(load: Load, one: str, other: str) -> None:
    prepared = load(TIMED, study(p1=recording(1, name=one), p2=recording(2, name=other)))
    assert len(np.unique(prepared.windows.person)) == 3


def test_a_person_is_told_by_the_name_of_the_file_or_folder_or_several_columns(load: Load) -> None:
    toml = TIMED.replace("test = [3]", 'test = ["p3"]')
    text = {name: re.sub(r"^\d,", "", text, flags=re.M).replace("subject,", "") for name, text in study().items()}
    plain = load(toml.replace('"subject"', '{ from = "file" }'), text)
    assert plain.report["people"] == {"1": "p1", "2": "p2", "3": "p3"}
    toml = TIMED.replace('"subject"', '["site", "subject"]').replace("test = [3]", 'test = ["b 1"]')
    rows = [[site, "1", *row[1:]] for site, person in (("a", 1), ("b", 2)) for row in recording(person)]
    header = "site,subject,activity,ms,acc_x,acc_y"
    files = dict.fromkeys(text, written([], header)) | {"all": written(rows, header)}
    assert load(toml, files).report["people"] == {"1": "a 1", "2": "b 1"}


def test_a_folder_s_name_and_a_pattern_tell_who_it_is(load: Load) -> None:
    toml = TIMED.replace('"subject"', '{ from = "folder", pattern = "person(\\\\d+)" }') + 'files = "*/*.csv"\n'
    files = {f"person{n}/a": text for n, text in zip((1, 2, 3), study().values(), strict=True)}
    assert load(toml, files).digest == load(TIMED + 'files = "*/*.csv"\n', files).digest
    said = refusal(load, toml, {**files, "other/a": study()["p1"]})
    assert "other/a.csv: its folder is called 'other', wanted what fits 'person" in said


BEGIN = datetime(2024, 3, 31, 0, 30, tzinfo=UTC)
ZONE = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("unit", "clock"),
    [
        ("", lambda at: at.replace(tzinfo=None).isoformat(" ")),
        ("iso", lambda at: at.isoformat().replace("+00:00", "Z")),
        ("iso", lambda at: at.astimezone(ZONE).isoformat(timespec="milliseconds")),
        ("s", lambda at: repr(at.timestamp())),
        ("ms", lambda at: str(round(at.timestamp() * 1e3))),
        ("us", lambda at: str(round(at.timestamp() * 1e6))),
        ("ns", lambda at: str(round(at.timestamp() * 1e3) * 10**6)),
    ],
)
def test_times_may_be_dates_or_count_any_unit_since_1970(
    load: Load, unit: str, clock: Callable[[datetime], str]
) -> None:
    files = {
        name: written([[*row[:2], clock(BEGIN + timedelta(milliseconds=float(row[2]))), *row[3:]] for row in rows])
        for name, rows in {f"p{n}": recording(n) for n in (1, 2, 3)}.items()
    }
    toml = ABOUT + 'time = "ms"\n' + (f'time_unit = "{unit}"\n' if unit else "")
    assert load(toml, files).digest == load(TIMED, study()).digest


def test_dates_that_are_none_or_change_their_kind_are_named(load: Load) -> None:
    rows = [[*row[:2], (BEGIN + timedelta(milliseconds=float(row[2]))).isoformat(), *row[3:]] for row in recording(2)]
    toml, files = ABOUT + 'time = "ms"\n', {}
    for person in (1, 3):
        others = recording(person)
        for row in others:
            row[2] = (BEGIN + timedelta(milliseconds=float(row[2]))).isoformat()
        files[f"p{person}"] = written(others)
    rows[4][2] = "2024-13-01"
    assert "p2.csv line 6 holds '2024-13-01' in column 'ms', wanted a time as in" in refusal(
        load, toml, files | {"p2": written(rows)}
    )
    rows[4][2] = "2024-03-31T00:30:00"
    assert "line 6 holds '2024-03-31T00:30:00' in column 'ms', wanted all" in refusal(
        load, toml, files | {"p2": written(rows)}
    )


def test_rows_without_a_label_are_left_out_by_default(load: Load) -> None:
    rows = recording(1)
    for row in rows[150:]:
        row[1] = ""
    prepared = load(TIMED, study(p1=rows))
    assert prepared.report["account"]["file"]["p1.csv"] == {"in windows": 150, "unlabelled": 150}
    rows[0][1] = "null"
    assert "unlabelled = [...] names labels whose rows are left out" in refusal(load, TIMED, study(p1=rows))


def test_a_person_and_a_class_on_a_side_that_go_are_said(load: Load) -> None:
    files = study(p2=recording(2)[:40], p3=recording(3)[:180])
    prepared = load(TIMED, files)
    assert "person 2 has no window of 40 labelled rows (rests of runs 100%)" in prepared.warnings
    assert "no window of class sitting on the test side, which has 30 rows of it" in prepared.warnings


def test_sensors_in_files_of_their_own_are_joined_by_time(load: Load) -> None:
    toml = TIMED.replace('"acc_y", unit = "g"', '"gyro_x", unit = "rad/s", column = "x", part = "gyro"')
    toml += 'parts = ["acc", "gyro"]\n'
    files = {}
    for person in (1, 2, 3):
        rows = recording(person)
        files[f"p{person}_acc"] = written([row[:4] for row in rows], "subject,activity,ms,acc_x")
        late = np.arange(-5, 6100, 8.0)  # 125 Hz, begun before
        files[f"p{person}_gyro"] = written([[f"{t:g}", f"{2 * t + person:g}"] for t in late], "ms,x")
    prepared = load(toml, files)
    assert len(prepared.windows.y) == 30
    start = 1000 / RATE * np.arange(LENGTH)
    np.testing.assert_allclose(prepared.windows.x[0, 1], 2 * start + 1, rtol=1e-5)
    every_row_is_accounted_for(prepared)
    short = files | {"p2_gyro": "\n".join(files["p2_gyro"].splitlines()[:400]) + "\n"}
    said = refusal(load, toml, short)
    assert re.search(r"p2_acc\.csv line 162 has no value of p2_gyro\.csv within .* s of its time", said)
    fewer = load(toml + 'missing = "drop"\n', short)
    assert fewer.report["account"]["person"]["2"]["missing values"] > 100
    for rows in (0, 1):
        empty = files | {"p2_gyro": "\n".join(files["p2_gyro"].splitlines()[: rows + 1]) + "\n"}
        assert f"p2_gyro.csv has {rows} rows, too few to be joined with p2_acc.csv" in refusal(load, toml, empty)
    lone = files | {"p4_acc": files["p1_acc"]}
    assert "p4_acc.csv has no file of part 'gyro' beside it" in refusal(load, toml, lone)


def test_signs_between_numbers_and_in_them_may_be_others(load: Load) -> None:
    whole = load(TIMED, study()).digest
    files = {
        f"p{n}": written([[cell.replace(".", ",") for cell in row] for row in recording(n)], separator=";")
        for n in (1, 2, 3)
    }
    said = refusal(load, TIMED, files)
    assert "with delimiter = ';' it has more columns" in said
    said = refusal(load, TIMED + 'delimiter = ";"\n', files)
    assert "decimal = ',' reads such numbers" in said
    assert load(TIMED + 'delimiter = ";"\ndecimal = ","\n', files).digest == whole


def test_text_in_two_bytes_a_letter_is_read_by_its_mark(load: Load, tmp_path: Path) -> None:
    digest = load(TIMED, study()).digest
    for name, text in study().items():
        (tmp_path / "study" / f"{name}.csv").write_bytes(text.encode("utf-16"))
    assert prepare(Own(path=str(tmp_path / "study")), data_dir=None, cache=tmp_path / "other").digest == digest


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('person = { from = "name" }', "recordings.person.from is 'name', wanted 'file' or 'folder'"),
        ('person = { from = "file", pattern = "(" }', "recordings.person.pattern is '(', wanted a regular expression"),
        ("person = []", "recordings.person is [], wanted names of columns"),
        ("person = 3", "recordings.person is 3, wanted the name of a column, or { from = 'file' }"),
        ('missing = "fill"', "recordings.missing is 'fill', wanted 'drop', or 'fill N'"),
        ('missing = "fill 0"', "recordings.missing is 'fill 0', wanted 'drop', or 'fill N'"),
        ("resample = 1", "recordings.resample is 1, wanted true or false"),
        ("resample = true", "recordings: resample wants time, the name of a column"),
        ('decimal = ","', "recordings: decimal and delimiter are both ','; wanted two"),
        ('parts = ["acc"]\ntime = "ms"', "recordings.parts is ['acc'], wanted a list of two texts or more"),
        ('parts = ["acc", "gyro"]', "recordings: parts wants time, the name of a column"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(load: Load, line: str, words: str) -> None:
    toml = ABOUT.replace('person = "subject"\n', "") if line.startswith("person") else ABOUT
    assert words in refusal(load, toml + line + "\n", study())

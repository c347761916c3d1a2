"""selfBACK's format, on a stand-in; ``test_originals.py`` holds the class against the real archive."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from kdbench.data import Source, Windows, selfback
from kdbench.data.selfback import CLASSES, PLACES, SelfBack
from kdbench.errors import KdbenchError

Pack = Callable[[Mapping[str, bytes]], bytes]
Parse = Callable[..., Windows]
PEOPLE = (26, 28)
BEGIN = datetime(2016, 4, 13, 23, 59, 58, tzinfo=UTC)
RATES = {"thigh": 98.0, "wrist": 101.5}


def signal(seconds: npt.NDArray[np.float64], place: str) -> npt.NDArray[np.float64]:
    """What the place feels at a time, (n, 3)."""
    slow = 1.0 if place == "thigh" else 2.0
    return np.stack([np.sin(2 * np.pi * slow * seconds), np.cos(seconds), 0 * seconds - 1], axis=1)


def written(place: str, folder: str, rows: int, late: float) -> bytes:
    """A file; the first row is so many seconds after the beginning, and times are rounded to milliseconds."""
    seconds = np.round(late + np.arange(rows) / RATES[place], 3)
    lines = ["time,x,y,z,class" if place == "thigh" else "time,x,y,z"]
    for second, values in zip(seconds.tolist(), signal(seconds, place).tolist(), strict=True):
        time = (BEGIN + timedelta(seconds=second)).isoformat(" ", "milliseconds").removesuffix("+00:00")
        lines.append(",".join([time, *(f"{value:.6f}" for value in values), *([folder] if place == "thigh" else [])]))
    return ("\n".join(lines) + "\n").encode()


@pytest.fixture(scope="module")
def members() -> dict[str, bytes]:
    """Member to content; recordings run over midnight, and one place ends before the other."""
    found = {}
    for place in PLACES:
        for number, folder in enumerate(CLASSES):
            for person in PEOPLE:
                rows = 400 + 30 * number + (0 if place == "thigh" else 60)
                late = 0.004 if place == "wrist" else 0.0
                found[f"raw/9_class/{place}34/{folder}/{person:03}.csv"] = written(place, folder, rows, late)
    return found


@pytest.fixture(scope="module")
def stand_in(members: dict[str, bytes]) -> type[SelfBack]:
    """selfBACK's class that expects the stand-in instead of the original."""
    folders = {}
    for place in PLACES:
        for folder in CLASSES:
            rows, digest = 0, hashlib.sha256()
            for person in PEOPLE:
                lines = members[f"raw/9_class/{place}34/{folder}/{person:03}.csv"].decode().splitlines()[1:]
                rows += len(lines)
                times = [datetime.fromisoformat(f"{line.split(',')[0]}+00:00") for line in lines]
                since = [round((time - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)) for time in times]
                digest.update(np.array(since, "<i8").data)
                values = np.array([[float(word) for word in line.split(",")[1:4]] for line in lines], "<f4")
                digest.update(values.data)
            folders[place, folder] = selfback.Folder(rows, digest.hexdigest())

    class StandIn(SelfBack):
        known: ClassVar[selfback.Original] = selfback.Original(PEOPLE, folders)

    return StandIn


@pytest.fixture
def parse(tmp_path: Path, stand_in: type[SelfBack], members: dict[str, bytes], zipped: Pack) -> Parse:
    """Parse the stand-in, with some members changed."""

    def parse(changed: Mapping[str, Callable[[bytes], bytes]] | None = None, **settings: Any) -> Windows:
        content = dict(members)
        for name, change in (changed or {}).items():
            content[f"raw/9_class/{name}"] = change(content[f"raw/9_class/{name}"])
        (tmp_path / "a.zip").write_bytes(zipped(content))
        dataset = stand_in(**settings)
        with Source(tmp_path / "a.zip") as source:
            windows = dataset.parse(source)
        windows.check(dataset.description)
        return windows

    return parse


def test_two_clocks_are_brought_to_one_grid_by_time(parse: Parse) -> None:
    windows = parse()
    for row in range(0, len(windows.y), 7):
        seconds = 0.004 + (windows.start[row] + np.arange(128)) / 50
        for channels, place in ((slice(0, 3), "thigh"), (slice(3, 6), "wrist")):
            error = np.abs(windows.x[row, channels] - signal(seconds, place).T)
            inner = error[:, 20:] if windows.start[row] == 0 else error
            assert inner[:, :100].max() < 0.02, f"{place}, window {row}"


def test_windows_cover_the_time_that_both_places_share(parse: Parse) -> None:
    windows = parse()
    for number, recording in enumerate(np.unique(windows.recording).tolist()):
        starts = windows.start[windows.recording == recording]
        rows = 400 + 30 * (number // 2)
        samples = int(((rows - 1) / 98.0 - 0.004) * 50) + 1  # the thigh ends first
        assert starts.tolist() == list(range(0, samples - 127, 64))


def test_a_place_alone_has_its_part_of_the_windows_of_both(parse: Parse) -> None:
    both = parse()
    for channels, place in ((slice(0, 3), "thigh"), (slice(3, 6), "wrist")):
        alone = parse(places=place)
        np.testing.assert_array_equal(alone.x, both.x[:, channels])
        np.testing.assert_array_equal(alone.y, both.y)


def test_six_classes_are_the_same_files_with_walking_by_another_name(parse: Parse) -> None:
    nine, six = parse(), parse(classes=6)
    names = SelfBack(classes=6).description.classes
    assert names == ("downstairs", "jogging", "sitting", "standing", "upstairs", "walking")
    kept = np.isin(nine.y, [CLASSES.index(name.replace("walking", "walk_mod")) for name in names])
    order = np.argsort([names.index(CLASSES[y].replace("walk_mod", "walking")) for y in nine.y[kept]], kind="stable")
    np.testing.assert_array_equal(six.x, nine.x[kept][order])
    assert np.unique(six.person[six.test]).tolist() == [28]


def test_the_report_counts_rows_and_values_at_the_end_of_the_range(
    tmp_path: Path, stand_in: type[SelfBack], members: dict[str, bytes], zipped: Pack
) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(members))
    dataset = stand_in(places="wrist")
    with Source(tmp_path / "a.zip") as source:
        dataset.parse(source)
    rows = sum(content.count(b"\n") - 1 for name, content in members.items() if "wrist34" in name)
    assert dataset.report == {"wrist rows": rows, "wrist values at the end of the range": 0}


WRIST, THIGH = "wrist34/lying/026.csv", "thigh34/lying/028.csv"


@pytest.mark.parametrize(
    ("member", "change", "words"),
    [
        (WRIST, lambda c: c.replace(b"time,x", b"t,x", 1), "026.csv line 1 is 't,x,y,z', wanted time,x,y,z"),
        (WRIST, lambda c: c.replace(b"2016-04-13 23:59:58.014", b"13.04.2016 23:59:58.014"), "line 3 has no time like"),
        (WRIST, lambda c: c.replace(b"2016-04-13", b"2016-13-13"), "has a time that is on no day"),
        (WRIST, lambda c: c.replace(b",-1.000000\n", b"\n", 1), "line 2 has 2 numbers, wanted 3"),
        (WRIST, lambda c: c.replace(b",-1.000000\n", b",nan\n", 1), "line 2 holds 'nan', a value that is not finite"),
        (WRIST, lambda c: c.replace(b"\n2016-04-13 23:59:58.014", b"\n\n2016-04-13 23:59:58.014"), "line 3 has no"),
        (WRIST, lambda c: c[: c.index(b"\n") + 1], "has no time"),
        (WRIST, lambda c: b"\n".join(c.split(b"\n")[:40] + c.split(b"\n")[50:]), "line 41 is 0.109 s after the line"),
        (WRIST, lambda c: b"\n".join(c.split(b"\n")[:40] + c.split(b"\n")[39:]), "line 41 is 0.000 s after the line"),
        (WRIST, lambda c: c.replace(b",-1.000000\n", b",-1.000001\n", 1), "lying is not the original's: values"),
        (WRIST, lambda c: c[: c.rstrip().rindex(b"\n") + 1], "wrist34/lying is not the original's: 1039 rows, wanted"),
        (THIGH, lambda c: c.replace(b",lying", b",sitting", 1), "line 2 is not of class lying, as its folder says"),
    ],
)  # fmt: skip
def test_what_is_malformed_or_foreign_is_named(
    parse: Parse, member: str, change: Callable[[bytes], bytes], words: str
) -> None:
    with pytest.raises(KdbenchError) as refused:
        parse({member: change})
    assert words in str(refused.value)


def test_line_ends_of_windows_change_nothing(parse: Parse) -> None:
    assert parse({WRIST: lambda content: content.replace(b"\n", b"\r\n")}).digest() == parse().digest()

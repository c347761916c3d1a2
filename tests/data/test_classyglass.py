"""ClassyGlass's format, on a stand-in; ``test_originals.py`` holds the class against the real archive."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from kdbench.data import Source, Windows, classyglass
from kdbench.data.classyglass import HEADER, ClassyGlass
from kdbench.errors import KdbenchError

Pack = Callable[[Mapping[str, bytes]], bytes]
Parse = Callable[..., Windows]
TOP = "Datasets/Dataset_1A/"
PEOPLE = (1, 3)
ABSENT = 3 * 11 - 1
"""The experiment that was not recorded: the third person's tenth."""


def member(experiment: int) -> str:
    user = (experiment - 1) // 11 + 1
    return f"{TOP}User{user}/{experiment}_MetaWear_2019-09-14T13.41.43.335_F1E5_Accelerometer_100.000Hz_1.4.5.csv"


@pytest.fixture(scope="module")
def signals() -> dict[int, npt.NDArray[np.float64]]:
    """Experiment to acceleration (n, 3), some too short for a window."""
    rng = np.random.default_rng(0)
    experiments = [11 * (person - 1) + label for person in PEOPLE for label in range(1, 12)]
    lengths = dict(zip(experiments, rng.choice([200, 256, 300, 383, 384, 600], len(experiments)).tolist(), strict=True))
    lengths |= {1: 600, 23: 600}
    return {e: np.round(rng.normal(size=(n, 3)), 3) for e, n in lengths.items() if e != ABSENT}


@pytest.fixture(scope="module")
def members(signals: Mapping[int, npt.NDArray[np.float64]]) -> dict[str, bytes]:
    """Member to content, with another sensor's file and another dataset's beside them."""
    found = {f"{TOP}Data description sheet 1A.pdf": b"%PDF"}
    for experiment, values in signals.items():
        lines = [HEADER]
        for row, xyz in enumerate(values.tolist()):
            lines.append(",".join([str(1568425303335 + 10 * row), "2019-09-14T13:41:43.335", f"{row / 100:.3f}"]))
            lines[-1] += "".join(f",{value:.3f}" for value in xyz)
        found[member(experiment)] = ("\r\n".join(lines) + "\r\n").encode()
    found[member(1).replace("Accelerometer", "Gyroscope")] = b"another sensor"
    return found | {member(1).replace("1A", "1B"): b"another dataset"}


@pytest.fixture(scope="module")
def stand_in(signals: Mapping[int, npt.NDArray[np.float64]]) -> ClassyGlass:
    """ClassyGlass's class that expects the stand-in instead of the original."""
    recordings, rows, digest = [0] * 11, [0] * 11, hashlib.sha256()
    for experiment in sorted(signals):
        recordings[(experiment - 1) % 11] += 1
        rows[(experiment - 1) % 11] += len(signals[experiment])
        digest.update(signals[experiment].astype("<f4").tobytes())

    class StandIn(ClassyGlass):
        known: ClassVar[classyglass.Original] = classyglass.Original(
            PEOPLE, tuple(recordings), tuple(rows), digest.hexdigest()
        )

    return StandIn()


@pytest.fixture
def parse(tmp_path: Path, stand_in: ClassyGlass, members: dict[str, bytes], zipped: Pack) -> Parse:
    """Parse the stand-in, with some members changed."""

    def parse(changed: Mapping[str, Callable[[bytes], bytes]] | None = None, *, without: str = "") -> Windows:
        content = {name: text for name, text in members.items() if name != without}
        for name, change in (changed or {}).items():
            content[name] = change(content.get(name, b""))
        (tmp_path / "a.zip").write_bytes(zipped(content))
        with Source(tmp_path / "a.zip") as source:
            windows = stand_in.parse(source)
        windows.check(stand_in.description)
        return windows

    return parse


def test_every_recording_is_cut_and_its_number_says_whose_and_what_it_is(
    parse: Parse, signals: Mapping[int, npt.NDArray[np.float64]]
) -> None:
    windows = parse()
    row = 0
    for experiment in sorted(signals):
        values = signals[experiment].astype(np.float32)
        for start in range(0, len(values) - 255, 128):
            np.testing.assert_array_equal(windows.x[row], values[start : start + 256].T)
            assert (windows.person[row], windows.y[row]) == ((experiment - 1) // 11 + 1, (experiment - 1) % 11)
            assert (windows.recording[row], windows.start[row]) == (experiment, start)
            assert windows.test[row] == (windows.person[row] == 3)
            row += 1
    assert row == len(windows.y)
    assert ABSENT not in windows.recording


def second(content: bytes, old: bytes, new: bytes) -> bytes:
    """The third line, which is the second row, changed."""
    lines = content.split(b"\r\n")
    assert old in lines[2]
    lines[2] = lines[2].replace(old, new, 1)
    return b"\r\n".join(lines)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.replace(b"epoch (ms)", b"epoch (s)", 1), "line 1 is 'epoch (s),time (-13:', wanted epoch (ms),"),
        (lambda c: second(c, b"1568425303345", b"1568425303346"), "line 3 is 11 ms after the line before it"),
        (lambda c: second(c, b"1568425303345", b"now"), "line 3 does not begin with milliseconds and a time"),
        (lambda c: second(c, b",0.010,", b",0.010,0.5,"), "line 3 has 6 numbers, wanted 5"),
        (lambda c: second(c, b",0.010,", b",,"), "line 3 holds '', wanted a number"),
        (lambda c: second(c, b",0.010,", b",inf,"), "line 3 holds 'inf', a value that is not finite"),
        (lambda c: c[: c.rstrip().rindex(b"\r\n")], "Dataset_1A is not the original's: 2 recordings of reading with"),
        (lambda c: c[:-3] + bytes([c[-3] ^ 1]) + c[-2:], "Dataset_1A is not the original's: values differ"),
        (lambda c: c[: c.index(b"\n") + 1], "line 2 does not begin with milliseconds"),
    ],
)
def test_what_is_malformed_or_foreign_is_named(parse: Parse, change: Callable[[bytes], bytes], words: str) -> None:
    with pytest.raises(KdbenchError) as refused:
        parse({member(1): change})
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (member(1).replace("F1E5", "F1E6"), "are one experiment; wanted one file"),
        (member(1).replace("User1", "User2"), "is experiment 1, which is not of user 2"),
    ],
)
def test_a_file_too_many_is_named(parse: Parse, members: dict[str, bytes], more: str, words: str) -> None:
    with pytest.raises(KdbenchError, match=words):
        parse({more: lambda _: members[member(1)]})


def test_a_file_that_is_absent_is_counted(parse: Parse) -> None:
    with pytest.raises(KdbenchError, match="1 recordings of reading with 600 rows, wanted 2 with 1200"):
        parse(without=member(1))


def test_an_archive_without_any_is_refused_with_where_to_get_it(
    tmp_path: Path, stand_in: ClassyGlass, zipped: Pack
) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({member(1).replace("1A", "1B"): b"another dataset"}))
    with Source(tmp_path / "a.zip") as source, pytest.raises(KdbenchError, match="holds no recording of an accel"):
        stand_in.parse(source)

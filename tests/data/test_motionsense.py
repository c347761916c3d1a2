"""MotionSense's format, on the stand-in; ``test_originals.py`` holds the class against the real archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from kdbench.data import Source, Windows, prepare
from kdbench.data.motionsense import TEST_PEOPLE, MotionSense
from kdbench.errors import KdbenchError

Pack = Callable[[Mapping[str, bytes]], bytes]
TOP = "A_DeviceMotion_data/"
MEANING = {"dws": "downstairs", "ups": "upstairs", "sit": "sitting", "std": "standing", "wlk": "walking"}
MEANING["jog"] = "jogging"


@pytest.fixture
def parse(
    tmp_path: Path, motion_stand_in: MotionSense, motion_members: dict[str, bytes], zipped: Pack
) -> Callable[..., Windows]:
    """Parse the stand-in, with some members changed."""

    def parse(changed: Mapping[str, Callable[[bytes], bytes]] | None = None) -> Windows:
        members = dict(motion_members)
        for name, change in (changed or {}).items():
            members[TOP + name] = change(members[TOP + name])
        (tmp_path / "a.zip").write_bytes(zipped(members))
        with Source(tmp_path / "a.zip") as source:
            return motion_stand_in.parse(source)

    return parse


def test_every_file_is_cut_trial_by_trial(
    parse: Callable[..., Windows], motion_stand_in: MotionSense, motion_members: dict[str, bytes]
) -> None:
    windows = parse()
    windows.check(motion_stand_in.description)
    row = 0
    for name, content in motion_members.items():
        lines = content.decode().splitlines()[1:]
        for start in range(0, len(lines) - 127, 64):
            cells = [[float(cell) for cell in line.split(",")] for line in lines[start : start + 128]]
            want = np.array([[c[10] + c[4], c[11] + c[5], c[12] + c[6], *c[7:10]] for c in cells]).T
            np.testing.assert_array_equal(windows.x[row], want.astype(np.float32))
            assert windows.person[row] == int(name.rsplit("_", 1)[1].removesuffix(".csv"))
            assert motion_stand_in.description.classes[windows.y[row]] == MEANING[name.split("/")[1][:3]]
            assert windows.start[row] == start
            row += 1
    assert row == len(windows.y)
    assert windows.test.tolist() == [person in TEST_PEOPLE for person in windows.person.tolist()]


def test_the_recording_that_is_there_twice_is_one_recording_and_reported(
    tmp_path: Path, motion_stand_in: MotionSense, motion_members: dict[str, bytes], zipped: Pack
) -> None:
    (tmp_path / "A_DeviceMotion_data.zip").write_bytes(zipped(motion_members))
    for _ in range(2):  # parsed, then from the cache
        prepared = prepare(motion_stand_in, data_dir=tmp_path, cache=tmp_path / "cache", download=False)
        assert prepared.report == {"recordings found twice": ["sit_5/sub_1.csv = sit_13/sub_1.csv"]}
    windows = prepared.windows
    pairs = np.stack([windows.recording, windows.start], axis=1)
    equal = (windows.x[:, None] == windows.x[None]).all(axis=(2, 3))
    np.testing.assert_array_equal(equal, (pairs[:, None] == pairs[None]).all(axis=2))
    assert equal.sum() > len(equal)


def test_every_form_of_the_archive_gives_the_same_windows(
    tmp_path: Path, motion_stand_in: MotionSense, motion_members: dict[str, bytes], zipped: Pack
) -> None:
    bare = {name.removeprefix(TOP): member for name, member in motion_members.items()}
    forms: dict[str, Mapping[str, bytes]] = {
        "zip": {"A_DeviceMotion_data.zip": zipped(motion_members), "B_Accelerometer_data.zip": b""},
        "folder": motion_members,
        "the data folder itself": bare,
        "zip of what is inside": {"A_DeviceMotion_data.zip": zipped(bare)},
    }
    digests = set()
    for number, (form, files) in enumerate(forms.items()):
        for name, member in files.items():
            (tmp_path / form / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / form / name).write_bytes(member)
        cache = tmp_path / f"cache{number}"
        digests.add(prepare(motion_stand_in, data_dir=tmp_path / form, cache=cache, download=False).digest)
    assert len(digests) == 1


def test_line_ends_do_not_matter(parse: Callable[..., Windows]) -> None:
    assert parse({"std_6/sub_2.csv": lambda c: c.replace(b"\n", b"\r\n")}).digest() == parse().digest()


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (
            "wlk_7/sub_2.csv",
            lambda c: c[1:],
            "wlk_7/sub_2.csv line 1 is 'attitude.roll,attitu', wanted ',attitude.roll",
        ),
        ("wlk_7/sub_2.csv", lambda c: b"", "wlk_7/sub_2.csv line 1 is ''"),
        ("wlk_7/sub_2.csv", lambda c: c.splitlines(keepends=True)[0], "wlk_7/sub_2.csv is empty"),
        ("wlk_7/sub_2.csv", lambda c: c.replace(b"\n3,", b"\n3,nan,", 1), "line 5 has 14 numbers, wanted 13"),
        ("wlk_7/sub_2.csv", lambda c: c.replace(b"\n3,", b"\n\n3,", 1), "line 5 has 0 numbers"),
        ("wlk_7/sub_2.csv", lambda c: c.replace(b"\n3,-", b"\n3,", 1).replace(b"\n3,", b"\n3,x", 1), "line 5 holds 'x"),
        ("wlk_7/sub_2.csv", lambda c: c.replace(b"\n3,", b"\n4,", 1), "wlk_7/sub_2.csv line 5 is numbered 4, wanted 3"),
        ("wlk_7/sub_2.csv", lambda c: c[: c.rindex(b"\n", 0, -1)], "wlk_7 is not the original's: "),
        ("jog_9/sub_2.csv", lambda c: c.rstrip() + b"1\n", "jog_9 is not the original's: values differ"),
    ],
)
def test_a_wrong_file_is_named_in_one_line(
    parse: Callable[..., Windows], name: str, change: Callable[[bytes], bytes], words: str
) -> None:
    with pytest.raises(KdbenchError) as caught:
        parse({name: change})
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_one_recording_of_two_people_is_refused(
    parse: Callable[..., Windows], motion_members: dict[str, bytes]
) -> None:
    with pytest.raises(KdbenchError, match=r"dws_1/sub_1\.csv and dws_1/sub_18\.csv are one recording of two people"):
        parse({"dws_1/sub_18.csv": lambda c: motion_members[f"{TOP}dws_1/sub_1.csv"]})


def test_the_original_s_class_refuses_the_stand_in(
    tmp_path: Path, motion_members: dict[str, bytes], zipped: Pack
) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(motion_members))
    with Source(tmp_path / "a.zip") as source, pytest.raises(KdbenchError, match=r"holds no dws_1/sub_3\.csv"):
        MotionSense().parse(source)


def test_there_is_nothing_to_parse_without_a_source() -> None:
    with pytest.raises(KdbenchError, match="wanted an archive"):
        MotionSense().parse(None)

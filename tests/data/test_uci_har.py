"""UCI HAR's format, on the stand-in; ``test_uci_har_original.py`` holds the class against the real archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from kdbench.data import Source, Windows
from kdbench.data.uci_har import UciHar
from kdbench.errors import KdbenchError

Pack = Callable[[Mapping[str, bytes]], bytes]
TOP = "UCI HAR Dataset/"
BODY = "test/Inertial Signals/body_acc_y_test.txt"


@pytest.fixture
def parse(tmp_path: Path, stand_in: UciHar, uci_members: dict[str, bytes], zipped: Pack) -> Callable[..., Windows]:
    """Parse the stand-in, with some members changed."""

    def parse(**changed: Callable[[bytes], bytes]) -> Windows:
        members = dict(uci_members)
        for short, change in changed.items():
            name = TOP + {"y": "train/y_train.txt", "subject": "test/subject_test.txt", "body": BODY}[short]
            members[name] = change(members[name])
        (tmp_path / "a.zip").write_bytes(zipped(members))
        with Source(tmp_path / "a.zip") as source:
            return stand_in.parse(source)

    return parse


def test_windows_come_as_distributed_training_first(
    parse: Callable[..., Windows], stand_in: UciHar, uci_members: dict[str, bytes]
) -> None:
    windows = parse()
    windows.check(stand_in.description)
    assert windows.x.shape == (54, 9, 128)
    assert windows.test.tolist() == [False] * 36 + [True] * 18
    assert windows.person.tolist() == [1] * 18 + [3] * 18 + [2] * 18
    assert windows.y.tolist() == [label for label in range(6) for _ in range(3)] * 3
    for channel, signal in [(1, "body_acc_y"), (5, "body_gyro_z"), (6, "total_acc_x")]:
        assert stand_in.description.channels[channel].name == signal
        text = uci_members[f"{TOP}test/Inertial Signals/{signal}_test.txt"].decode()
        second = [float(text.splitlines()[1][16 * i : 16 * i + 16]) for i in range(128)]
        np.testing.assert_array_equal(windows.x[37, channel], np.array(second, np.float32))


def test_consecutive_windows_that_overlap_share_a_recording(parse: Callable[..., Windows]) -> None:
    windows = parse()
    assert windows.recording.tolist() == [stretch for stretch in range(18) for _ in range(3)]
    assert windows.start.tolist() == [0, 64, 128] * 18


def test_line_ends_do_not_matter(parse: Callable[..., Windows]) -> None:
    def other(content: bytes) -> bytes:
        return content.replace(b"\r\n", b"\n")

    assert parse(body=other, y=lambda content: content.replace(b"\n", b"\r\n")).digest() == parse().digest()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"body": lambda c: c.replace(b"e-00", b"e-0x", 1)}, f"{BODY} line 1 holds '4.5986882e-0x1', wanted a number"),
        (
            {"body": lambda c: c[:16] + b"             nan" + c[32:]},
            f"{BODY} line 1 holds 'nan', a value that is not finite",
        ),
        ({"body": lambda c: c.replace(b"\r\n", b" 1.0\r\n", 2)}, f"{BODY} line 1 has 129 numbers, wanted 128"),
        ({"body": lambda c: c[:-20] + b"\r\n"}, f"{BODY} line 18 has 127 numbers, wanted 128"),
        ({"body": lambda c: c[: c.rindex(b"\r\n", 0, -2)]}, f"{BODY} has 17 lines, wanted one per label, 18"),
        ({"body": lambda c: b""}, f"{BODY} is empty"),
        (
            {"body": lambda c: c[:4] + b"%d" % (9 - int(c[4:5])) + c[5:]},
            f"{BODY} is not the original's: its values differ",
        ),
        ({"y": lambda c: b"7" + c[1:]}, "train/y_train.txt line 1 is 7, wanted an integer 1 to 6"),
        ({"y": lambda c: b"1.0" + c[1:]}, "train/y_train.txt line 1 is '1.0'"),
        ({"y": lambda c: b"\xff\x1b[2J" + c}, r"train/y_train.txt line 1 is '\xff\x1b[2J1'"),
        ({"y": lambda c: c[2:]}, "subject_train.txt has 36 lines and train/y_train.txt 35"),
        ({"y": lambda c: b"2" + c[1:]}, "train/y_train.txt is not the original's: (5, 7, 6, 6, 6, 6)"),
        ({"y": lambda c: c[::-1].strip() + b"\n"}, "train/y_train.txt is not the original's: its values differ"),
        (
            {"subject": lambda c: b"4" + c[1:]},
            "test/subject_test.txt is not the original's: people (2, 4), wanted (2,)",
        ),
        ({"subject": lambda c: b"31" + c[1:]}, "wanted an integer 1 to 30"),
    ],
)
def test_a_wrong_member_is_named_in_one_line(
    parse: Callable[..., Windows], changed: dict[str, Callable[[bytes], bytes]], words: str
) -> None:
    with pytest.raises(KdbenchError) as caught:
        parse(**changed)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_the_original_s_class_refuses_the_stand_in(tmp_path: Path, uci_zip: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(uci_zip)
    with Source(tmp_path / "a.zip") as source, pytest.raises(KdbenchError, match="36 windows, wanted 7352"):
        UciHar().parse(source)


def test_there_is_nothing_to_parse_without_a_source() -> None:
    with pytest.raises(KdbenchError, match="wanted an archive"):
        UciHar().parse(None)

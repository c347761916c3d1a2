"""HAPT's format, on the stand-in; ``test_originals.py`` holds the class against the real archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from kdbench.data import Source, Windows, prepare
from kdbench.data.hapt import CLASSES, Hapt
from kdbench.errors import KdbenchError

Pack = Callable[[Mapping[str, bytes]], bytes]
Change = Callable[[bytes], bytes | None]
MEMBERS = {
    "labels": "RawData/labels.txt",
    "acc": "RawData/acc_exp03_user01.txt",
    "gyro": "RawData/gyro_exp03_user01.txt",
    "y": "Train/y_train.txt",
    "subject": "Test/subject_id_test.txt",
}


@pytest.fixture
def parse(
    tmp_path: Path, hapt_stand_in: type[Hapt], hapt_members: dict[str, bytes], zipped: Pack
) -> Callable[..., Windows]:
    """Parse the stand-in, with some members changed, or left out where the change gives None."""

    def parse(*, classes: int = 12, **changed: Change) -> Windows:
        members = dict(hapt_members)
        for short, change in changed.items():
            content = change(members.pop(MEMBERS[short]))
            if content is not None:
                members[MEMBERS[short]] = content
        (tmp_path / "a.zip").write_bytes(zipped(members))
        with Source(tmp_path / "a.zip") as source:
            return hapt_stand_in(classes=classes).parse(source)

    return parse


def test_windows_are_the_distributed_ones_row_by_row(
    parse: Callable[..., Windows], hapt_stand_in: type[Hapt], hapt_members: dict[str, bytes]
) -> None:
    windows = parse()
    windows.check(hapt_stand_in().description)
    for side, is_test in (("Train", False), ("Test", True)):
        y = [int(line) - 1 for line in hapt_members[f"{side}/y_{side.lower()}.txt"].split()]
        people = [int(line) for line in hapt_members[f"{side}/subject_id_{side.lower()}.txt"].split()]
        assert windows.y[windows.test == is_test].tolist() == y
        assert windows.person[windows.test == is_test].tolist() == people
    assert np.flatnonzero(windows.test).tolist() == list(range(int((~windows.test).sum()), len(windows.y)))


def test_a_window_is_the_lines_that_its_recording_and_start_say(
    parse: Callable[..., Windows], hapt_members: dict[str, bytes]
) -> None:
    windows = parse()
    labels = [tuple(map(int, line.split())) for line in hapt_members["RawData/labels.txt"].splitlines()]
    for row in range(0, len(windows.y), 7):
        experiment, person, first = (int(part[row]) for part in (windows.recording, windows.person, windows.start))
        for channel, kind in enumerate(["acc"] * 3 + ["gyro"] * 3):
            lines = hapt_members[f"RawData/{kind}_exp{experiment:02}_user{person:02}.txt"].splitlines()
            want = [float(line.split()[channel % 3]) for line in lines[first : first + 128]]
            np.testing.assert_array_equal(windows.x[row, channel], np.array(want, np.float32))
        (segment,) = [line for line in labels if line[0] == experiment and line[3] <= first + 1 <= line[4]]
        assert segment[2] == windows.y[row] + 1
        assert segment[4] >= first + 128
        assert (first + 1 - segment[3]) % 64 == 0


def test_six_classes_are_the_same_windows_without_the_changes_of_posture(parse: Callable[..., Windows]) -> None:
    twelve, six = parse(), parse(classes=6)
    kept = twelve.y < 6
    assert six.y.tolist() == twelve.y[kept].tolist()
    assert six.recording.tolist() == twelve.recording[kept].tolist()
    np.testing.assert_array_equal(six.x, twelve.x[kept])
    assert Hapt(classes=6).description.classes == CLASSES[:6]


def test_line_ends_and_the_distributed_rows_do_not_matter(parse: Callable[..., Windows]) -> None:
    assert parse(acc=lambda c: c.replace(b"\n", b"\r\n"), y=lambda c: None, subject=lambda c: None).digest() == (
        parse().digest()
    )


def test_every_form_of_the_archive_gives_the_same_windows(
    tmp_path: Path, hapt_stand_in: type[Hapt], hapt_members: dict[str, bytes], zipped: Pack
) -> None:
    content = zipped(hapt_members)
    half = {name: member for name, member in hapt_members.items() if "acc" in name or "labels" in name}
    rest = {name: member for name, member in hapt_members.items() if name not in half}
    outer = "smartphone+based+recognition+of+human+activities+and+postural+transitions"
    forms: dict[str, Mapping[str, bytes]] = {
        "zip": {"HAPT Data Set.zip": content},
        "zip in zip": {f"{outer}.zip": zipped({"HAPT Data Set.zip": content, "names": b""})},
        "zip in folder": {f"{outer}/HAPT Data Set.zip": content},
        "folder": {f"HAPT Data Set/{name}": member for name, member in hapt_members.items()},
        "the data folder itself": hapt_members,
        "half unpacked": {**half, "rest.zip": zipped(rest)},
    }
    digests = set()
    for number, (form, files) in enumerate(forms.items()):
        for name, member in files.items():
            (tmp_path / form / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / form / name).write_bytes(member)
        cache = tmp_path / f"cache{number}"
        digests.add(prepare(hapt_stand_in(), data_dir=tmp_path / form, cache=cache, download=False).digest)
    assert len(digests) == 1


def replaced(line: int, old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """A change of one line, counted from 1."""

    def change(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        assert old in lines[line - 1]
        lines[line - 1] = lines[line - 1].replace(old, new, 1)
        return b"".join(lines)

    return change


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"acc": replaced(7, b" ", b" x")}, "acc_exp03_user01.txt line 7 holds 'x"),
        ({"acc": replaced(7, b" ", b" nan ")}, "acc_exp03_user01.txt line 7 has 4 numbers, wanted 3"),
        ({"acc": lambda c: b"nan 1 2\n" + c.split(b"\n", 1)[1]}, "line 1 holds 'nan', a value that is not finite"),
        ({"gyro": lambda c: b"1 2 1_0\n" + c.split(b"\n", 1)[1]}, "line 1 holds '1_0', wanted a number"),
        ({"gyro": lambda c: b"1 2 inf\n" + c.split(b"\n", 1)[1]}, "gyro_exp03_user01.txt line 1 holds 'inf'"),
        ({"gyro": lambda c: b"\n" + c}, "gyro_exp03_user01.txt line 1 has 0 numbers"),
        ({"gyro": lambda c: b""}, "gyro_exp03_user01.txt is empty"),
        ({"gyro": lambda c: b" \n" + b"\x85\n"}, "gyro_exp03_user01.txt line"),
        ({"gyro": lambda c: None}, "holds no RawData/gyro_exp03_user01.txt"),
        ({"gyro": lambda c: c + b"1 2 3\n"}, "gyro_exp03_user01.txt"),
        ({"acc": lambda c: c[: len(c) // 2].rsplit(b"\n", 1)[0], "gyro": lambda c: c}, "wanted equal"),
        (
            {key: lambda c: b"".join(c.splitlines(keepends=True)[:500]) for key in ("acc", "gyro")},
            "RawData/labels.txt line",
        ),
        ({"acc": lambda c: b"1 2 3\n" + c.split(b"\n", 1)[1]}, "RawData/acc_exp03 or gyro_exp03 is not the original's"),
        ({"labels": replaced(5, b" 5 ", b" 13 ")}, "RawData/labels.txt line 5 has activity 13, wanted 1 to 12"),
        ({"labels": replaced(5, b" 5 ", b" 0 ")}, "RawData/labels.txt line 5 has activity 0"),
        ({"labels": replaced(5, b" 5 ", b" ")}, "RawData/labels.txt line 5 is "),
        ({"labels": replaced(5, b" 5 ", b" 1.5 ")}, "RawData/labels.txt line 5 is "),
        ({"labels": replaced(5, b"1 1 5 ", b"1 2 5 ")}, "line 5 gives experiment 1 to person 2, not 1"),
        ({"labels": replaced(5, b"1 1 5 ", b"1 1 5 9")}, "RawData/labels.txt line 5 goes from sample 9"),
        ({"labels": replaced(5, b"\n", b"9\n")}, "RawData/labels.txt line 5 ends at sample"),
        ({"labels": lambda c: b""}, "RawData/labels.txt is empty"),
        ({"labels": lambda c: c[: len(c) // 2]}, "RawData/labels.txt"),
        ({"labels": replaced(1, b"1 1 1 ", b"1 1 2 ")}, "Train/y_train.txt line 1 is 1, but RawData/labels.txt"),
        ({"y": lambda c: c + b"5\n"}, "Train/y_train.txt has "),
        ({"y": lambda c: b"2" + c[1:]}, "Train/y_train.txt line 1 is 2, but RawData/labels.txt makes it 1"),
        ({"subject": lambda c: b"4" + c[1:]}, "Test/subject_id_test.txt line 1 is 4, but"),
    ],
)
def test_a_wrong_member_is_named_in_one_line(
    parse: Callable[..., Windows], changed: dict[str, Change], words: str
) -> None:
    with pytest.raises(KdbenchError) as caught:
        parse(**changed)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_labels_that_agree_with_everything_but_the_original_are_refused(parse: Callable[..., Windows]) -> None:
    def later(content: bytes) -> bytes:
        first, rest = content.split(b"\n", 1)
        *front, start, end = first.split()
        return b" ".join([*front, b"%d" % (int(start) + 1), b"%d" % (int(end) + 1)]) + b"\n" + rest

    with pytest.raises(KdbenchError, match=r"labels\.txt is not the original's"):
        parse(labels=later)


def test_the_original_s_class_refuses_the_stand_in(
    tmp_path: Path, hapt_members: dict[str, bytes], zipped: Pack
) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(hapt_members))
    with Source(tmp_path / "a.zip") as source, pytest.raises(KdbenchError, match="not the original's"):
        Hapt().parse(source)


def test_there_is_nothing_to_parse_without_a_source() -> None:
    with pytest.raises(KdbenchError, match="wanted an archive"):
        Hapt().parse(None)

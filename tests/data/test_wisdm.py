"""WISDM's raw text, generated in the original's format with every flaw that it is known for."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kdbench.data import Prepared, prepare
from kdbench.data.wisdm import CLASSES, RAW, Wisdm, read
from kdbench.errors import KdbenchError

PEOPLE = tuple(range(1, 37))
Record = tuple[int, str, float, float, float]


class RawText(Protocol):
    """What the generator in ``conftest.py`` gives."""

    content: bytes
    records: list[Record]
    counts: dict[str, int]


def good(content: bytes) -> list[Record]:
    """The records that are read."""
    found = read(content, people=PEOPLE)
    rows = zip(found.person.tolist(), found.label.tolist(), found.acceleration.tolist(), strict=True)
    return [(person, CLASSES[label].capitalize(), *xyz) for person, label, xyz in rows]


def as_tar(folder: Path, content: bytes) -> None:
    with tarfile.open(folder / "WISDM_ar_latest.tar.gz", "w:gz") as tar:
        for name, member in (("._" + RAW, b"mac"), (RAW, content), ("readme.txt", b"")):
            info = tarfile.TarInfo(f"./WISDM_ar_v1.1/{name}")
            info.size = len(member)
            tar.addfile(info, io.BytesIO(member))


def as_plain_tar(folder: Path, content: bytes) -> None:
    as_tar(folder, content)
    packed = folder / "WISDM_ar_latest.tar.gz"
    (folder / "WISDM_ar_latest.tar").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()


def as_folder(folder: Path, content: bytes) -> None:
    (folder / "WISDM_ar_v1.1").mkdir()
    (folder / "WISDM_ar_v1.1" / RAW).write_bytes(content)


def as_bare_file(folder: Path, content: bytes) -> None:
    (folder / RAW).write_bytes(content)
    (folder / "something else.txt").write_bytes(b"")


def test_good_records_are_kept_and_flaws_counted_by_kind(wisdm_text: RawText) -> None:
    assert all(wisdm_text.counts.values())
    assert good(wisdm_text.content) == wisdm_text.records
    assert read(wisdm_text.content, people=PEOPLE).counts == wisdm_text.counts


@pytest.mark.parametrize("pack", [as_tar, as_plain_tar, as_folder, as_bare_file])
def test_every_form_gives_the_same_windows_and_the_report(
    tmp_path: Path, wisdm_text: RawText, wisdm_stand_in: type[Wisdm], pack: Callable[[Path, bytes], None]
) -> None:
    pack(tmp_path, wisdm_text.content)

    def prepared() -> Prepared:
        return prepare(wisdm_stand_in(), data_dir=tmp_path, cache=tmp_path / "cache", download=False)

    assert prepared().report == prepared().report == {**wisdm_text.counts, "byte for byte a known file": False}
    windows = prepared().windows
    rows = windows_of(wisdm_text.records)
    assert len(rows) == len(windows.y)
    for row, (person, label, start, xyz) in enumerate(rows):
        assert (windows.person[row], CLASSES[windows.y[row]].capitalize(), windows.start[row]) == (person, label, start)
        np.testing.assert_array_equal(windows.x[row], np.array(xyz, np.float32).T)
    assert windows.test.tolist() == [person == 27 for person, *_ in rows]
    assert len(np.unique(windows.recording)) == 18


def windows_of(records: list[Record]) -> list[tuple[int, str, int, list[tuple[float, ...]]]]:
    """The windows of 90 records every 45, by another way than the dataset's."""
    out, run = [], 0
    for row, record in enumerate(records):
        if record[:2] != records[run][:2]:
            run = row
        if (start := row - run - 89) >= 0 and start % 45 == 0:
            out.append((*record[:2], start, [r[2:] for r in records[row - 89 : row + 1]]))
    return out


def test_other_content_has_an_entry_of_its_own_but_other_files_beside_it_do_not(
    tmp_path: Path, wisdm_text: RawText, wisdm_stand_in: type[Wisdm]
) -> None:
    content = wisdm_text.content
    for raw, other in ((content, b"1"), (content, b"2"), (b"\n" + content, b"2")):
        (tmp_path / RAW).write_bytes(raw)
        (tmp_path / "other").write_bytes(other)
        prepare(wisdm_stand_in(), data_dir=tmp_path, cache=tmp_path / "cache", download=False)
    assert len([path for path in (tmp_path / "cache" / "data").iterdir() if path.is_dir()]) == 2


numbers = st.floats(-1e3, 1e3).map(repr) | st.integers(-20, 20).map(str) | st.sampled_from([".5", "-3.", "1E-4", "+2"])
records = st.tuples(
    st.integers(1, 36), st.sampled_from([name.capitalize() for name in CLASSES]), numbers, numbers, numbers
)
junk = st.text("0159.,-;+eE \t\r\nWalkingnaf", max_size=30) | st.text(max_size=20).map(lambda text: f"1,{text}")
ends = st.sampled_from([";\n", ";\r\n", ";", "\n", "\r\n", "\r", ",;\n", ",,;", " ; \n", ";;\n\n"])
joints = st.sampled_from(["", ",", ",,", " , ", ";,"])
pieces = st.tuples(records, st.tuples(ends, junk) | joints)


@given(st.lists(pieces, min_size=1, max_size=12), st.sampled_from(["", "\ufeff", ",", "4.4,"]))
def test_no_good_record_is_lost_or_altered_whatever_surrounds_it(
    parts: list[tuple[tuple[object, ...], tuple[str, str] | str]], before: str
) -> None:
    # What is no joint ends in a semicolon or a line end; a record by chance in it would have all the six fields.
    others = [between[1] for _, between in parts if isinstance(between, tuple)]
    assume(not any(piece.count(",") >= 5 for other in others for piece in other.replace("\n", ";").split(";")))
    text, want, joint = before, [], ";"
    for (person, activity, *xyz), between in parts:
        who = want[-1][0] if joint == "" else person  # nothing parts the two but that the person is the same
        text += f"{who},{activity},49105962326000,{','.join(map(str, xyz))}"
        want.append((who, activity, *(float(str(value)) for value in xyz)))
        joint = between if isinstance(between, str) else ";"
        text += between if isinstance(between, str) else f"{between[0]}{between[1]};"
    assert good(text.encode()) == want


@given(st.binary(max_size=200))
def test_anything_at_all_is_read_or_refused_in_one_line(content: bytes) -> None:
    said = ""
    try:
        read(content, people=PEOPLE)
    except KdbenchError as error:
        said = str(error)
    assert not said or said.isprintable()


FINE = b"1,Walking,4991922345000,0.69,10.8,-2.03;\n"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"11,Walking,1867172313000,4.4,4.4,;", "missing value"),
        (b"11,Walking,1867172313000,4.4,4.4;", "missing value"),
        (b"11,,1867172313000,4.4,4.4,4.4;", "missing value"),
        (b"11,Walking,1867172313000,4.4,4.4,4.4,4.4;", "too many fields"),
        (b"11,Walking,1867172313000,4.4,4.4,1_0;", "garbled"),
        (b"Walking,11,1867172313000,4.4,4.4,4.4;", "garbled"),
        (FINE[:-2] + b"5,Walking,4991922345000,0.69,10.8,-2.03;", "too many fields"),
        (FINE[:-6] + b"512,Walking,4991922345000,0.69,10.8,-2.03;", "too many fields"),
        (b"\xff\x00", "garbled"),
        (b"11;", "garbled"),
        (b" \t", "empty line"),
        (b"", "empty line"),
        (b";", "empty line"),
    ],
)
def test_what_is_no_record_is_counted_as_one_kind(content: bytes, kind: str) -> None:
    before, after = (read(text, people=PEOPLE).counts for text in (FINE * 2, FINE + content + b"\n" + FINE))
    assert {key for key in after if after[key] != before[key]} == {kind}
    assert after[kind] == 1


@pytest.mark.parametrize(
    ("content", "records", "kinds"),
    [
        (FINE[:-2] + b"," + FINE, 2, {"run together"}),
        (FINE[:-2] + FINE, 2, {"run together"}),
        (FINE[:-2] * 3, 3, {"run together"}),
        (FINE[:-2] + b",,;", 1, {"stray comma"}),
        (b"," + FINE, 1, {"stray comma"}),
        (FINE[:-2] + b",11,Walking,1867172313000,4.4,;", 1, {"run together", "missing value"}),
        (b"1,Walking,1867172313000,4.4," + FINE, 1, {"run together", "missing value"}),
        (b"4.4," + FINE, 1, {"run together", "garbled"}),
    ],
)
def test_a_good_record_is_kept_whatever_it_was_run_together_with(content: bytes, records: int, kinds: set[str]) -> None:
    text = FINE + content.rstrip() + b"\n" + FINE
    counts = read(text, people=PEOPLE).counts
    assert good(text) == good(FINE * (2 + records))
    assert {kind for kind in counts if kind != "records" and counts[kind]} == kinds


def test_a_byte_order_mark_costs_no_record() -> None:
    assert good(b"\xef\xbb\xbf" + FINE) == good(FINE)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"1,LyingDown,4991922345000,0.69,10.8,-2.03;", "line 3 has activity 'LyingDown', wanted one of walking, jog"),
        (b"37,Walking,4991922345000,0.69,10.8,-2.03;", "line 3 has person 37, wanted 1 to 36"),
        (b"1,Walking,4991922345000,nan,10.8,-2.03;", "line 3 holds a value that is not finite"),
        (b"1,Walking,4991922345000,1e999,10.8,-2.03;", "line 3 holds a value that is not finite"),
        (b"1,Walking,4991922345000,1e39,10.8,-2.03;", "line 3 holds a value that is not finite"),
    ],
)
def test_a_record_of_something_else_is_refused_with_its_line(
    tmp_path: Path, wisdm_text: RawText, line: bytes, words: str
) -> None:
    (tmp_path / RAW).write_bytes(b"\n" + FINE + line + wisdm_text.content)
    with pytest.raises(KdbenchError) as caught:
        prepare(Wisdm(), data_dir=tmp_path, cache=tmp_path / "cache", download=False)
    assert f"{RAW} {words}" in str(caught.value)
    assert [path for path in (tmp_path / "cache" / "data").iterdir() if path.is_dir()] == []


def test_a_text_that_was_cut_short_is_refused(tmp_path: Path, wisdm_text: RawText, wisdm_stand_in: type[Wisdm]) -> None:
    (tmp_path / RAW).write_bytes(wisdm_text.content[: -len(wisdm_text.content) // 20])
    with pytest.raises(KdbenchError, match=r"not that of v1\.1: \d+ records of s\w+ing, wanted about \d+"):
        prepare(wisdm_stand_in(), data_dir=tmp_path, cache=tmp_path / "cache", download=False)


def test_a_text_without_records_is_refused(tmp_path: Path, wisdm_stand_in: type[Wisdm]) -> None:
    (tmp_path / RAW).write_bytes(b"<html>\n")
    with pytest.raises(KdbenchError, match="holds no record"):
        prepare(wisdm_stand_in(), data_dir=tmp_path, cache=tmp_path / "cache", download=False)


def test_long_digits_take_no_long_time() -> None:
    assert good(FINE + b"1" * 200_000 + b"," + b" " * 200_000 + b";\n" + FINE) == good(FINE * 2)

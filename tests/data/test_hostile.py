"""Archives that are damaged, dangerous or not what they should be: a clear error and an empty cache, every time."""

from __future__ import annotations

import io
import random
import re
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from kdbench.data import Source, prepare
from kdbench.data.hapt import Hapt
from kdbench.data.wisdm import Wisdm
from kdbench.errors import DataUnavailable, KdbenchError, MachineError

Pack = Callable[[Mapping[str, bytes]], bytes]
NAME = "HAPT Data Set.zip"
MUTANTS = 500


class RawText(Protocol):
    """What the generator in ``conftest.py`` gives."""

    content: bytes


@pytest.fixture(scope="module")
def good(hapt_members: dict[str, bytes], zipped: Pack) -> bytes:
    return zipped(hapt_members)


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def corrupted(content: bytes) -> bytes:
    middle = content.index(b"RawData/gyro_exp02_user02.txt") + 1000
    return content[:middle] + bytes(100) + content[middle + 100 :]


def something_else(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("holiday/photo.jpg", b"")
    return file.getvalue()


def a_web_page(content: bytes) -> bytes:
    return b"<html>log in first</html>"


def password_protected(content: bytes) -> bytes:
    out = bytearray(content)
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := out.find(signature, at + 1)) >= 0:
            out[at + offset] |= 1
    return bytes(out)


def with_member(name: str) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        file = io.BytesIO(content)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(name, b"1 1 1 1 200\n")
        return file.getvalue()

    return change


def without_a_name(content: bytes) -> bytes:
    out, at = bytearray(content), content.rindex(b"PK\1\2")
    out[at + 28 : at + 30], out[at + 32 : at + 34] = out[at + 32 : at + 34], out[at + 28 : at + 30]  # it is a comment
    return bytes(out)


def declaring(size: int) -> Callable[[bytes], bytes]:
    """Every member is said to be so large once it is unpacked."""

    def change(content: bytes) -> bytes:
        out, at = bytearray(content), -1
        while (at := out.find(b"PK\1\2", at + 1)) >= 0:
            out[at + 24 : at + 28] = struct.pack("<I", size)
        return bytes(out)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (truncated, "truncated"),
        (corrupted, "gyro_exp02_user02.txt cannot be read"),
        (something_else, "holds no RawData/labels.txt"),
        (a_web_page, "not a zip or tar archive"),
        (password_protected, "RawData/labels.txt cannot be read (File 'RawData/labels.txt' is encrypted, password"),
        (with_member("../RawData/labels.txt"), "its member '../RawData/labels.txt' points outside of it"),
        (with_member("a/../../labels.txt"), "points outside of it"),
        (with_member("/etc/labels.txt"), "its member '/etc/labels.txt' points outside of it"),
        (with_member("C:\\labels.txt"), "points outside of it"),
        (with_member("a\\..\\..\\labels.txt"), "points outside of it"),
        (without_a_name, "a member without a name"),
        (declaring(2**32 - 2), "its members declare more than 4294967296 bytes"),
        (declaring(1000), "RawData/labels.txt"),
    ],
)
def test_it_is_refused_in_one_line_and_nothing_is_cached(
    tmp_path: Path, good: bytes, hapt_stand_in: type[Hapt], change: Callable[[bytes], bytes], words: str
) -> None:
    (tmp_path / NAME).write_bytes(change(good))
    with pytest.raises(KdbenchError) as caught:
        prepare(hapt_stand_in(), data_dir=tmp_path, cache=tmp_path / "cache", download=False)
    assert words in str(caught.value)
    assert str(tmp_path / NAME) in str(caught.value)
    assert str(caught.value).isprintable()
    assert cached(tmp_path / "cache") == []


def test_a_small_member_that_unpacks_to_gigabytes_is_refused_unread(tmp_path: Path, zipped: Pack) -> None:
    content = zipped({"RawData/labels.txt": bytes(2**20)})
    assert len(content) < 10_000
    (tmp_path / NAME).write_bytes(declaring(2**31)(content))
    with pytest.raises(KdbenchError, match="has 2147483648 bytes, more than the"), Source(tmp_path / NAME) as source:
        source.read("RawData/labels.txt")


def cached(cache: Path) -> list[Path]:
    return [path for path in (cache / "data").iterdir() if path.is_dir()] if cache.exists() else []


def mutant(content: bytes, seed: int) -> bytes:
    """A few changes of a few bytes, half of them where names, sizes and offsets stand."""
    rng, out = random.Random(seed), bytearray(content)
    places = [found.start() for found in re.finditer(b"PK(\1\2|\3\4|\5\6)", content)]
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        at = rng.randrange(len(out))
        if rng.random() < 0.5:
            at = min(rng.choice(places) + rng.randrange(60), len(out) - 1)
        size = rng.choice([1, 1, 4, 20])
        kind = rng.randrange(7)
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at : at + size] = rng.randbytes(len(out[at : at + size]))
        elif kind == 2:
            del out[at : at + size]
        elif kind == 3:
            out[at:at] = rng.randbytes(size)
        elif kind == 4:
            out[at : at + size] = bytes([rng.choice([0, 255])]) * len(out[at : at + size])
        elif kind == 5:
            other = rng.randrange(len(out))
            out[at : at + 64] = out[other : other + len(out[at : at + 64])]
        elif rng.random() < 0.3:
            del out[at:]
        if not out:
            return b""
    return bytes(out)


def test_mutated_archives_give_an_error_or_the_right_windows(
    tmp_path: Path, good: bytes, hapt_stand_in: type[Hapt]
) -> None:
    (tmp_path / NAME).write_bytes(good)
    right = prepare(hapt_stand_in(), data_dir=tmp_path, cache=tmp_path / "right", download=False).digest
    refused = 0
    for seed in range(MUTANTS):
        (tmp_path / NAME).write_bytes(mutant(good, seed))
        cache = tmp_path / f"cache{seed}"
        said = ""
        try:
            digest = prepare(hapt_stand_in(), data_dir=tmp_path, cache=cache, download=False).digest
        except KdbenchError as error:
            said = str(error)
            assert not isinstance(error, DataUnavailable | MachineError), seed  # noqa: PT017
        if said:
            refused += 1
            assert str(tmp_path / NAME) in said, seed
            assert said.isprintable(), seed
            assert cached(cache) == [], seed
        else:
            assert digest == right, seed
    assert MUTANTS // 2 < refused < MUTANTS


def test_a_tar_of_which_any_byte_changed_gives_an_error_or_the_right_windows(
    tmp_path: Path, wisdm_text: RawText, wisdm_stand_in: type[Wisdm]
) -> None:
    # Most bytes inside a gzip can change without the tar in it becoming unreadable; only its checksum tells.
    path = tmp_path / "WISDM_ar_latest.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("WISDM_ar_v1.1/WISDM_ar_v1.1_raw.txt")
        info.size = len(wisdm_text.content)
        tar.addfile(info, io.BytesIO(wisdm_text.content))
    good = path.read_bytes()
    right = prepare(wisdm_stand_in(), data_dir=tmp_path, cache=tmp_path / "right", download=False).digest
    refused = 0
    for at in range(0, len(good), len(good) // 60):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
        cache, said = tmp_path / f"cache{at}", ""
        try:
            digest = prepare(wisdm_stand_in(), data_dir=tmp_path, cache=cache, download=False).digest
        except KdbenchError as error:
            said = str(error)
        if said:
            refused += 1
            assert said.isprintable()
            assert cached(cache) == []
        else:
            assert digest == right, at
    assert refused > 55

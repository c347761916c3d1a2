from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from kdbench.data import Source, _archive, git_id
from kdbench.errors import KdbenchError

Pack = Callable[[Mapping[str, bytes]], bytes]
MEMBERS = {
    "top/train/y.txt": b"1\n2\n",
    "top/train/xy.txt": b"3\n",
    "top/__MACOSX/train/y.txt": b"",
    "top/._y.txt": b"",
}


def as_zip(path: Path, zipped: Pack) -> None:
    path.write_bytes(zipped(MEMBERS))


def as_zip_in_zip(path: Path, zipped: Pack) -> None:
    path.write_bytes(zipped({"top names.txt": b"", "__MACOSX/bad.zip": b"not one", "in.zip": zipped(MEMBERS)}))


def as_folder(path: Path, zipped: Pack) -> None:
    for name, content in MEMBERS.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)


def as_zip_in_folder(path: Path, zipped: Pack) -> None:
    path.mkdir()
    (path / "in.zip").write_bytes(zipped(MEMBERS))


def as_tar(path: Path, zipped: Pack) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in MEMBERS.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


WAYS = [as_zip, as_zip_in_zip, as_folder, as_zip_in_folder, as_tar]


def refusal(path: Path, member: str, **options: int) -> str:
    """The one line with which reading a member is refused."""
    with pytest.raises(KdbenchError) as caught, Source(path, **options) as source:
        source.read(member)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("pack", WAYS)
def test_a_member_is_found_by_the_end_of_its_path_however_it_is_packed(
    tmp_path: Path, zipped: Pack, pack: Callable[[Path, Pack], None]
) -> None:
    path = tmp_path / "data"
    pack(path, zipped)
    before = sorted(tmp_path.rglob("*"))
    with Source(path) as source:
        assert source.read("train/y.txt") == b"1\n2\n"
        assert source.read("y.txt") == b"1\n2\n"
        assert source.read("top/train/xy.txt") == b"3\n"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("pack", WAYS)
def test_a_missing_member_is_named(tmp_path: Path, zipped: Pack, pack: Callable[[Path, Pack], None]) -> None:
    pack(tmp_path / "data", zipped)
    assert "holds no train/z.txt" in refusal(tmp_path / "data", "train/z.txt")


@pytest.mark.parametrize("pack", WAYS)
def test_whether_a_member_is_there_can_be_asked(
    tmp_path: Path, zipped: Pack, pack: Callable[[Path, Pack], None]
) -> None:
    pack(tmp_path / "data", zipped)
    with Source(tmp_path / "data") as source:
        assert source.find("train/y.txt") == "top/train/y.txt"
        assert source.find("train/z.txt") is None


def test_an_id_is_the_one_that_git_gives() -> None:
    assert git_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert git_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_a_tar_with_a_member_outside_of_it_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("../y.txt"), io.BytesIO())
    assert "'../y.txt' points outside of it" in refusal(tmp_path / "a.tar", "y.txt")


def test_a_tar_after_which_too_much_comes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_archive, "TOTAL_LIMIT", 3 * 2**20)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(tarfile.TarInfo("y.txt").tobuf() + bytes(2**23)))
    assert "more than 3145728 bytes come out of it" in refusal(tmp_path / "a.tar.gz", "y.txt")


def test_the_list_of_names_leaves_out_mac_metadata(tmp_path: Path, zipped: Pack) -> None:
    as_zip(tmp_path / "a.zip", zipped)
    with Source(tmp_path / "a.zip") as source:
        assert source.names() == ("top/train/xy.txt", "top/train/y.txt")


def test_the_member_nearest_to_the_top_is_meant(tmp_path: Path, zipped: Pack) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"old/copy/y.txt": b"old", "top/y.txt": b"new"}))
    with Source(tmp_path / "a.zip") as source:
        assert source.read("y.txt") == b"new"


def test_two_members_equally_near_are_refused(tmp_path: Path, zipped: Pack) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"a/y.txt": b"", "b/y.txt": b""}))
    assert "a/y.txt, b/y.txt" in refusal(tmp_path / "a.zip", "y.txt")


def test_a_large_member_is_refused_before_it_is_read(tmp_path: Path, zipped: Pack) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"big.txt": bytes(1001)}))
    assert "big.txt has 1001 bytes, more than the 1000 allowed" in refusal(tmp_path / "a.zip", "big.txt", limit=1000)


def test_a_member_larger_than_it_declares_is_refused(tmp_path: Path, zipped: Pack) -> None:
    content = zipped({"big.txt": bytes(2**20)})
    small = content.replace((2**20).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    (tmp_path / "a.zip").write_bytes(small)
    assert "big.txt" in refusal(tmp_path / "a.zip", "big.txt")


def test_a_member_smaller_than_it_declares_is_refused(tmp_path: Path, zipped: Pack) -> None:
    content = zipped({"some.txt": bytes(1000)})
    (tmp_path / "a.zip").write_bytes(content.replace((1000).to_bytes(4, "little"), (2000).to_bytes(4, "little")))
    assert "some.txt" in refusal(tmp_path / "a.zip", "some.txt")


def test_a_tar_that_declares_absurd_sizes_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("y.txt")
    info.size = 2**40
    (tmp_path / "a.tar").write_bytes(info.tobuf() + bytes(1024))
    assert "declare more than" in refusal(tmp_path / "a.tar", "y.txt")


def test_damaged_content_is_refused(tmp_path: Path, zipped: Pack) -> None:
    content = bytearray(zipped({"y.txt": b"0123456789" * 50}))
    content[40] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(content)
    assert "y.txt cannot be read" in refusal(tmp_path / "a.zip", "y.txt")


def test_an_encrypted_member_is_refused(tmp_path: Path, zipped: Pack) -> None:
    content = bytearray(zipped({"y.txt": b"1"}))
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    assert "encrypted" in refusal(tmp_path / "a.zip", "y.txt")


def test_a_truncated_zip_is_refused(tmp_path: Path, zipped: Pack) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(MEMBERS)[:-30])
    assert "truncated" in refusal(tmp_path / "a.zip", "y.txt")


def test_a_truncated_tar_is_refused(tmp_path: Path, zipped: Pack) -> None:
    as_tar(tmp_path / "a.tar.gz", zipped)
    content = (tmp_path / "a.tar.gz").read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(content[: len(content) // 2])
    refusal(tmp_path / "a.tar.gz", "y.txt")


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("<html>log in first</html>")
    assert "not a zip or tar archive" in refusal(tmp_path / "a.zip", "y.txt")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").touch()
    refusal(tmp_path / "a.zip", "y.txt")


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    refusal(tmp_path / "a.zip", "y.txt")


def test_an_inner_zip_that_is_none_is_named(tmp_path: Path, zipped: Pack) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"in.zip": b"nothing"}))
    assert "in.zip is not a zip" in refusal(tmp_path / "a.zip", "y.txt")


@pytest.mark.parametrize("pack", [as_zip, as_folder])
def test_the_fingerprint_follows_the_content(
    tmp_path: Path, zipped: Pack, pack: Callable[[Path, Pack], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    prints = []
    for name, label in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        monkeypatch.setitem(MEMBERS, "top/train/y.txt", label)
        pack(tmp_path / name, zipped)
        with Source(tmp_path / name) as source:
            prints.append(source.fingerprint())
    assert prints[0] == prints[1] != prints[2]

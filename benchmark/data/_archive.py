"""Members of an archive or an unpacked folder, read by name into memory; nothing is ever extracted to disk."""

from __future__ import annotations

import hashlib
import io
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from kdbench.errors import KdbenchError

MEMBER_LIMIT = 2**30
"""Bytes. The largest member of any dataset here is an archive within an archive, that of PAMAP2, of some 690 MB."""

TOTAL_LIMIT = 4 * 2**30
"""Bytes that all members of an archive may declare together."""

DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    ValueError,
)
"""What the standard library raises on damaged archives, beside OSError."""


class Source:
    """A zip, a tar, a folder unpacked from one, or a zip that holds the wanted zip, whichever lies at ``path``.

    Use as a context manager. Metadata that Mac OS adds to archives is ignored.

    Args:
        path: an archive or a folder.
        limit: bytes; a larger member is refused before it is read.
        advice: what messages about a damaged archive end in.

    Raises:
        KdbenchError: ``path`` is not an archive, is truncated, or cannot be read.
    """

    def __init__(self, path: Path, *, limit: int = MEMBER_LIMIT, advice: str = "fetch it again") -> None:
        self.path = path
        self._limit = limit
        self._advice = advice
        self._stack = ExitStack()
        self._inner: list[_Container] | None = None
        try:
            if path.is_dir():
                self._outer: _Container = _Folder(path)
            elif zipfile.is_zipfile(path):
                self._outer = _Zip(self._stack.enter_context(zipfile.ZipFile(path)))
            elif tarfile.is_tarfile(path):
                self._outer = _Tar(self._stack.enter_context(tarfile.open(path)))  # noqa: SIM115 - the stack closes it
            else:
                with path.open("rb") as file:
                    begun = file.read(2) in (b"PK", b"\x1f\x8b")
                what = "a truncated archive" if begun else "not a zip or tar archive"
                raise KdbenchError(f"{path} is {what}; {advice}")
        except (OSError, *DAMAGE) as error:
            self._stack.close()
            raise KdbenchError(f"{path} cannot be opened as an archive ({reason(error)}); {advice}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def names(self) -> tuple[str, ...]:
        """Members of the archive or folder itself (not of zips in it), with forward slashes, sorted."""
        return tuple(sorted(self._outer.names()))

    def find(self, suffix: str) -> str | None:
        """The whole path of the member that ``read`` would read, or None if there is no such member.

        Raises:
            KdbenchError: more than one at the same depth, or a zip among the members is damaged.
        """
        found = self._look(suffix)
        return None if found is None else found[1]

    def read(self, suffix: str) -> bytes:
        """Content of the member whose path ends in ``suffix`` (whole path components, forward slashes).

        Of several such members the one nearest to the top is meant.

        Raises:
            KdbenchError: no such member, more than one at the same depth, too large, encrypted, or damaged.
        """
        found = self._look(suffix)
        if found is not None:
            return self._read(*found)
        raise KdbenchError(f"{self.path} holds no {suffix}; wanted the archive as distributed, or its unpacked folder")

    def fingerprint(self) -> str:
        """SHA-256 over the file's bytes; for a folder, over the names and bytes of all its files."""
        total = hashlib.sha256()
        if not self.path.is_dir():
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        for name in self.names():
            content = hashlib.sha256(self._read(self._outer, name)).hexdigest()
            total.update(f"{content} {name}\n".encode())
        return total.hexdigest()

    def _look(self, suffix: str) -> tuple[_Container, str] | None:
        name = self._choose(self._outer, suffix)
        if name is not None:
            return self._outer, name
        for container in self._zips():
            name = self._choose(container, suffix)
            if name is not None:
                return container, name
        return None

    def _zips(self) -> list[_Container]:
        # Opened only when a member is not found outside, and once: an inner zip is read whole, since seeking
        # inside a compressed member would decompress it from its start again and again.
        if self._inner is None:
            self._inner = []
            for name in self.names():
                if name.lower().endswith(".zip"):
                    content = self._read(self._outer, name)
                    try:
                        self._inner.append(_Zip(self._stack.enter_context(zipfile.ZipFile(io.BytesIO(content)))))
                    except DAMAGE as error:
                        raise KdbenchError(f"{self.path}: {_shown(name)} is not a zip ({reason(error)})") from error
        return self._inner

    def _choose(self, container: _Container, suffix: str) -> str | None:
        found = [name for name in container.names() if name == suffix or name.endswith(f"/{suffix}")]
        if not found:
            return None
        depth = min(name.count("/") for name in found)
        found = sorted(name for name in found if name.count("/") == depth)
        if len(found) > 1:
            raise KdbenchError(
                f"{self.path} holds {suffix} more than once: {', '.join(map(_shown, found))}; wanted one"
            )
        return found[0]

    def _read(self, container: _Container, name: str) -> bytes:
        try:
            size = container.size(name)
            if size > self._limit:
                raise KdbenchError(f"{self.path}: {_shown(name)} has {size} bytes, more than the {self._limit} allowed")
            content = container.read(name, self._limit)
        except (OSError, RuntimeError, *DAMAGE) as error:  # zipfile raises RuntimeError for an encrypted member
            what = f"{_shown(name)} cannot be read ({reason(error)})"
            raise KdbenchError(f"{self.path}: {what}; {self._advice}") from error
        if len(content) != size:
            what = f"{_shown(name)} has {len(content)} bytes and declares {size}"
            raise KdbenchError(f"{self.path}: {what}; {self._advice}")
        return content


class _Container(ABC):
    """Something that holds named members."""

    @abstractmethod
    def names(self) -> list[str]: ...

    @abstractmethod
    def size(self, name: str) -> int: ...

    @abstractmethod
    def read(self, name: str, limit: int) -> bytes: ...


class _Folder(_Container):
    def __init__(self, path: Path) -> None:
        self._files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}

    def names(self) -> list[str]:
        return [name for name in self._files if _wanted(name)]

    def size(self, name: str) -> int:
        return self._files[name].stat().st_size

    def read(self, name: str, limit: int) -> bytes:
        with self._files[name].open("rb") as file:
            return file.read(limit)


class _Zip(_Container):
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._zip = archive
        total = 0
        for info in archive.infolist():
            _safe(info.filename)
            total += info.file_size
        if total > TOTAL_LIMIT:
            raise zipfile.BadZipFile(f"its members declare more than {TOTAL_LIMIT} bytes")
        self._names = [info.filename for info in archive.infolist() if not info.is_dir() and _wanted(info.filename)]

    def names(self) -> list[str]:
        return self._names

    def size(self, name: str) -> int:
        return self._zip.getinfo(name).file_size

    def read(self, name: str, limit: int) -> bytes:
        with self._zip.open(name) as member:
            return member.read(limit)  # never more than the declared size; a wrong one fails the CRC


class _Tar(_Container):
    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members: dict[str, tarfile.TarInfo] = {}
        total = 0
        for member in tar:
            _safe(member.name)
            total += member.size
            if total > TOTAL_LIMIT:  # a compressed tar is unpacked up to its end just to list it
                raise tarfile.TarError(f"its members declare more than {TOTAL_LIMIT} bytes")
            if member.isfile() and _wanted(member.name):
                self._members[member.name] = member
        # gzip keeps its checksum at its end, which a tar's own end may hide.
        while tar.fileobj is not None and tar.fileobj.read(2**20):
            total += 2**20
            if total > TOTAL_LIMIT:
                raise tarfile.TarError(f"more than {TOTAL_LIMIT} bytes come out of it")

    def names(self) -> list[str]:
        return list(self._members)

    def size(self, name: str) -> int:
        return self._members[name].size

    def read(self, name: str, limit: int) -> bytes:
        member = self._tar.extractfile(self._members[name])
        return member.read(limit) if member is not None else b""


def git_id(content: bytes) -> str:
    """The id that git gives to a file, by which public repositories tell what they hold."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _safe(name: str) -> None:
    """Refuse a member that would be unpacked outside of its folder.

    Nothing is unpacked here, but nobody who packs data writes such a name.
    """
    if not name:
        raise ValueError("it holds a member without a name")
    if re.match(r"[/\\]|[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
        raise ValueError(f"its member {name!a} points outside of it")


def _wanted(name: str) -> bool:
    path = PurePosixPath(name)
    return "__MACOSX" not in path.parts and not path.name.startswith("._")


def _shown(name: str) -> str:
    return name if name.isprintable() else ascii(name)


def reason(error: Exception) -> str:
    """What an exception says, on one line."""
    return _shown(" ".join(str(error).split())) or type(error).__name__

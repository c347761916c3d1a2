"""Downloads: mirrors in turn, broken ones resumed, progress on standard error, a temporary name until complete."""

from __future__ import annotations

import errno
import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from kdbench.data._archive import Source
from kdbench.errors import DataUnavailable, KdbenchError, MachineError, absent

CONNECT_SECONDS = 5
READ_SECONDS = 30
OK, RANGE_NOT_SATISFIABLE = 200, 416  # HTTP
SIZE_LIMIT = 4 * 2**30
"""Bytes; nothing here is near it, and an endless answer must not fill the disk."""

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST)


def download(urls: Sequence[str], target: Path, *, check: Callable[[Source], object] = Source.names) -> None:
    """Download an archive to ``target``, in a folder that exists, from the first of ``urls`` that gives one.

    Whether it is the wanted one is up to ``check``, which refuses another with a KdbenchError; the next of ``urls`` is
    tried then.

    What came before a connection broke, or the user did, is kept beside the target, and the next attempt asks the same
    server for the rest, if the server told then how to ask whether the file is still the same. An answer that is not an
    archive, such as a log-in page, counts as a failed mirror.

    Raises:
        DataUnavailable: no mirror gave an archive, or pooch is not installed; names each mirror's reason.
        MachineError: the archive cannot be written.
    """
    try:
        from pooch import HTTPDownloader
    except ImportError as error:
        if not absent(error, "pooch"):
            raise
        raise DataUnavailable("downloads need the package pooch, which is not installed (pip install pooch)") from error
    failures = []
    for url in urls:
        # Named after its address: the rest of one server's file is not the rest of another's.
        partial = target.with_name(f"{target.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part")
        try:
            try:
                _fetch(HTTPDownloader, url, partial, target, check)
            except _NotTheRest:
                _fetch(HTTPDownloader, url, partial, target, check)
            for other in target.parent.glob(f"{target.name}.*.*"):
                other.unlink(missing_ok=True)
            return
        except KdbenchError as error:
            failures.append(f"{url}: {error}")
        except (OSError, ValueError) as error:
            # Failures of the network are OSErrors too, but carry none of these numbers.
            if isinstance(error, OSError) and error.errno in _DISK:
                what = f"{partial} cannot be written ({error.strerror})"
                raise MachineError(f"{what}; free some space or choose another cache folder") from error
            response = getattr(error, "response", None)
            failures.append(f"{url}: {type(error).__name__ if response is None else f'HTTP {response.status_code}'}")
    raise DataUnavailable("download failed: " + "; ".join(failures))


class _NotTheRest(KdbenchError):
    """What a server sent as the rest of a broken download does not continue it."""


def _fetch(downloader: Any, url: str, partial: Path, target: Path, check: Callable[[Source], object]) -> None:
    """Fetch an address, or the rest of it where ``partial`` holds its beginning.

    Raises:
        _NotTheRest: the two parts make no archive, and the beginning is gone; without it, it may work.
    """
    keep, tag = False, partial.with_suffix(".tag")  # what the server knew the file by when it sent the beginning
    same = tag.read_text(encoding="utf-8") if tag.exists() else ""
    with partial.open("ab") as file:
        before = file.tell() if same else 0
        progress = Progress(f"downloading {target.name}", before=before)

        def begin(response: Any, *args: Any, **kwargs: Any) -> None:
            """Called with the answer's head: without ranges, or with another file by now, a server sends the whole."""
            if response.status_code == OK:
                file.truncate(0)
                progress.before = 0
                tag.write_text(_known_by(response.headers), encoding="utf-8")

        the_rest = {"Range": f"bytes={before}-", "If-Range": same} if before else {}
        fetch = downloader(
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            progressbar=progress,
            chunk_size=Progress.CHUNK,
            headers={"Accept-Encoding": "identity", **the_rest},
            hooks={"response": begin},
        )
        try:
            fetch(url, file, None)
            file.flush()
            with Source(partial) as source:
                check(source)
            partial.replace(target)
        except KdbenchError as error:
            if progress.before:
                raise _NotTheRest(str(error)) from error
            raise
        except KeyboardInterrupt:
            keep = True
            raise
        except (OSError, ValueError) as error:
            if getattr(getattr(error, "response", None), "status_code", None) == RANGE_NOT_SATISFIABLE:
                raise _NotTheRest("HTTP 416") from error
            keep = file.tell() > 0
            raise
        finally:
            progress.close()
            if not keep:
                _remove(partial, tag)


def _remove(*paths: Path) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink()


def _known_by(headers: Any) -> str:
    """What a server knows a file by: its tag, or where that is weak, its date."""
    known = str(headers.get("ETag", "W/"))
    return str(headers.get("Last-Modified", "")) if known.startswith("W/") else known


class Progress:
    """Download progress in the form pooch calls: one line redrawn in a terminal, else a line now and then.

    Args:
        what: how the line begins.
        stream: where it goes; standard error by default, as standard output belongs to results.
        before: bytes that an earlier attempt left.
    """

    CHUNK = 2**16
    """Bytes between two updates."""

    def __init__(self, what: str, stream: TextIO | None = None, *, before: int = 0) -> None:
        self.total = 0  # bytes to come, set by pooch; 0 where the server sends no length
        self.before = before
        self._what = what
        self._stream = sys.stderr if stream is None else stream
        self._redraw = self._stream.isatty()
        self._interval = 0.1 if self._redraw else 10.0  # seconds between two lines
        self._done = 0
        self._began = self._shown = time.monotonic()
        self._closed = False

    def update(self, size: int) -> None:
        """Count ``size`` more bytes.

        Raises:
            KdbenchError: the download exceeds the size limit.
        """
        self._done += size
        if self.before + max(self._done, self.total) > SIZE_LIMIT:
            raise KdbenchError(f"more than {SIZE_LIMIT} bytes")
        if time.monotonic() - self._shown >= self._interval:
            self._show()

    def reset(self) -> None:
        """Called by pooch at the end, before it adds the total once more."""
        self._done = 0 if self.total else self._done

    def close(self) -> None:
        """Show the end, once; nothing if nothing came."""
        if self._done and not self._closed:
            self._closed = True
            self._show(last=True)

    def _show(self, *, last: bool = False) -> None:
        self._shown = time.monotonic()
        seconds = max(self._shown - self._began, 1e-6)
        line = f"{self._what}: {(self.before + self._done) / 1e6:.1f} MB"
        if self.total:
            came = min(self._done, self.total)  # pooch counts whole chunks
            left = seconds * (self.total - came) / max(came, 1)
            done, total = self.before + came, self.before + self.total
            line = f"{self._what}: {done / 1e6:.1f} of {total / 1e6:.1f} MB, {100 * done // total} %"
            line += f", {seconds:.0f} s" if last else f", {left:.0f} s left"
        if self._redraw:
            self._stream.write(f"\r{line}\x1b[K" + ("\n" if last else ""))
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

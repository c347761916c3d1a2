"""Downloads: mirrors in turn, progress on standard error, a temporary name until complete."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from kdbench.data._archive import Source
from kdbench.errors import DataUnavailable, KdbenchError, MachineError

CONNECT_SECONDS = 5
READ_SECONDS = 30
SIZE_LIMIT = 4 * 2**30
"""Bytes; nothing here is near it, and an endless answer must not fill the disk."""

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST)


def download(urls: Sequence[str], target: Path) -> None:
    """Download an archive to ``target``, in a folder that exists, from the first of ``urls`` that gives one.

    An answer that is not an archive, such as a log-in page, counts as a failed mirror. A broken download
    starts over: pooch does not tell whether a server honoured a request for the rest.

    Raises:
        DataUnavailable: no mirror gave an archive, or pooch is not installed; names each mirror's reason.
        MachineError: the archive cannot be written.
    """
    try:
        import pooch
    except ImportError as error:
        raise DataUnavailable("downloads need the package pooch, which is not installed (pip install pooch)") from error
    partial = target.with_name(target.name + ".part")
    failures = []
    for url in urls:
        progress = Progress(f"downloading {target.name}")
        fetch = pooch.HTTPDownloader(
            timeout=(CONNECT_SECONDS, READ_SECONDS), progressbar=progress, chunk_size=Progress.CHUNK
        )
        try:
            with partial.open("wb") as file:
                fetch(url, file, None)
            with Source(partial):
                pass
            partial.replace(target)
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
        finally:
            progress.close()
            with suppress(OSError):
                partial.unlink()
    raise DataUnavailable("download failed: " + "; ".join(failures))


class Progress:
    """Download progress in the form pooch calls: one line redrawn in a terminal, else a line now and then.

    Args:
        what: how the line begins.
        stream: where it goes; standard error by default, as standard output belongs to results.
    """

    CHUNK = 2**16
    """Bytes between two updates."""

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        self.total = 0  # set by pooch; 0 where the server sends no length
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
        if max(self._done, self.total) > SIZE_LIMIT:
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
        line = f"{self._what}: {self._done / 1e6:.1f} MB"
        if self.total:
            done = min(self._done, self.total)  # pooch counts whole chunks
            left = seconds * (self.total - done) / max(done, 1)
            line = f"{self._what}: {done / 1e6:.1f} of {self.total / 1e6:.1f} MB, {100 * done // self.total} %"
            line += f", {seconds:.0f} s" if last else f", {left:.0f} s left"
        if self._redraw:
            self._stream.write(f"\r{line}\x1b[K" + ("\n" if last else ""))
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

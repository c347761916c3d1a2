"""What a cell's process prints, kept beside the cell."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

LIMIT = 1_000_000
"""Bytes kept of what a cell prints; a method in a loop must not fill the disk."""


class Log:
    """Keeps what is printed, up to a limit. Without a file it goes to standard error.

    Args:
        path: the file; made when something is printed. It goes on where it stands.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def write(self, raw: bytes) -> None:
        """Keep some bytes; what cannot be kept is left out."""
        with suppress(OSError, ValueError, AttributeError):  # of a full disk, of a standard error that is closed
            if self._path is None:
                sys.stderr.buffer.write(raw)
                sys.stderr.flush()
                return
            size = self._path.stat().st_size if self._path.exists() else 0
            if size < LIMIT:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("ab") as file:
                    file.write(raw[: LIMIT - size])
                    if size + len(raw) > LIMIT:
                        file.write(b"\n[cut: more was printed than is kept]\n")

"""Files that are whole or not there: written under a temporary name, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, data: bytes | str) -> None:
    """Write a file so that a reader, or whoever comes after a kill, sees all of it or what was there before.

    A text becomes UTF-8, whatever the machine's encoding is; bytes of a file's name that are no text are escaped.
    """
    raw = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    with refused(path):
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)  # mkstemp's files are private, results are meant to be shared
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextmanager
def fresh_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` that takes its name when the block ends well, and is removed when not."""
    with refused(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o755)
            temporary.rename(path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


class Refused(OSError):
    """What the file system refused kdbench itself, as opposed to what went wrong in code that kdbench runs."""


@contextmanager
def refused(path: Path) -> Iterator[None]:
    """What the file system refuses names the file that was meant, not a temporary one or, on a full disk, none.

    Raises:
        Refused: in place of any ``OSError``.
    """
    try:
        yield
    except Refused:
        raise
    except OSError as error:
        raise Refused(error.errno, error.strerror or str(error), str(path)) from error

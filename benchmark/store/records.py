"""What the store has of a cell: its record, its predictions, its curve, and how far it is. Needs no torch."""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from kdbench.errors import KdbenchError, MachineError
from kdbench.files import write_whole
from kdbench.results.record import Record
from kdbench.text import first_line

if TYPE_CHECKING:  # numpy is loaded where predictions are read or written
    import numpy.typing as npt


class Store:
    """Runs under one folder.

    Args:
        root: the folder; made on the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def open_for_writing(self) -> None:
        """Make sure that results can be kept, before any is worked for.

        Raises:
            MachineError: if the folder cannot be written.
            KdbenchError: if a file stands in its place.
        """
        if self.root.exists() and not self.root.is_dir():
            raise KdbenchError(f"store {self.root} is a file; wanted a folder (--store, KDBENCH_STORE)")
        probe = self.root / f".writable-{os.getpid()}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"?" * 4096)  # an empty file can be made on a full disk
        except OSError as error:
            raise MachineError(f"cannot write to store {self.root}: {error.strerror}") from None
        finally:
            if self.root.is_dir():
                with suppress(OSError):  # a read-only folder is what is being reported
                    probe.unlink(missing_ok=True)

    def folder(self, digest: str) -> Path:
        """Where a cell's files are."""
        return self.root / digest

    def record(self, digest: str) -> Record | None:
        """A cell's result, or None where it has none.

        Raises:
            KdbenchError: if the file cannot be read as one.
        """
        path = self.folder(digest) / "record.json"
        try:
            return Record.from_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            raise KdbenchError(f"{path}: {error}; remove the folder to run the cell again") from None

    def finish(
        self,
        record: Record,
        *,
        curve: str,
        predictions: dict[str, npt.NDArray[Any]] | None = None,
    ) -> None:
        """Keep a cell's result, after its weights; what only a running cell needs goes."""
        folder = self.folder(record.digest)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "curve.csv", curve)
        if predictions is not None:
            import numpy as np

            buffer = io.BytesIO()
            np.savez_compressed(buffer, allow_pickle=False, **predictions)
            write_whole(folder / "predictions.npz", buffer.getvalue())
        write_whole(folder / "record.json", record.to_json())
        for name in ("checkpoint.pt", "epoch"):
            (folder / name).unlink(missing_ok=True)

    def forget(self, digest: str) -> None:
        """Drop a cell's record and all that came with it, so that it runs again from the start."""
        made = ("record.json", "predictions.npz", "student.pt", "curve.csv", "traceback.txt", "checkpoint.pt", "epoch")
        for name in made:
            (self.folder(digest) / name).unlink(missing_ok=True)

    def weights_hash(self, digest: str) -> str:
        """Hash of the weights file, for caches that must not outlive it."""
        return hashlib.sha256((self.folder(digest) / "student.pt").read_bytes()).hexdigest()[:16]

    def predictions(self, digest: str) -> dict[str, npt.NDArray[Any]]:
        """Arrays of ``predictions.npz``.

        Raises:
            KdbenchError: if they are missing or unreadable.
        """
        import numpy as np

        path = self.folder(digest) / "predictions.npz"
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return dict(arrays)
        except (OSError, ValueError, BadZipFile) as error:
            raise KdbenchError(f"{path}: {first_line(error)}; remove the folder to run the cell again") from None

    def curve(self, digest: str) -> str:
        """Losses and facts of every epoch, as CSV."""
        path = self.folder(digest) / "curve.csv"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def write_traceback(self, digest: str, text: str) -> None:
        """Keep where a cell failed, for whoever mends it."""
        self.folder(digest).mkdir(parents=True, exist_ok=True)
        write_whole(self.folder(digest) / "traceback.txt", text)

    def write_epoch(self, digest: str, done: int) -> None:
        """Say how far a running cell is; whoever watches reads it, nothing depends on it."""
        folder = self.folder(digest)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".epoch-{os.getpid()}"
        try:
            temporary.write_text(str(done))
            temporary.replace(folder / "epoch")
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def epoch(self, digest: str) -> int | None:
        """Epochs done by a cell that is running or was stopped; None where it has not begun or is finished."""
        try:
            return int((self.folder(digest) / "epoch").read_text())
        except (FileNotFoundError, ValueError):
            return None

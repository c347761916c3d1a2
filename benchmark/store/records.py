"""What the store has of a cell: its record, its predictions, its curve, and how far it is. Needs no torch."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from kdbench.errors import KdbenchError, MachineError
from kdbench.files import refused, write_whole
from kdbench.results.record import WEIGHTS, Record
from kdbench.spec.cell import FITTED
from kdbench.text import first_line, printable

if TYPE_CHECKING:  # numpy is loaded where predictions are read or written
    import numpy.typing as npt


PREDICTIONS, CURVE, LOG, USE = "predictions.npz", "curve.csv", "log.txt", "use.json"
DEPLOY = "deploy.json"
"""What `take` found of a cell; the record does not know of it."""

UNPACKED = "unpacked"
"""A file that says that a store was made of published records: no weights, rounded predictions."""

AGAIN = "`kdbench run --stale` with the options of its matrix makes it again"


def is_digest(name: str) -> bool:
    """Whether a folder of this name is a cell's."""
    return len(name) == 20 and not set(name) - set("0123456789abcdef")


def published(folder: Path) -> bool:
    """Whether `publish` wrote a folder, which is no store, though one can be made of it."""
    return any((folder / "records").glob("cells.jsonl*"))


class Store:
    """Runs under one folder.

    Args:
        root: the folder; made on the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def unpacked(self) -> bool:
        """Whether it was made of published records."""
        return (self.root / UNPACKED).is_file()

    def wants_weights(self) -> None:
        """Make sure that there is what runs leave, before anything is done that needs or makes it.

        Raises:
            KdbenchError: if the store was made of published records, or is a published folder itself.
        """
        if self.unpacked:
            lack = "which have no weights and rounded predictions, to be read"
            raise KdbenchError(f"{self.root} was made of published records, {lack}; wanted a store of runs (--store)")
        if published(self.root):
            raise KdbenchError(f"{self.root} is a published folder; wanted a store of runs (--store)")

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
            raise KdbenchError(f"{path}: {error}; {AGAIN}") from None

    def finish(
        self,
        record: Record,
        *,
        curve: str,
        predictions: dict[str, npt.NDArray[Any]] | None = None,
    ) -> Record:
        """Keep a cell's result, after its weights and what their use needs; what only a running cell needs goes.

        Returns:
            The record as it is kept: with the checksums of the files beside it.
        """
        folder = self.folder(record.digest)
        folder.mkdir(parents=True, exist_ok=True)
        content = {CURVE: curve.encode()}
        if predictions is not None:
            import numpy as np

            buffer = io.BytesIO()
            np.savez_compressed(buffer, allow_pickle=False, **predictions)
            content[PREDICTIONS] = buffer.getvalue()
        for name, raw in content.items():
            write_whole(folder / name, raw)
        for name in (WEIGHTS, USE) if record.status == "done" else ():
            if (folder / name).exists():
                content[name] = (folder / name).read_bytes()
        record = replace(record, files={name: _hash(raw) for name, raw in content.items()})
        write_whole(folder / "record.json", record.to_json())
        for name in ("checkpoint.pt", "epoch"):
            (folder / name).unlink(missing_ok=True)
        return record

    def finished(self, digest: str) -> bool:
        """Whether a cell has a record, readable or not."""
        return (self.folder(digest) / "record.json").exists()

    def mark(self, digest: str) -> str:
        """What tells one record of a cell from another, readable or not; empty where there is none."""
        try:
            return _hash((self.folder(digest) / "record.json").read_bytes())
        except OSError:
            return ""

    def content(self, digest: str, name: str) -> bytes:
        """One of the files that belong to a cell's record, as it was written.

        Raises:
            KdbenchError: if it is missing or damaged, or the record is.
        """
        record = self.record(digest)
        wrong, raw = _look(self.folder(digest) / name, {} if record is None else record.files)
        if wrong:
            raise KdbenchError(f"{wrong}; {AGAIN}")
        return raw

    def damage(self, digest: str) -> str | None:
        """What is wrong with the record of a cell or the files that belong to it, in one line; None where all is well.

        Files of records without checksums are held against those that their own format has.
        """
        try:
            record = self.record(digest)
        except KdbenchError as error:
            return str(error)
        if record is None:
            return None
        names = {*record.files}
        if record.status == "done":
            names |= {PREDICTIONS} if _fitted(record) else {PREDICTIONS, WEIGHTS}
        if self.unpacked:
            names -= {WEIGHTS}
        looks = (_look(self.folder(digest) / name, record.files)[0] for name in sorted(names))
        return next(filter(None, looks), None)

    def digests(self) -> list[str]:
        """All cells with a record, of whatever matrix."""
        return sorted(path.parent.name for path in self.root.glob("*/record.json"))

    def weights_hash(self, digest: str) -> str:
        """Hash of the weights file: what a student was taught by.

        Raises:
            KdbenchError: if it is missing or damaged, or the record is.
        """
        return _hash(self.content(digest, WEIGHTS))

    def forget(self, digest: str) -> None:
        """Drop a cell's record and all that came with it, so that it runs again from the start."""
        made = ("record.json", PREDICTIONS, WEIGHTS, USE, DEPLOY, CURVE, LOG, "traceback.txt", "checkpoint.pt", "epoch")
        for path in (self.folder(digest) / name for name in made):
            if path.is_dir() and not path.is_symlink():  # damage of a kind
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def predictions(self, digest: str) -> dict[str, npt.NDArray[Any]]:
        """Arrays of ``predictions.npz``.

        Raises:
            KdbenchError: if they are missing or unreadable.
        """
        import numpy as np

        raw = io.BytesIO(self.content(digest, PREDICTIONS))
        try:
            with np.load(raw, allow_pickle=False) as arrays:
                return dict(arrays)
        except Exception as error:  # numpy raises many kinds where a header is not what it should be
            raise KdbenchError(f"{self.folder(digest) / PREDICTIONS}: {first_line(error)}; {AGAIN}") from None

    def curve(self, digest: str) -> str:
        """Losses and facts of every epoch, as CSV."""
        path = self.folder(digest) / CURVE
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def write_traceback(self, digest: str, text: str) -> None:
        """Keep where a cell failed, for whoever mends it."""
        self.folder(digest).mkdir(parents=True, exist_ok=True)
        write_whole(self.folder(digest) / "traceback.txt", printable(text))

    def write_epoch(self, digest: str, done: int, begun: int = 0) -> None:
        """Say how far a running cell is, and at which epoch it went on; whoever watches reads it, nothing else does."""
        folder = self.folder(digest)
        temporary = folder / f".epoch-{os.getpid()}"
        with refused(folder / "epoch"):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_text(f"{done} {begun}")
                temporary.replace(folder / "epoch")
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise

    def clear_epoch(self, digest: str) -> None:
        """Forget how far a cell was when it was stopped."""
        (self.folder(digest) / "epoch").unlink(missing_ok=True)

    def epoch(self, digest: str) -> int | None:
        """Epochs done by a cell that is running or was stopped; None where it has not begun or is finished."""
        return next(iter(self._epochs(digest)), None)

    def epoch_begun(self, digest: str) -> int:
        """Epochs that a cell had done when it was last taken up."""
        return next(iter(self._epochs(digest)[1:]), 0)

    def _epochs(self, digest: str) -> list[int]:
        try:
            return list(map(int, (self.folder(digest) / "epoch").read_text().split()))
        except (OSError, ValueError):
            return []


def _fitted(record: Record) -> bool:
    """Whether it is of a reference, which leaves no weights."""
    return bool(record.cell.get("method", {}).get("name") == FITTED.name)


def _look(path: Path, files: Mapping[str, str]) -> tuple[str, bytes]:
    """What is wrong with a file of a record, or nothing, and its content."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        return f"{path}: {error.strerror or error}", b""
    if path.name in files:
        return "" if _hash(raw) == files[path.name] else f"{path} is damaged: not what its record was made with", raw
    try:  # an older record; both kinds of files are zip archives, which have checksums of their members
        with ZipFile(io.BytesIO(raw)) as members:
            return "" if members.testzip() is None else f"{path} is damaged", raw
    except Exception as error:  # of many kinds
        return f"{path} is damaged: {first_line(error)}", raw


def _hash(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()

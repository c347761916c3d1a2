"""The run store: one folder a cell, a record means done.

::

    runs/<digest>/record.json       the result; written last, so that it means done
                  predictions.npz   logits, labels, people and rows of the evaluation windows
                  student.pt        the deployed model's weights (`torch.load` with ``weights_only=True``)
                  curve.csv         losses and facts of every epoch
                  traceback.txt     of a cell that failed by an error
                  checkpoint.pt     while running: everything that the next epoch needs
                  epoch             while running: epochs done
    runs/matrices/<name>-<hash>.json   matrices that were run here
    runs/plans/<name>-<hash>.json      the cells and places that each was written out to
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch

from kdbench.errors import KdbenchError, MachineError
from kdbench.files import write_whole
from kdbench.plan import Plan
from kdbench.results import Record
from kdbench.spec import Matrix


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
        weights: dict[str, torch.Tensor] | None = None,
        predictions: dict[str, npt.NDArray[Any]] | None = None,
    ) -> None:
        """Keep a cell's result; what only a running cell needs goes."""
        folder = self.folder(record.digest)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "curve.csv", curve)
        if weights is not None:
            write_whole(folder / "student.pt", _saved(weights))
        if predictions is not None:
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

    def weights(self, digest: str, device: torch.device) -> dict[str, torch.Tensor]:
        """Weights of a finished cell's deployed model.

        Raises:
            KdbenchError: if they are missing or unreadable.
        """
        path = self.folder(digest) / "student.pt"
        try:
            loaded: dict[str, torch.Tensor] = torch.load(path, map_location=device, weights_only=True)
            return loaded
        except Exception as error:  # torch raises many kinds for a damaged file
            what = (str(error).splitlines() or [type(error).__name__])[0]
            raise KdbenchError(f"{path}: {what}; remove the folder to train it again") from None

    def weights_hash(self, digest: str) -> str:
        """Hash of the weights file, for caches that must not outlive it."""
        return hashlib.sha256((self.folder(digest) / "student.pt").read_bytes()).hexdigest()[:16]

    def predictions(self, digest: str) -> dict[str, npt.NDArray[Any]]:
        """Arrays of ``predictions.npz``.

        Raises:
            KdbenchError: if they are missing or unreadable.
        """
        path = self.folder(digest) / "predictions.npz"
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return dict(arrays)
        except (OSError, ValueError, BadZipFile) as error:
            what = (str(error).splitlines() or [type(error).__name__])[0]
            raise KdbenchError(f"{path}: {what}; remove the folder to run the cell again") from None

    def curve(self, digest: str) -> str:
        """Losses and facts of every epoch, as CSV."""
        path = self.folder(digest) / "curve.csv"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def write_checkpoint(self, digest: str, state: dict[str, Any]) -> None:
        """Keep what the next epoch needs."""
        self.folder(digest).mkdir(parents=True, exist_ok=True)
        write_whole(self.folder(digest) / "checkpoint.pt", _saved(state))

    def checkpoint(self, digest: str, device: torch.device) -> dict[str, Any] | None:
        """What a killed run left, or None. A file that cannot be read is no checkpoint: the cell starts again."""
        path = self.folder(digest) / "checkpoint.pt"
        try:
            state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
            return state
        except Exception:
            return None

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

    def remember(self, plan: Plan) -> str:
        """Keep a matrix that is run here, as the last one, and its plan; returns its identity, name and hash."""
        identity, text = _identified(plan.matrix)
        for folder, content in (("plans", json.dumps(plan.plain())), ("matrices", text)):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
            write_whole(self.root / folder / f"{identity}.json", content)  # also makes it the newest
        return identity

    def plan(self, matrix: Matrix) -> Plan | None:
        """A matrix as it was written out when it was last run here; None where it was not.

        Raises:
            KdbenchError: if the file cannot be read as a plan.
        """
        path = self.root / "plans" / f"{_identified(matrix)[0]}.json"
        try:
            return Plan.from_plain(matrix, json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError, KdbenchError) as error:
            raise KdbenchError(f"{path}: {error!r}; remove the file") from None

    def matrices(self) -> Iterator[tuple[str, Matrix]]:
        """Identities and matrices that were run here, the one run last first.

        Raises:
            KdbenchError: if a file cannot be read as one.
        """
        paths = (self.root / "matrices").glob("*.json")
        for path in sorted(paths, key=lambda p: (p.stat().st_mtime_ns, p.name), reverse=True):
            try:
                matrix = Matrix.from_plain(json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, KdbenchError) as error:
                raise KdbenchError(f"{path}: {error}; remove the file") from None
            yield path.stem, matrix


def _identified(matrix: Matrix) -> tuple[str, str]:
    """Name and hash of a matrix, and its JSON. What might have stood in for its data is not part of what was run."""
    text = json.dumps(replace(matrix, fallback=None).plain(), indent=1)
    return f"{matrix.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}", text


def _saved(state: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()

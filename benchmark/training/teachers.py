"""Frozen teachers: run once over the training set, then served from what they said.

A frozen teacher in evaluation mode says the same about a window at every epoch, to every method. So its outputs are
computed once per (teacher, dataset), kept as files, and indexed by the rows of a batch. What a method does not touch is
not read, nor computed where it is large. An augmented batch is not the window that was computed, so there the teacher
runs live.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, cast, overload

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from kdbench.architectures import Backbone, Outputs
from kdbench.files import fresh_folder, refused
from kdbench.methods import Batch
from kdbench.training.evaluate import outputs_in_order

MANIFEST = "manifest.json"  # checksums of the files beside it
ON_DEVICE = 256 * 2**20  # bytes; a larger field stays a memory-mapped file, of which a batch reads its rows


class FrozenTeacher:
    """A teacher that does not learn.

    Args:
        network: the trained network, on its device.
        x: (N, C, T) training windows that batches index, on the same device.
        folder: where this teacher's outputs on these windows are kept; its name must change with either.
    """

    def __init__(self, network: Backbone, x: Tensor, folder: Path) -> None:
        self.network = network.eval().requires_grad_(False)
        self.x = x
        self.folder = folder
        self._fields: dict[str, Tensor] = {}

    def __call__(self, batch: Batch) -> Outputs:
        if batch.augmented:
            with torch.no_grad():
                return self.network(batch.x)
        return ServedOutputs(self, batch.index)

    def rows(self, name: str, index: Tensor) -> Tensor:
        """Rows of a field: ``logits``, ``embedding``, ``pooled0``, ... or ``stage0``, ..."""
        field = self._fields.get(name)
        if field is None:
            field = self._fields[name] = self._load(name)
        return field[index.to(field.device)].to(index.device)

    @cached_property
    def stage_count(self) -> int:
        """How many stages the network has."""
        with torch.no_grad():
            return len(self.network(self.x[:1]).stages)

    def _load(self, name: str) -> Tensor:
        whole = name.removesuffix(name.lstrip("abcdefghijklmnopqrstuvwxyz"))  # stage3 -> stage
        folder = self.folder / (name if whole == "stage" else "small")
        if not _is_whole(folder):
            with refused(folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                with FileLock(f"{folder}.lock"):
                    if not _is_whole(folder):  # nor made by another process meanwhile
                        shutil.rmtree(folder, ignore_errors=True)
                        self._compute(folder, int(name.removeprefix("stage")) if whole == "stage" else None)
        array = np.load(folder / f"{name}.npy", mmap_mode="c")  # copy-on-write: torch wants writable memory
        tensor = torch.from_numpy(array)
        return tensor if array.nbytes > ON_DEVICE else tensor.to(self.x.device, copy=True)

    def _compute(self, folder: Path, stage: int | None) -> None:
        """Fill a folder with the one stage asked for, or with all small fields, in the order of the rows."""

        def small(outputs: Outputs) -> dict[str, Tensor]:
            pooled = {f"pooled{i}": p for i, p in enumerate(outputs.pooled)}
            return {"logits": outputs.logits, "embedding": outputs.embedding, **pooled}

        def one_stage(outputs: Outputs) -> dict[str, Tensor]:
            return {f"stage{stage}": outputs.stages[cast(int, stage)]}

        read: Callable[[Outputs], dict[str, Tensor]] = small if stage is None else one_stage
        with fresh_folder(folder) as temporary, ExitStack() as stack:
            files: dict[str, BinaryIO] = {}
            for outputs in outputs_in_order(self.network, self.x):
                for name, part in read(outputs).items():
                    if name not in files:
                        files[name] = stack.enter_context(open(temporary / f"{name}.npy", "wb"))
                        shape = (len(self.x), *part.shape[1:])
                        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                        np.lib.format.write_array_header_2_0(files[name], header)
                    files[name].write(part.float().cpu().numpy().astype("<f4").tobytes())
            stack.close()  # all that was written is in the files
            hashes = {path.name: _hash(path) for path in sorted(temporary.iterdir())}
            (temporary / MANIFEST).write_text(json.dumps(hashes))


def _is_whole(folder: Path) -> bool:
    """Whether a folder of outputs is there and every file in it is what was computed."""
    try:
        hashes = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return bool({path.name: _hash(path) for path in folder.glob("*.npy")} == hashes)
    except (OSError, ValueError, RecursionError):
        return False


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ServedOutputs(Outputs):
    """Outputs of a frozen teacher on rows of the training set; a field is read when it is first asked for."""

    def __init__(self, teacher: FrozenTeacher, index: Tensor) -> None:
        self._teacher, self._index = teacher, index

    def __getattr__(self, name: str) -> Tensor:
        # Only called for what is not there yet; what Outputs sets in its __init__ is read here instead.
        if name not in ("logits", "embedding"):
            raise AttributeError(name)
        value = self._teacher.rows(name, self._index)
        setattr(self, name, value)
        return value

    @cached_property
    def stages(self) -> Sequence[Tensor]:  # type: ignore[override]
        return _ServedStages(self._teacher, self._index)

    @cached_property
    def pooled(self) -> tuple[Tensor, ...]:
        return tuple(self._teacher.rows(f"pooled{i}", self._index) for i in range(self._teacher.stage_count))


class _ServedStages(Sequence[Tensor]):
    """Stages, each read when it is asked for."""

    def __init__(self, teacher: FrozenTeacher, index: Tensor) -> None:
        self._teacher, self._index = teacher, index

    def __len__(self) -> int:
        return self._teacher.stage_count

    @overload
    def __getitem__(self, i: int) -> Tensor: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Tensor]: ...
    def __getitem__(self, i: int | slice) -> Tensor | Sequence[Tensor]:
        if isinstance(i, slice):
            return tuple(self[j] for j in range(len(self))[i])
        return self._teacher.rows(f"stage{range(len(self))[i]}", self._index)

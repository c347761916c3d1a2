"""How many cells run at a time where nobody says, and which GPU each worker sees."""

from __future__ import annotations

import os

from kdbench.errors import KdbenchError
from kdbench.machine import Runtime

EVERYWHERE = 9999
"""As many cells at a time as a cluster has room for."""


def cards(device: str) -> list[str]:
    """The GPUs over which cells are spread, as CUDA_VISIBLE_DEVICES names them; none for a CPU or one GPU by number."""
    if device != "cuda":
        return []
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(number) for number in range(torch.cuda.device_count())]


def cores() -> int:
    """Of the processor, as far as this process may use them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_jobs(where: Runtime) -> int:
    """How many cells run at a time where nobody says: as many as there are cores, so many as are asked for on a GPU.

    On a cluster: more than any has room for, so that its room alone decides.
    """
    if where.address is not None:
        return EVERYWHERE
    if where.device == "cpu":
        return cores()
    gpus = len(cards(where.device)) or 1
    return gpus * (where.jobs_per_gpu or max(1, cores() // gpus))


def jobs_per_gpu(asked: str | None, device: str) -> int:
    """How many of them, as ``--jobs-per-gpu`` was given: a number, or auto for 0; 1 where it was not.

    Raises:
        KdbenchError: if it is neither, or cells do not run on a GPU.
    """
    if asked is None:
        return 1
    if asked != "auto" and not (asked.isdecimal() and int(asked) > 0):
        raise KdbenchError(f"--jobs-per-gpu {asked}: wanted auto, or 1 or more")
    if device == "cpu":
        raise KdbenchError(f"--jobs-per-gpu {asked}: cells run on the CPU here; -j says how many at a time")
    return 0 if asked == "auto" else int(asked)

"""The same bits every time: random streams that are restarted, one thread, deterministic algorithms."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def reseed(seed: int, device: torch.device) -> None:
    """Restart the global random stream of a device.

    ``torch.manual_seed`` does this for every kind of accelerator that torch was built for, at a hundred times the cost,
    which shows when it is done at each forward pass.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


@contextmanager
def reproducible() -> Iterator[None]:
    """One thread and deterministic algorithms, as they were afterwards: two threads sum in another order than one."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.use_deterministic_algorithms(strict)
        torch.set_num_threads(threads)

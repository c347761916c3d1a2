"""The same bits every time: random streams that are restarted, one thread, deterministic algorithms."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
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
    """One thread, deterministic algorithms, and every other state of the process that numbers hang on as it is at its
    start, whatever was set before; afterwards as it was. Two threads sum in another order than one.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
    before: list[tuple[Callable[[Any], Any], Any]] = []
    try:
        for get, put, value in STATES:
            if (found := get()) != value:  # a default device that is set, even to the default, slows every call
                before.append((put, found))
                put(value)
        with torch.random.fork_rng(), _numpy_as_it_starts(), ExitStack() as stack:
            for hooks in _HOOKS:
                stack.callback(hooks.update, dict(hooks))
                hooks.clear()
            yield
    finally:
        for put, value in reversed(before):
            put(value)


@contextmanager
def _numpy_as_it_starts() -> Iterator[None]:
    drawn = np.random.get_state()
    np.random.seed(0)
    try:
        with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
            yield
    finally:
        np.random.set_state(drawn)


def _device(value: torch.device) -> None:
    torch.set_default_device(None if value == torch.device("cpu") else value)


def _attribute(holder: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    return lambda: getattr(holder, name), lambda value: setattr(holder, name, value)


STATES: tuple[tuple[Callable[[], Any], Callable[[Any], Any], Any], ...] = (
    (torch.get_num_threads, torch.set_num_threads, 1),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode, 1),  # deterministic, or a warning
    (torch.is_grad_enabled, torch.set_grad_enabled, True),
    (torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    (lambda: torch.get_default_device(), _device, torch.device("cpu")),
    (lambda: torch.is_autocast_enabled("cpu"), lambda value: torch.set_autocast_enabled("cpu", value), False),
    (lambda: torch.is_autocast_enabled("cuda"), lambda value: torch.set_autocast_enabled("cuda", value), False),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly, False),
    (*_attribute(torch.backends.mkldnn, "enabled"), True),
    (*_attribute(torch.backends.cudnn, "enabled"), True),
    (*_attribute(torch.backends.cudnn, "benchmark"), False),
    (*_attribute(torch.backends.cudnn, "deterministic"), False),
)
"""How a state of the process is read, how it is set, and what it is while a cell runs: what it is at the start of a
process, but for the first two."""

_HOOKS: tuple[dict[int, Any], ...] = tuple(
    value
    for name, value in vars(torch.nn.modules.module).items()
    if name.startswith("_global") and isinstance(value, dict)
)
"""Hooks that torch calls for every module."""

"""Small networks, built from a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from kdbench.architectures import Backbone
from kdbench.catalog import NETWORKS

Build = Callable[..., Backbone]
SHRINK: dict[str, Any] = {"width": 0.05, "hidden": 8}  # settings that make a network small, for those that have them


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads sum in another order than one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        yield
    torch.set_num_threads(threads)


@pytest.fixture
def build() -> Build:
    """``build(name, (C, T, K), small=True, **settings)``: a network from seed 0."""

    def make(name: str, size: tuple[int, int, int], *, small: bool = True, **settings: Any) -> Backbone:
        shrunk = {key: value for key, value in SHRINK.items() if small and key in NETWORKS.schema(name)}
        torch.manual_seed(0)
        return NETWORKS.get(name)(*size, **{**shrunk, **settings})

    return make

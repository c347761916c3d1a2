"""Small networks and windows, and the real training loop around them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kdbench.contract import Bench
from kdbench.training.determinism import reproducible


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads sum in another order than one."""
    with reproducible():
        yield


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(scope="session")
def shared_bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A bench that builds each network once, for tests that make one training after another."""
    return Bench(tmp_path_factory.mktemp("bench"), reuse=True)

"""Small networks and windows, and the real training loop around them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kdbench.architectures import Backbone, Shapes, probe
from kdbench.catalog import METHODS, NETWORKS
from kdbench.methods import Batch, Method, Setup
from kdbench.seeds import derive
from kdbench.spec import Recipe
from kdbench.teachers import FrozenTeacher
from kdbench.train import Learner, Training

SHRINK: dict[str, Any] = {"width": 0.03, "hidden": 8}  # settings that make a network small, for those that have them
CHANNELS, LENGTH, CLASSES = 3, 32, 4


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads sum in another order than one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        yield
    torch.set_num_threads(threads)


class Bench:
    """Fifteen windows of four classes, and everything that a training run of them needs.

    Batches of eight: one step an epoch, always on other windows, and a remainder that is dropped.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recipe = Recipe(name="test", epochs=3, batch_size=8)
        generator = torch.Generator().manual_seed(1)
        self.y = torch.arange(15) % CLASSES
        self.x = torch.randn(15, CHANNELS, LENGTH, generator=generator) + self.y[:, None, None] / 4

    def network(self, name: str, *, peer: bool = False, trained: bool = False, **settings: Any) -> Learner:
        """A small network under the names of its random streams, as a cell makes it.

        Args:
            name: of the architecture.
            peer: whether it stands beside a student of its own kind.
            trained: whether it has been in use: its batch normalisation has seen windows.
            settings: of the architecture.
        """
        stream = f"{name}/peer" if peer else name
        shrunk = {key: value for key, value in SHRINK.items() if key in NETWORKS.schema(name)}
        torch.manual_seed(derive("init", stream, 0))
        network: Backbone = NETWORKS.get(name)(CHANNELS, LENGTH, CLASSES, **{**shrunk, **settings})
        for _ in range(2 if trained else 0):
            network.train()(2 * self.x + 1)
        return Learner(network, stream)

    def shapes(self, learner: Learner) -> Shapes:
        return probe(learner.network, CHANNELS, LENGTH)

    def frozen(self, learner: Learner, folder: str = "teacher") -> FrozenTeacher:
        return FrozenTeacher(learner.network, self.x, self.folder / folder)

    def training(self, method: str, teacher: str, student: str, role: str, **settings: Any) -> Training:
        """A training run, as a cell makes it.

        Raises:
            NotApplicable: if the method cannot be used on this pair.
        """
        learner = self.network(student)
        guide: Learner | None = None
        if role != "absent":
            guide = self.network(teacher, peer=teacher == student, trained=role in ("frozen", "tuned"))
        made = self.method(method, learner, guide, role, **settings)
        side = self.frozen(guide, f"{teacher}-{student}") if guide and role == "frozen" else guide
        return self.train_with(made, method, learner, side)

    def method(self, name: str, student: Learner, teacher: Learner | None, role: str, **settings: Any) -> Method:
        setup = Setup(
            classes=CLASSES,
            labels=self.y,
            student=self.shapes(student),
            role=role,  # type: ignore[arg-type]
            teacher=None if teacher is None else self.shapes(teacher),
        )
        torch.manual_seed(derive("method", name, 0))
        return METHODS.get(name)(setup, **settings)

    def train_with(
        self, method: Method, name: str, student: Learner, teacher: Learner | FrozenTeacher | None
    ) -> Training:
        return Training(student, teacher, method, method_name=name, recipe=self.recipe, seed=0, dataset="test")

    def run(self, training: Training, observe: Callable[[Training], None] = lambda training: None) -> Training:
        training.run(self.x, self.y, observe)
        return training

    def batch(self, *rows: int) -> Batch:
        """The given windows, by default the first eight."""
        index = torch.tensor(rows or tuple(range(8)))
        return Batch(self.x[index], self.y[index], index)

    @staticmethod
    def kept(state: Any) -> bytes:
        """A state as a file keeps it."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        return buffer.getvalue()

    @staticmethod
    def read(kept: bytes) -> Any:
        return torch.load(io.BytesIO(kept), weights_only=True)

    @staticmethod
    def same(a: Any, b: Any) -> bool:
        """Whether two nested states are equal, bit for bit."""
        if isinstance(a, Tensor):
            return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
        if isinstance(a, dict):
            return isinstance(b, dict) and a.keys() == b.keys() and all(Bench.same(a[key], b[key]) for key in a)
        if isinstance(a, list | tuple):
            return len(a) == len(b) and all(map(Bench.same, a, b))
        return bool(a == b)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)

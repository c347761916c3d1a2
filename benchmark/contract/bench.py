"""Small networks and windows, and the real training loop around them."""

from __future__ import annotations

import copy
import io
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from kdbench.architectures import Backbone, Shapes, probe
from kdbench.catalog.find import METHODS, NETWORKS
from kdbench.catalog.schema import Setting, settings_of
from kdbench.methods import Batch, Method, Role, Setup
from kdbench.seeds import derive
from kdbench.spec.recipe import Recipe
from kdbench.training.loop import Learner, Training
from kdbench.training.teachers import FrozenTeacher

SHRINK: dict[str, Any] = {"width": 0.03, "hidden": 8}  # settings that make a network small, for those that have them
CHANNELS, LENGTH, CLASSES = 3, 32, 4


@dataclass(frozen=True)
class Candidate:
    """A method that is judged, whether the catalog knows it or not."""

    name: str
    cls: type[Method]

    @classmethod
    def find(cls, method: str) -> Candidate:
        """A method by its name, or by the path of a ``.py`` file that defines it.

        Raises:
            KdbenchError: if there is none.
        """
        if method.endswith(".py"):
            return cls(Path(method).stem, METHODS.read(Path(method)))
        return cls(method, METHODS.get(method))

    @property
    def schema(self) -> Mapping[str, Setting]:
        return settings_of(cast(Any, self.cls))


class Bench:
    """Fifteen windows of four classes, and everything that a training run of them needs.

    Batches of eight: one step an epoch, always on other windows, and a remainder that is dropped.

    Args:
        folder: for frozen teachers' outputs.
        seed: what windows, networks and runs are drawn from.
        reuse: whether a network is put back to its beginning rather than made again, which is fast, and right where
            one training is over before the next one is made.
    """

    def __init__(self, folder: Path, seed: int = 0, *, reuse: bool = False) -> None:
        self.folder, self.seed, self.reuse = folder, seed, reuse
        self.recipe = Recipe(name="test", epochs=3, batch_size=8)
        generator = torch.Generator().manual_seed(seed + 1)
        self.y = torch.arange(15) % CLASSES
        self.x = torch.randn(15, CHANNELS, LENGTH, generator=generator) + self.y[:, None, None] / 4
        self._originals: dict[tuple[str, bool, bool], Backbone] = {}
        self._used: dict[tuple[str, bool, bool], Backbone] = {}
        self._sizes: dict[str, Shapes] = {}
        self._served: dict[tuple[str, bool], FrozenTeacher] = {}

    def network(self, name: str, *, peer: bool = False, trained: bool = False, **settings: Any) -> Learner:
        """A small network under the names of its random streams, as a cell makes it.

        Args:
            name: of the architecture.
            peer: whether it stands beside a student of its own kind.
            trained: whether it has been in use: its batch normalisation has seen windows.
            settings: of the architecture.
        """
        if settings:
            network = self._build(name, peer, trained, settings)
        elif self.reuse:
            network = self._put_back(name, peer, trained)
        else:
            network = copy.deepcopy(self.original(name, peer=peer, trained=trained))
        return Learner(network, _stream(name, peer))

    def original(self, name: str, *, peer: bool = False, trained: bool = False) -> Backbone:
        """What `network` copies: built once, never trained."""
        key = name, peer, trained
        if key not in self._originals:
            self._originals[key] = self._build(name, peer, trained, {})
        return self._originals[key]

    def _put_back(self, name: str, peer: bool, trained: bool) -> Backbone:
        key, original = (name, peer, trained), self.original(name, peer=peer, trained=trained)
        if key not in self._used:
            self._used[key] = copy.deepcopy(original)
        network = self._used[key].train()
        network.zero_grad(set_to_none=True)
        with torch.no_grad():
            for kept, tensor in zip(_tensors(original), _tensors(network), strict=True):
                tensor.copy_(kept)
        return network

    def forget(self, name: str) -> None:
        """Make a network anew when it is next asked for: something may have changed more of it than its weights."""
        self._used = {key: network for key, network in self._used.items() if key[0] != name}
        self._served = {key: teacher for key, teacher in self._served.items() if key[0] != name}

    def _build(self, name: str, peer: bool, trained: bool, settings: Mapping[str, Any]) -> Backbone:
        shrunk = {key: value for key, value in SHRINK.items() if key in NETWORKS.schema(name)}
        torch.manual_seed(derive("init", _stream(name, peer), self.seed))
        network: Backbone = NETWORKS.get(name)(CHANNELS, LENGTH, CLASSES, **{**shrunk, **settings})
        with torch.no_grad():
            for _ in range(2 if trained else 0):
                network.train()(2 * self.x + 1)
        return network

    def shapes(self, learner: Learner) -> Shapes:
        return probe(learner.network, CHANNELS, LENGTH)

    def sizes(self, name: str) -> Shapes:
        """Sizes of a network's outputs, by the name of its architecture."""
        if name not in self._sizes:
            self._sizes[name] = probe(self.original(name), CHANNELS, LENGTH)
        return self._sizes[name]

    def frozen(self, learner: Learner, folder: str = "teacher") -> FrozenTeacher:
        return FrozenTeacher(learner.network, self.x, self.folder / folder)

    def served(self, name: str, *, peer: bool = False) -> FrozenTeacher:
        """A trained network that does not learn, the same at every call."""
        key = name, peer
        if key not in self._served:
            folder = f"served-{_stream(name, peer).replace('/', '-')}"
            network = copy.deepcopy(self.original(name, peer=peer, trained=True))  # never one that is put back
            self._served[key] = FrozenTeacher(network, self.x, self.folder / folder)
        return self._served[key]

    def training(self, method: str | Candidate, teacher: str, student: str, role: str, **settings: Any) -> Training:
        """A training run, as a cell makes it.

        Raises:
            NotApplicable: if the method cannot be used on this pair.
        """
        candidate, role = method if isinstance(method, Candidate) else Candidate.find(method), Role(role)
        taught_by = self.sizes(teacher) if role.present else None
        made = self.made(candidate, self.sizes(student), taught_by, role, **settings)
        side: Learner | FrozenTeacher | None = None
        if role.learns:
            side = self.network(teacher, peer=teacher == student, trained=role.pretrained)
        elif role.present:
            side = self.served(teacher, peer=teacher == student)
        return self.train_with(made, candidate.name, self.network(student), side)

    def made(self, candidate: Candidate, student: Shapes, teacher: Shapes | None, role: str, **settings: Any) -> Method:
        """A method for networks of these sizes.

        Raises:
            NotApplicable: if it cannot be used on them.
        """
        setup = Setup(classes=CLASSES, labels=self.y, student=student, role=Role(role), teacher=teacher)
        torch.manual_seed(derive("method", candidate.name, self.seed))
        return candidate.cls(setup, **settings)

    def method(self, name: str, student: Learner, teacher: Learner | None, role: str, **settings: Any) -> Method:
        taught_by = None if teacher is None else self.shapes(teacher)
        return self.made(Candidate.find(name), self.shapes(student), taught_by, role, **settings)

    def train_with(
        self, method: Method, name: str, student: Learner, teacher: Learner | FrozenTeacher | None
    ) -> Training:
        seed = self.seed
        return Training(student, teacher, method, method_name=name, recipe=self.recipe, seed=seed, dataset="test")

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
        if isinstance(a, Mapping):
            return isinstance(b, Mapping) and a.keys() == b.keys() and all(Bench.same(a[key], b[key]) for key in a)
        if isinstance(a, list | tuple):
            return len(a) == len(b) and all(map(Bench.same, a, b))
        return bool(a == b)


def _stream(name: str, peer: bool) -> str:
    return f"{name}/peer" if peer else name


def _tensors(network: Backbone) -> Iterator[Tensor]:
    return itertools.chain(network.parameters(), network.buffers())

"""One cell's training, from windows to what it leaves. Where things are found and kept is no business of this file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from kdbench.architectures import Backbone
from kdbench.catalog.build import make_network, network_shapes
from kdbench.catalog.schema import short
from kdbench.data import Normalisation, Prepared, Protocol
from kdbench.methods import Method, Setup
from kdbench.results.metrics import score
from kdbench.seeds import derive
from kdbench.spec.cell import Cell, Part
from kdbench.spec.words import Spec
from kdbench.training.evaluate import predict
from kdbench.training.loop import Learner, Training
from kdbench.training.teachers import FrozenTeacher


@dataclass(frozen=True)
class Taught:
    """What the cell that trained the teacher left.

    Args:
        weights: of the teacher.
        logits: (N, K) of the teacher on the evaluation windows.
        served: folder for the teacher's outputs on the training windows; its name must change with either.
    """

    weights: dict[str, Tensor]
    logits: npt.NDArray[np.float32]
    served: Path


@dataclass(frozen=True)
class Given:
    """What a training starts from, beside its cell.

    Args:
        data: the dataset's windows.
        protocol: divides them.
        method: the class that the cell names.
        student: likewise.
        teacher: likewise; None where there is none.
        taught: of the teacher's own cell; None where the teacher starts from scratch or there is none.
        device: where to train.
    """

    data: Prepared
    protocol: Protocol
    method: type[Method]
    student: type[Backbone]
    teacher: type[Backbone] | None
    taught: Taught | None
    device: torch.device


@dataclass(frozen=True)
class Result:
    """What a finished training leaves.

    Args:
        metrics: `kdbench.results.score` of the student and, where it learnt too, of the teacher.
        facts: what the method reports about itself.
        predictions: logits, labels, people and rows of the evaluation windows.
        weights: of the model that is deployed.
    """

    metrics: dict[str, dict[str, Any]]
    facts: dict[str, float]
    predictions: dict[str, npt.NDArray[Any]]
    weights: dict[str, Tensor]


class Work:
    """A cell with everything that its training needs.

    Args:
        cell: what is trained.
        given: what it starts from.
    """

    def __init__(self, cell: Cell, given: Given) -> None:
        self.cell, self.given, self.device = cell, given, given.device
        self.about = given.data.description
        windows = given.data.windows
        self.split = given.protocol.split(windows, dataset=cell.dataset_name, seed=cell.seed, fold=cell.fold)
        self.normalisation = Normalisation.fit(windows.x[self.split.train])
        self.x = self._windows(self.split.train)
        self.y = torch.from_numpy(windows.y[self.split.train]).to(self.device)

    def build(self) -> None:
        """Make the networks and the method, each from its own random stream."""
        self.student = self._learner(self.given.student, self.cell.student, peer=False)
        self.teacher = self._teacher()
        self.method = self._method()
        self.training = Training(
            self.student,
            self.teacher,
            self.method,
            method_name=self.cell.method.name,
            recipe=self.cell.recipe,
            seed=self.cell.seed,
            dataset=self.cell.dataset_name,
        )

    def _windows(self, rows: Any) -> Tensor:
        return torch.from_numpy(self.normalisation.apply(self.given.data.windows.x[rows])).to(self.device)

    def _learner(self, cls: type[Backbone], part: Part, *, peer: bool) -> Learner:
        """A network at its own initialisation; a peer of the student's own kind gets another one."""
        name = str(short(cls, Spec(part.name, dict(part.settings))))
        stream = f"{name}/peer" if peer else name
        torch.manual_seed(derive("init", stream, self.cell.seed))
        return Learner(make_network(cls, part, self.about).to(self.device), stream)

    def _teacher(self) -> Learner | FrozenTeacher | None:
        cell, given = self.cell, self.given
        if cell.teacher is None or given.teacher is None:
            return None
        learner = self._learner(given.teacher, cell.teacher, peer=cell.teacher == cell.student)
        if given.taught is None:
            return learner
        learner.network.load_state_dict(given.taught.weights)
        if cell.role.learns:
            return learner
        return FrozenTeacher(learner.network, self.x, given.taught.served)

    def _method(self) -> Method:
        cell, given = self.cell, self.given
        student = network_shapes(given.student, cell.student, self.about)
        teacher = None
        if cell.teacher is not None and given.teacher is not None:
            teacher = network_shapes(given.teacher, cell.teacher, self.about)
        setup = Setup(classes=student.classes, labels=self.y, student=student, role=cell.role, teacher=teacher)
        torch.manual_seed(derive("method", cell.method.name, cell.seed))
        return given.method(setup, **dict(cell.method.settings)).to(self.device)

    def train(self, observe: Callable[[Training], None]) -> None:
        """Train to the recipe's end from wherever the training is; ``observe`` is called after each epoch."""
        self.training.run(self.x, self.y, observe)

    def evaluate(self) -> Result:
        """What is deployed, judged on the evaluation windows, which are opened here and only here."""
        rows = self.split.evaluation
        windows = self.given.data.windows
        x, y, person = self._windows(rows), windows.y[rows], windows.person[rows]
        model = self.deployed()
        logits = predict(model, x).float().cpu().numpy()
        predictions = {"logits": logits, "y": y, "person": person, "row": rows}
        if isinstance(self.teacher, Learner):
            predictions["teacher_logits"] = predict(self.teacher.network, x).float().cpu().numpy()
        elif self.given.taught is not None:
            predictions["teacher_logits"] = self.given.taught.logits
        taught = predictions.get("teacher_logits")
        metrics = {"student": score(logits, y, person, taught)}
        if isinstance(self.teacher, Learner) and taught is not None:
            metrics["teacher"] = score(taught, y, person)
        weights = {key: value.cpu() for key, value in model.state_dict().items()}
        return Result(metrics, self.method.facts(), predictions, weights)

    def deployed(self) -> nn.Module:
        """The model that is judged and kept."""
        head = None if self.teacher is None else self.teacher.network.head
        return self.method.deployed(self.student.network, head)

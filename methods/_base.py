"""What a method is to the rest of kdbench: network outputs in, named losses out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from torch import Tensor, nn

from kdbench.architectures import Outputs, Shapes
from kdbench.roles import Role

Losses = dict[str, Tensor]
"""Scalar losses by name; the loop minimises their sum."""


class NotApplicable(Exception):
    """The method's definition does not extend to this pair of networks; the message says why."""


@dataclass(frozen=True)
class Batch:
    """A batch of training windows.

    Args:
        x: (B, C, T) normalised windows.
        y: (B,) class numbers.
        index: (B,) rows of the training set, so that memory banks and cached teachers need no special dataset.
        augmented: whether ``x`` differs from those rows, so that nothing cached for them holds.
    """

    x: Tensor
    y: Tensor
    index: Tensor
    augmented: bool = False

    def with_inputs(self, x: Tensor) -> Batch:
        """The same samples seen through other inputs, an augmented view; a frozen teacher runs live on it."""
        return replace(self, x=x, augmented=True)


Network = Callable[[Batch], Outputs]


@dataclass(frozen=True)
class Nets:
    """The networks of a training run, as a method sees them.

    Args:
        student: learns.
        teacher: learns (roles peer and tuned), or is served from its frozen outputs; calling it raises ``RuntimeError``
            where the role is absent.
        teacher_head: the teacher's classifier with frozen weights: embedding (B, D) to logits (B, K).
    """

    student: Network
    teacher: Network
    teacher_head: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Setup:
    """What a method may know before training.

    Args:
        classes: K.
        labels: (N,) labels of the training set.
        student: sizes of the student's outputs.
        role: the teacher's role; its plain text will do.
        teacher: sizes of the teacher's outputs; None where the role is absent.
    """

    classes: int
    labels: Tensor
    student: Shapes
    role: Role
    teacher: Shapes | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "role", Role(self.role))

    @property
    def taught_by(self) -> Shapes:
        """Sizes of the teacher's outputs.

        Raises:
            RuntimeError: if there is no teacher.
        """
        if self.teacher is None:
            raise RuntimeError(f"there is no teacher in the role '{self.role}'")
        return self.teacher


@dataclass
class ParameterGroup:
    """Parameters that a method adds, and how they learn.

    Args:
        params: the parameters.
        lr_scale: their learning rate as a multiple of the recipe's.
        weight_decay: their weight decay; None for the recipe's.
    """

    params: list[nn.Parameter] = field(default_factory=list)
    lr_scale: float = 1.0
    weight_decay: float | None = None


class Method(nn.Module):
    """A distillation method: a class that turns network outputs into named losses and owns only what it adds.

    It never holds a network, so ``parameters()`` is exactly what it adds. Its settings are keyword-only arguments of
    ``__init__`` with their legal and search ranges (`kdbench.architectures.Range`, `Choice`) in the annotation.

    Most methods define ``__init__`` and ``losses`` alone.
    """

    kind: ClassVar[str]  # one of `kdbench.kinds.KINDS`: where its row stands
    roles: ClassVar[tuple[Role, ...]] = (Role.FROZEN,)  # what the teacher may be; the first is the default
    version: ClassVar[int] = 1  # raise it when the same settings and seed give other numbers than before
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # named settings, used as name(preset=...)
    checked_against: ClassVar[tuple[str, ...]] = ()  # reference numbers of independent code that the tests compare with
    note: ClassVar[str] = ""  # what a reader of a table must know about every row of the method

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.setup = setup

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        """Losses of one batch, already weighted, each a scalar that something which learns depends on."""
        raise NotImplementedError

    def rounds(self, batch: Batch, nets: Nets) -> Iterator[Losses]:
        """Yield the losses of each optimiser step on this batch; code after a ``yield`` runs after that step."""
        yield self.losses(batch, nets.student(batch), nets.teacher(batch))

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Told before each epoch, counted from 0."""

    def parameter_groups(self) -> list[ParameterGroup]:
        """What the method adds, grouped by how it learns."""
        return [ParameterGroup(list(self.parameters()))]

    def facts(self) -> dict[str, float]:
        """Numbers worth a curve, read once after each epoch."""
        return {}

    def notes(self) -> tuple[str, ...]:
        """What a reader of a table must know about the row, given the settings, the classes and the networks.

        By default `note`. Add what training does here that the student alone does not have (augmented windows, more
        than one optimiser step a batch), and which term of several is void for so few classes. Where all that is taught
        by a teacher is void, raise `NotApplicable` in ``__init__`` instead.
        """
        return (self.note,) if self.note else ()

    def deployed(self, student: nn.Module, teacher_head: nn.Module | None) -> nn.Module:
        """The model that is evaluated, counted, stored and exported; by default the student as it is."""
        return student

"""The training loop, the only one; it knows no method by name."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from kdbench.architectures import Backbone, Outputs
from kdbench.methods import Batch, Method, Nets
from kdbench.seeds import derive
from kdbench.spec.recipe import Recipe
from kdbench.training.determinism import reseed
from kdbench.training.teachers import FrozenTeacher


class Diverged(Exception):
    """A loss is not finite; the message says which, in which epoch and batch."""


class Learner:
    """A network that learns, and its own random stream.

    Dropout draws from the stream of its network alone: a peer beside the student, or a method's own draws, never shift
    it, so the student sees the same noise under every method at a seed.

    Args:
        network: what learns.
        stream: name of the random stream.
    """

    def __init__(self, network: Backbone, stream: str) -> None:
        self.network, self.stream = network, stream


class Training:
    """A training run between two epochs: all that changes, and the loop that changes it.

    Args:
        student: learns.
        teacher: learns beside it, is frozen, or is absent.
        method: turns their outputs into losses.
        method_name: names the method's random stream.
        recipe: how long and how fast.
        seed: what all random streams are derived from.
        dataset: names the stream of the batch order.
    """

    def __init__(
        self,
        student: Learner,
        teacher: Learner | FrozenTeacher | None,
        method: Method,
        *,
        method_name: str,
        recipe: Recipe,
        seed: int,
        dataset: str,
    ) -> None:
        self.student, self.teacher, self.method = student, teacher, method
        self.method_name, self.recipe, self.seed, self.dataset = method_name, recipe, seed, dataset
        self.epoch = 0  # epochs done
        self.curve: list[dict[str, float]] = []  # one row an epoch
        self._step = 0
        self._calls: Counter[str] = Counter()  # forward passes of each stream in this step
        networks = [student.network] + ([teacher.network] if isinstance(teacher, Learner) else [])
        self.learners = nn.ModuleList([*networks, method])
        groups = [{"params": list(network.parameters())} for network in networks]
        for group in filter(lambda g: g.params, method.parameter_groups()):
            decay = recipe.weight_decay if group.weight_decay is None else group.weight_decay
            rate = recipe.learning_rate * group.lr_scale
            groups.append({"params": group.params, "lr": rate, "weight_decay": decay})  # type: ignore[dict-item]
        self.optimizer = torch.optim.Adam(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
        lowest = recipe.final_learning_rate / recipe.learning_rate
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda e: lowest + (1 - lowest) * (1 + math.cos(math.pi * e / recipe.epochs)) / 2
        )
        self.device = next(student.network.parameters()).device
        self.nets = Nets(self._network(student), self._network(teacher), self._teacher_head)

    def run(self, x: Tensor, y: Tensor, observe: Callable[[Training], None]) -> None:
        """Train to the recipe's end from wherever this training is.

        Args:
            x: (N, C, T) training windows on the device.
            y: (N,) their classes.
            observe: called after each epoch.

        Raises:
            Diverged: if a loss is not finite.
        """
        epochs = self.recipe.epochs
        for epoch in range(self.epoch, epochs):
            self.learners.train()
            self.method.start_epoch(epoch, epochs)
            log: list[tuple[int, tuple[str, ...], Tensor]] = []
            for step, index in enumerate(self._batches(len(x), epoch)):
                self._begin(epoch, step)
                batch = Batch(x[index], y[index], index)
                for losses in self.method.rounds(batch, self.nets):
                    self.optimizer.zero_grad(set_to_none=True)
                    torch.autograd.backward(list(losses.values()))
                    self.optimizer.step()
                    log.append((step, tuple(losses), torch.stack([loss.detach() for loss in losses.values()])))
            rate = self.schedule.get_last_lr()[0]
            self.schedule.step()
            self.epoch = epoch + 1
            row = {"epoch": float(self.epoch), "learning_rate": float(rate)}
            self.curve.append({**row, **_means(log, self.epoch), **self.method.facts()})
            observe(self)

    def _batches(self, count: int, epoch: int) -> Iterator[Tensor]:
        """Rows of each batch in this epoch's order; a remainder is dropped where a full batch exists."""
        size = min(self.recipe.batch_size, count)
        generator = torch.Generator().manual_seed(derive("order", self.dataset, self.seed, epoch))
        order = torch.randperm(count, generator=generator).to(self.device)
        for first in range(0, count - size + 1, size):
            yield order[first : first + size]

    def _begin(self, epoch: int, step: int) -> None:
        self._step = epoch * 1_000_000 + step
        self._calls.clear()
        reseed(derive("method", self.method_name, self.seed, self._step), self.device)

    def _network(self, side: Learner | FrozenTeacher | None) -> Callable[[Batch], Outputs]:
        if side is None:
            return _no_teacher
        if isinstance(side, FrozenTeacher):
            return side
        learner = side

        def forward(batch: Batch) -> Outputs:
            call = self._calls[learner.stream]
            self._calls[learner.stream] += 1
            reseed(derive("noise", learner.stream, self.seed, self._step, call), self.device)
            outputs: Outputs = learner.network(batch.x)
            # What the method draws next depends on the step alone, not on how much noise a network took.
            total = self._calls.total()
            reseed(derive("method", self.method_name, self.seed, self._step, total), self.device)
            return outputs

        return forward

    def _teacher_head(self, embedding: Tensor) -> Tensor:
        if self.teacher is None:
            raise RuntimeError("there is no teacher in the role 'absent'")
        head = self.teacher.network.head
        bias = None if head.bias is None else head.bias.detach()
        return nn.functional.linear(embedding, head.weight.detach(), bias)

    def state(self) -> dict[str, Any]:
        """Everything that the next epoch needs and cannot derive."""
        return {
            "epoch": self.epoch,
            "curve": self.curve,
            "learners": self.learners.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken."""
        self.epoch, self.curve = state["epoch"], list(state["curve"])
        self.learners.load_state_dict(state["learners"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])


def _no_teacher(batch: Batch) -> Outputs:
    raise RuntimeError("there is no teacher in the role 'absent'")


def _means(log: list[tuple[int, tuple[str, ...], Tensor]], epoch: int) -> dict[str, float]:
    """Mean of each loss over the epoch's rounds, read back from the device at once.

    Raises:
        Diverged: if one is not finite.
    """
    values = torch.cat([losses for _, _, losses in log]).double().tolist()
    named = [(step, name) for step, names, _ in log for name in names]
    by_name: dict[str, list[float]] = {}
    for (step, name), value in zip(named, values, strict=True):
        if not math.isfinite(value):
            raise Diverged(f"loss {name!r} is {value} in epoch {epoch}, batch {step + 1}")
        by_name.setdefault(name, []).append(value)
    return {f"loss_{name}": math.fsum(each) / len(each) for name, each in by_name.items()}

"""What a network is to the rest of kdbench: a window in, `Outputs` out."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import torch
from torch import Tensor, nn


class Outputs:
    """What one forward pass of a network shows.

    Args:
        logits: (B, K).
        stages: the network's intermediate features (its taps), shallow to deep, each (B, C_i, T_i); T_i = 1 where there
            is no time axis. Post-activation, before dropout: a residual stream is taken after the sum that ends a
            block, and after the activation on that sum where the block has one; a recurrent layer's stage is its hidden
            state, which the output gate has passed, and no cell state.
        embedding: (B, D), the classifier's input before dropout.
    """

    logits: Tensor
    stages: Sequence[Tensor]
    embedding: Tensor

    def __init__(self, logits: Tensor, stages: Sequence[Tensor], embedding: Tensor) -> None:
        self.logits, self.stages, self.embedding = logits, stages, embedding

    @cached_property
    def pooled(self) -> tuple[Tensor, ...]:
        """The stages averaged over time, each (B, C_i)."""
        return tuple(stage.mean(dim=2) if stage.shape[2] > 1 else stage[:, :, 0] for stage in self.stages)


@dataclass(frozen=True)
class Shapes:
    """Sizes of a network's outputs, read off one dry forward pass and never typed by hand.

    Args:
        classes: K, the number of logits.
        stages: (C_i, T_i) of every stage, shallow to deep.
        embedding: D.
    """

    classes: int
    stages: tuple[tuple[int, int], ...]
    embedding: int

    def at(self, depth: float) -> int:
        """Index of the stage at a relative depth, 0 (first) to 1 (last).

        Raises:
            ValueError: if ``depth`` is outside 0..1.
        """
        if not 0 <= depth <= 1:
            raise ValueError(f"depth={depth} is outside [0, 1]")
        return round(depth * (len(self.stages) - 1))


class Backbone(nn.Module):
    """A network: called with windows (B, C, T), returns `Outputs`.

    A subclass takes ``(channels, length, classes, *, settings...)``, sets ``head``, its final classifier, and defines
    ``forward``. In evaluation mode ``outputs.logits == head(outputs.embedding)``. Raise ``ValueError`` with the reason
    for a window size that the network cannot take; that every size is at least 1 is seen to here.

    ``sees`` is set on a network that was made for some channels only: the numbers of those of the windows that it is
    called with. It is given them alone, so that networks that see different sensors are called with the same windows.
    """

    family: ClassVar[str]  # mlp, conv, recurrent, attention, hybrid or mixer
    version: ClassVar[int] = 1  # raise it when the same settings and seed give other numbers than before
    head: nn.Linear
    sees: tuple[int, ...] | None = None

    def __new__(cls, *sizes: object, **named: object) -> Self:
        """Refuse a size below 1 for every network at once, before a layer makes less of it than a clear message.

        Copies are made without arguments.
        """
        for key, value in {**dict(zip(("channels", "length", "classes"), sizes, strict=False)), **named}.items():
            if key in ("channels", "length", "classes") and isinstance(value, int) and value < 1:
                raise ValueError(f"{key}={value}, wanted at least 1")
        return super().__new__(cls)

    def __call__(self, x: Tensor) -> Outputs:
        found: Outputs = super().__call__(x if self.sees is None else x[:, list(self.sees)])
        return found

    def forward(self, x: Tensor) -> Outputs:
        raise NotImplementedError


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """A network in evaluation mode; afterwards each of its modules is back in the mode that it was in."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def on_its_own(network: nn.Module, channels: int) -> tuple[nn.Module, int]:
    """A network as a device runs it, which has no sensors but those that it sees, and how many channels these are."""
    if not isinstance(network, Backbone) or network.sees is None:
        return network, channels
    alone = copy.copy(network)
    alone.sees = None
    return alone, len(network.sees)


def probe(network: Backbone, channels: int, length: int) -> Shapes:
    """Read a network's sizes off one forward pass of a single zero window in evaluation mode.

    Leaves every module's mode and the random state as they were.
    """
    like = next(network.parameters())
    with evaluating(network), torch.no_grad():
        outputs = network(torch.zeros(1, channels, length, dtype=like.dtype, device=like.device))
    stages = tuple((stage.shape[1], stage.shape[2]) for stage in outputs.stages)
    return Shapes(classes=outputs.logits.shape[1], stages=stages, embedding=outputs.embedding.shape[1])

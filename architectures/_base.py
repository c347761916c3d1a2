"""What a network is to the rest of kdbench: a window in, `Outputs` out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn


class Outputs:
    """What one forward pass of a network shows.

    Args:
        logits: (B, K).
        stages: the network's intermediate features (its taps), shallow to deep, each (B, C_i, T_i); T_i = 1 where there
            is no time axis. Post-activation, before dropout.
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
    for a window size that the network cannot take.
    """

    family: ClassVar[str]  # mlp, conv, recurrent, attention, hybrid or mixer
    version: ClassVar[int] = 1  # raise it when the same settings and seed give other numbers than before
    head: nn.Linear

    def forward(self, x: Tensor) -> Outputs:
        raise NotImplementedError


def probe(network: Backbone, channels: int, length: int) -> Shapes:
    """Read a network's sizes off one forward pass of a single zero window in evaluation mode.

    Leaves the network's mode and random state as they were.
    """
    was_training = network.training
    network.eval()
    like = next(network.parameters())
    with torch.no_grad():
        outputs = network(torch.zeros(1, channels, length, dtype=like.dtype, device=like.device))
    network.train(was_training)
    stages = tuple((stage.shape[1], stage.shape[2]) for stage in outputs.stages)
    return Shapes(classes=outputs.logits.shape[1], stages=stages, embedding=outputs.embedding.shape[1])

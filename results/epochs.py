"""What was written down after each epoch, run by run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kdbench.results.seen import Seen
from kdbench.results.tables.model import Block

LOSS = "loss_"
NO_CURVE = ("epoch", "learning_rate")
END = 0.1
"""The share of the epochs that is the end of a training."""


@dataclass(frozen=True)
class Curve:
    """Of one run."""

    seed: int
    fold: int
    loss: Sequence[float]
    """Sum of the losses, by epoch."""
    extra: Mapping[str, Sequence[float]]
    """What else was written down, such as what a method reports of itself."""

    def at(self, values: Sequence[float], share: float) -> float:
        """What stood after such a share of the epochs: 0 the first, 1 the last; NaN where nothing was recorded."""
        return values[round(share * (len(values) - 1))] if values else math.nan

    @property
    def falling(self) -> float:
        """How much of all that the loss fell it fell in the last tenth of the epochs; NaN where it did not fall."""
        fell = self.loss[0] - self.loss[-1]
        before = len(self.loss) - 1 - max(1, round(END * len(self.loss)))
        return (self.loss[before] - self.loss[-1]) / fell if before >= 0 and fell > 0 else math.nan


def curves(seen: Seen, block: Block, label: str) -> list[Curve]:
    """Of the done runs of a row; without those that have none."""
    found = []
    for entry in seen.found.get((block, label), ()):
        epochs = seen.epochs(entry)
        if not epochs:
            continue
        loss = [_sum(epoch) for epoch in epochs]
        names = [key for key in epochs[-1] if key not in NO_CURVE and not key.startswith(LOSS)]
        extra = {name: [epoch.get(name, math.nan) for epoch in epochs] for name in names}
        found.append(Curve(entry.place.seed, entry.place.fold, loss, extra))
    return found


def _sum(epoch: Mapping[str, float]) -> float:
    """Of the losses that an epoch had."""
    return math.fsum(value for key, value in epoch.items() if key.startswith(LOSS) and not math.isnan(value))

"""Training without a teacher."""

from __future__ import annotations

from collections.abc import Iterator

from kdbench.methods._base import Batch, Losses, Method, Nets
from kdbench.methods._functional import cross_entropy
from kdbench.roles import Role


class Supervised(Method):
    """The network alone, by cross-entropy: the reference that every gain is measured from, and how teachers are made.

    Formula: L = CE(z, y).

    Deviations: none.
    """

    kind = "reference"
    roles = (Role.ABSENT,)

    def rounds(self, batch: Batch, nets: Nets) -> Iterator[Losses]:
        yield {"hard": cross_entropy(nets.student(batch).logits, batch.y)}

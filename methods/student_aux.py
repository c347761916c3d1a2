"""The student alone with an auxiliary head: deep supervision without any teacher, the control for HMKD."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from torch import nn

from kdbench.architectures import Choice, Range
from kdbench.methods._base import Batch, Losses, Method, Nets, ParameterGroup, Setup
from kdbench.methods._functional import cross_entropy
from kdbench.methods._modules import StageEnsemble
from kdbench.roles import Role


class StudentAux(Method):
    """The student alone, with the auxiliary head that our reconstruction of HMKD gives it during training.

    Without this control a gain of mutual learning may be no more than that of deep supervision.

    Formula: L = CE(z_S, y) + aux_weight CE(A F_S, y), F_S the weighted ensemble feature of the student's stages.

    Source: deep supervision, Lee et al., "Deeply-supervised nets", AISTATS 2015, https://arxiv.org/abs/1409.5185, in
    the form of HMKD's auxiliary head.

    Args:
        setup: what the run tells the method.
        aux_weight: weight of the auxiliary head's cross-entropy.
        ensemble: how stages merge: softmax | mean | last | self | gate.
        width: D of the merged feature; of two numbers, layer normalisation leaves only which is the larger.

    Deviations: one head on the merged stages, where the source has one head a stage.
    """

    kind = "self"
    roles = (Role.ABSENT,)

    def __init__(
        self,
        setup: Setup,
        *,
        aux_weight: Annotated[float, Range(0, 100, search=(0.1, 2), log=True)] = 1.0,
        ensemble: Annotated[str, Choice("softmax", "mean", "last", "self", "gate")] = "softmax",
        width: Annotated[int, Range(3, 4096)] = 128,
    ) -> None:
        super().__init__(setup)
        self.aux_weight = aux_weight
        self.merge = StageEnsemble([c for c, _ in setup.student.stages], width, ensemble)
        self.aux_head = nn.Linear(width, setup.classes)

    def rounds(self, batch: Batch, nets: Nets) -> Iterator[Losses]:
        student = nets.student(batch)
        guess = self.aux_head(self.merge(student.pooled))  # (B, K)
        yield {
            "hard": cross_entropy(student.logits, batch.y),
            "aux": self.aux_weight * cross_entropy(guess, batch.y),
        }

    def parameter_groups(self) -> list[ParameterGroup]:
        return [*self.merge.parameter_groups(), ParameterGroup(list(self.aux_head.parameters()))]

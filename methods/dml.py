"""Deep mutual learning."""

from __future__ import annotations

from typing import Annotated

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, Setup
from kdbench.methods._functional import cross_entropy, soft_divergence
from kdbench.roles import Role


class DML(Method):
    """Two networks learn together, and each follows the other's class probabilities.

    Formula: L_S = CE(z_S, y) + weight t^2 KL(sg p_T^t || p_S^t), L_T with the networks swapped, sg stop-gradient; both
    are minimised in one step.

    Source: Zhang, Xiang, Hospedales, Lu, "Deep mutual learning", CVPR 2018, https://arxiv.org/abs/1706.00384.
    Defaults: weight 1, t 1, as in the paper.

    Args:
        setup: what the run tells the method.
        weight: of the divergences.
        temperature: t, softens both networks' probabilities.

    Deviations: the networks move in one step, from the same predictions, where the paper's second network sees the
    first one's after its step. Role ``tuned`` starts from a trained teacher; the paper's networks both start from
    scratch.
    """

    kind = "mutual"
    roles = (Role.PEER, Role.TUNED)
    checked_against = ("dml",)

    def __init__(
        self,
        setup: Setup,
        *,
        weight: Annotated[float, Range(0, 100, search=(0.1, 10), log=True)] = 1.0,
        temperature: Annotated[float, Range(0.1, 100, search=(1, 4), log=True)] = 1.0,
    ) -> None:
        super().__init__(setup)
        self.weight, self.temperature = weight, temperature

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        s, t = student.logits, teacher.logits
        return {
            "hard_student": cross_entropy(s, batch.y),
            "hard_teacher": cross_entropy(t, batch.y),
            "match_student": self.weight * soft_divergence(s, t.detach(), self.temperature),
            "match_teacher": self.weight * soft_divergence(t, s.detach(), self.temperature),
        }

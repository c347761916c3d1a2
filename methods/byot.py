"""Be your own teacher: self-distillation from the deepest classifier to shallower exits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from torch import Tensor, nn

from kdbench.methods._base import Batch, Losses, Method, Nets, NotApplicable, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy, soft_divergence, total
from kdbench.methods._modules import Bottleneck
from kdbench.roles import Role
from kdbench.settings import Range


class BYOT(Method):
    """The student's shallower stages get exits of their own, which its deepest classifier teaches.

    Formula, with exits i = 1..N-1 at every stage but the last, q_i their logits, h_i their features, v the embedding
    and sg stop-gradient::

        L = (1 - alpha) (CE(z, y) + sum_i CE(q_i, y)) + alpha sum_i t^2 KL(sg p^t(z) || p^t(q_i))
            + hint_weight (1/B) sum_i || h_i - sg v ||^2

    h_i is a bottleneck on the stage averaged over time, as wide as the embedding, and q_i is linear in it. Exits are
    trained with the student and dropped at inference. There is no other teacher.

    Source: Zhang et al., "Be your own teacher: improve the performance of convolutional neural networks via self
    distillation", ICCV 2019, https://arxiv.org/abs/1905.08094. Defaults: t 3, alpha 0.1, as in
    https://github.com/luanyunteng/pytorch-be-your-own-teacher, and hint_weight 1.28e-4, which for the mean over a batch
    is its 1e-6 for the sum over a batch of 128. Starting points from CIFAR-100, not tuned.

    Args:
        setup: what the run tells the method.
        temperature: t, softens the probabilities.
        alpha: share of the deepest classifier's targets in the loss; the labels have the rest.
        hint_weight: of the distance of the exits' features from the embedding.

    Raises:
        NotApplicable: if the student has one stage alone.

    Deviations: exits see the stage averaged over time, hence their bottlenecks have kernel 1; the last layer of a
    bottleneck is linear, since an embedding may be negative; and the distance counts every entry, where the code leaves
    out those in which neither the exit's feature nor the embedding is above 0.
    """

    kind = "self"
    roles = (Role.ABSENT,)

    def __init__(
        self,
        setup: Setup,
        *,
        temperature: Annotated[float, Range(0.1, 100, search=(1, 10), log=True)] = 3.0,
        alpha: Annotated[float, Range(0, 1, search=(0.05, 0.9))] = 0.1,
        hint_weight: Annotated[float, Range(0, 100, search=(1e-5, 0.1), log=True)] = 1.28e-4,
    ) -> None:
        super().__init__(setup)
        shallow, width = [channels for channels, _ in setup.student.stages[:-1]], setup.student.embedding
        if not shallow:
            raise NotApplicable("the student has one stage alone: there is no shallower one to put an exit at")
        self.temperature, self.alpha, self.hint_weight = temperature, alpha, hint_weight
        self.bottlenecks = nn.ModuleList(Bottleneck(channels, max(1, width // 4), width) for channels in shallow)
        self.heads = nn.ModuleList(nn.Linear(width, setup.classes) for _ in shallow)

    def rounds(self, batch: Batch, nets: Nets) -> Iterator[Losses]:
        student = nets.student(batch)
        deepest, embedding = student.logits.detach(), at_least_float32(student.embedding).detach()
        features = self.features(student.pooled)  # (B, D) each
        guesses = [head(h) for head, h in zip(self.heads, features, strict=True)]  # (B, K) each
        hints = [(h - embedding).square().sum(dim=1).mean() for h in features]
        yield {
            "hard": (1 - self.alpha) * cross_entropy(student.logits, batch.y),
            "exits": (1 - self.alpha) * total([cross_entropy(q, batch.y) for q in guesses]),
            "soft": self.alpha * total([soft_divergence(q, deepest, self.temperature) for q in guesses]),
            "hint": self.hint_weight * total(hints),
        }

    def features(self, pooled: tuple[Tensor, ...]) -> list[Tensor]:
        """What each exit makes of its stage vector (B, C_i), as wide as the embedding."""
        read = zip(self.bottlenecks, pooled[:-1], strict=True)
        return [bottleneck(at_least_float32(f)) for bottleneck, f in read]

"""Semantic calibration: every stage of the student learns from all of the teacher's, by learnt attention."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy
from kdbench.methods._modules import Bottleneck
from kdbench.methods._stages import stage_at

Pairs = list[list[Tensor]]  # of the student's stage i with the teacher's stage j


class SemCKD(Method):
    """Project each of the student's stages to each of the teacher's; attention says whom it follows, sample by sample.

    Formula: L = CE(z_S, y) + weight / (B N_S) sum_{b,i,j} alpha_bij mean_{c,l} (P_ij(s_i) - t_j)^2, with
    alpha_bi = softmax_j(<q_i, k_j> / temperature) over the teacher's stages, q_i and k_j two-layer embeddings, of unit
    length, of the stages averaged over time.

    Reads the labels and all of the teacher's stages, averaged over time; with ``over_time`` their maps, at the shorter
    of both lengths of each pair. Projections and embeddings are trained with the student and dropped at inference.

    Source: Chen et al., "Cross-layer distillation with semantic calibration", AAAI 2021,
    https://arxiv.org/abs/2012.03236. Defaults: weight 400, temperature 1 and projections of twice the teacher's width,
    as in https://github.com/DefangChen/SimKD (CIFAR-100: a start, not tuned), width 16 as there at batch 64.

    Args:
        setup: what the run tells the method.
        weight: of the match.
        temperature: softens the attention.
        width: of queries and keys; one number at unit length would be 1 or -1.
        over_time: whether the stages are compared at every time step rather than as averages over time.

    Deviations: queries and keys read the stages themselves, where the source reads the row of a sample's similarities
    to the batch, which ties its layers to a batch size and to an order of samples; the projection ends in a bias. A
    teacher of one stage has nothing to attend to: alpha is 1. Averages over time by default, where the source compares
    maps. The source adds softened targets to the loss.
    """

    kind = "feature"
    checked_against = ("semckd",)

    def __init__(
        self,
        setup: Setup,
        *,
        weight: Annotated[float, Range(0, 1e5, search=(1, 1000), log=True)] = 400.0,
        temperature: Annotated[float, Range(0.01, 100, search=(0.1, 10), log=True)] = 1.0,
        width: Annotated[int, Range(2, 1024)] = 16,
        over_time: bool = False,
    ) -> None:
        super().__init__(setup)
        self.weight, self.temperature = weight, temperature
        mine, yours = setup.student.stages, setup.taught_by.stages
        self.lengths = [[min(s, t) if over_time else 1 for _, t in yours] for _, s in mine]
        self.project = nn.ModuleList(
            nn.ModuleList(
                Bottleneck(channels, 2 * wanted, wanted, kernel=3 if length > 1 else 1)
                for (wanted, _), length in zip(yours, lengths, strict=True)
            )
            for (channels, _), lengths in zip(mine, self.lengths, strict=True)
        )
        attends = len(yours) > 1  # nothing is added that no loss reads
        self.query = nn.ModuleList(_embedding(channels, width) for channels, _ in mine if attends)
        self.key = nn.ModuleList(_embedding(channels, width) for channels, _ in yours if attends)

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        values, targets = self.values(student), self.targets(teacher)
        match = self.distance(values, targets, self.attention(student.pooled, teacher.pooled))
        return {"hard": cross_entropy(student.logits, batch.y), "match": self.weight * match}

    def values(self, student: Outputs) -> Pairs:
        """The student's stage i as stage j of the teacher."""
        rows = enumerate(zip(cast(Iterable[nn.ModuleList], self.project), self.lengths, strict=True))
        return [
            [project(stage_at(student, i, length)) for project, length in zip(projects, lengths, strict=True)]
            for i, (projects, lengths) in rows
        ]

    def targets(self, teacher: Outputs) -> Pairs:
        """The teacher's stage j at the length at which it meets stage i of the student."""
        return [[stage_at(teacher, j, length) for j, length in enumerate(lengths)] for lengths in self.lengths]

    def attention(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """How much each of the student's stages follows each of the teacher's, (B, N_S, N_T), by their vectors."""
        if not self.key:
            return student[0].new_ones(len(student[0]), len(student), 1)
        query, key = _embedded(self.query, student), _embedded(self.key, teacher)  # (B, N, width)
        return torch.softmax(torch.bmm(query, key.transpose(1, 2)) / self.temperature, dim=2)

    @staticmethod
    def distance(values: Pairs, targets: Pairs, attention: Tensor) -> Tensor:
        """Squared distances of all pairs, weighted by the attention (B, N_S, N_T)."""
        apart = torch.stack(
            [
                torch.stack([(v - t).square().mean(dim=(1, 2)) for v, t in zip(*row, strict=True)], dim=1)
                for row in zip(values, targets, strict=True)
            ],
            dim=1,
        )  # (B, N_S, N_T)
        return (attention * apart).sum(dim=2).mean()


def _embedding(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(channels, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))


def _embedded(embeddings: nn.ModuleList, vectors: Sequence[Tensor]) -> Tensor:
    """Stage vectors (B, C_i) as unit vectors (B, N, width)."""
    embedded = [embed(at_least_float32(v)) for embed, v in zip(embeddings, vectors, strict=True)]
    return F.normalize(torch.stack(embedded, dim=1), dim=2)

"""Contrastive representation distillation."""

from __future__ import annotations

import math
from typing import Annotated

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, NotApplicable, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy, unit

EPS = 1e-7  # of the authors' code, beside the share of noise


class CRD(Method):
    """Tell both networks' views of a window apart from those of windows of other classes.

    Formula, for the student's side, u = W v + b at unit length and v the embedding::

        L   = CE(z_S, y) + weight (L_S + L_T)
        L_S = -(1/B) sum_i [ log h_i0 + sum_k=1..K log(1 - h_ik) ]
        h   = s / (s + K/N),  s_ik = exp(<u_i, bank_T,k> / t) / Z_S

    and L_T with the networks swapped: each network's view is compared with the bank of the other's. k = 0 is the window
    itself; the K others are drawn without repetition among the windows of other classes. A bank holds the view of each
    of the N training windows, moved after each batch: bank = momentum bank + (1 - momentum) u, at unit length. Z is N
    times the mean of exp(<u, bank> / t) over the first batch, and then stays.

    Trains W and b of both networks; they are dropped at inference.

    Source: Tian, Krishnan, Isola, "Contrastive representation distillation", ICLR 2020,
    https://arxiv.org/abs/1910.10699, and the authors' code, https://github.com/HobbitLong/RepDistiller. Defaults:
    weight 0.8, width 128, momentum 0.5, t 0.07, as there on CIFAR-100: starting points, not tuned.

    Args:
        setup: what the run tells the method.
        weight: of both sides.
        temperature: t of the scores.
        momentum: share of a bank's old view.
        width: D of the views.
        negatives: K; at most N less the largest class, so that every window has as many of other classes.

    Raises:
        NotApplicable: if all training windows are of one class.

    Deviations: K is 4096 where the authors draw 16384, more than a training set of activity recognition may hold.
    """

    kind = "contrastive"
    checked_against = ("crd",)

    def __init__(
        self,
        setup: Setup,
        *,
        weight: Annotated[float, Range(0, 100, search=(0.02, 5), log=True)] = 0.8,
        temperature: Annotated[float, Range(0.01, 10, search=(0.04, 0.5), log=True)] = 0.07,
        momentum: Annotated[float, Range(0, 1, search=(0.1, 0.9))] = 0.5,
        width: Annotated[int, Range(1, 4096)] = 128,
        negatives: Annotated[int, Range(1, 1_000_000)] = 4096,
    ) -> None:
        super().__init__(setup)
        count, largest = len(setup.labels), int(setup.labels.bincount().max())
        if count == largest:
            raise NotApplicable("all training windows are of one class: there is none to tell them apart from")
        self.weight, self.temperature, self.momentum = weight, temperature, momentum
        self.negatives = min(negatives, count - largest)
        self.labels: Tensor
        self.register_buffer("labels", setup.labels, persistent=False)
        self.student = _Side(setup.student.embedding, width, count)
        self.teacher = _Side(setup.taught_by.embedding, width, count)

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        u_s, u_t = self.student(student.embedding), self.teacher(teacher.embedding)
        return {"hard": cross_entropy(student.logits, batch.y), **self.contrast(u_s, u_t, self.drawn(batch))}

    def drawn(self, batch: Batch) -> Tensor:
        """Rows of the training set that each window is compared with, (B, K + 1): itself, then K of other classes."""
        rank = torch.rand(len(batch.y), len(self.labels), device=batch.y.device)
        rank = rank.masked_fill(self.labels == batch.y[:, None], -1.0)
        others = rank.topk(self.negatives, dim=1, sorted=False).indices
        return torch.cat([batch.index[:, None], others], dim=1)

    def contrast(self, u_student: Tensor, u_teacher: Tensor, rows: Tensor) -> Losses:
        """Losses of the views (B, D) against the banks as they are; then the banks move.

        Args:
            u_student: (B, D) views at unit length.
            u_teacher: (B, D) views at unit length.
            rows: (B, K + 1) of the training set; the first is the window itself.
        """
        losses = {
            "contrast_student": self.weight * self.student.loss(u_student, self.teacher.bank, rows, self.temperature),
            "contrast_teacher": self.weight * self.teacher.loss(u_teacher, self.student.bank, rows, self.temperature),
        }
        self.student.move(rows[:, 0], u_student, self.momentum)
        self.teacher.move(rows[:, 0], u_teacher, self.momentum)
        return losses


class _Side(nn.Module):
    """One network's part of the contrast: its projection, the bank of its views, and its normaliser.

    Args:
        features: width of the embedding.
        width: D.
        count: N.
    """

    bank: Tensor
    log_z: Tensor

    def __init__(self, features: int, width: int, count: int) -> None:
        super().__init__()
        self.project = nn.Linear(features, width)
        bound = math.sqrt(3 / width)  # rows of length 1 in the mean
        self.register_buffer("bank", torch.empty(count, width).uniform_(-bound, bound))
        self.register_buffer("log_z", torch.tensor(math.inf))  # until the first batch

    def forward(self, embedding: Tensor) -> Tensor:
        """The view of each window, (B, features) to (B, D) at unit length."""
        return unit(self.project(at_least_float32(embedding)))

    def loss(self, u: Tensor, bank: Tensor, rows: Tensor, temperature: float) -> Tensor:
        """Noise-contrastive loss, through the log-odds of h, which no exponential overflows."""
        count, noise = len(bank), rows.shape[1] - 1
        # One product with the whole bank, then a choice of scores: rows of the bank itself would be (B, K + 1, D).
        score = (u @ bank.T).gather(1, rows) / temperature  # (B, K + 1)
        with torch.no_grad():
            first = score.logsumexp(dim=(0, 1)) + math.log(count / score.numel())
            self.log_z.copy_(torch.where(self.log_z.isinf(), first, self.log_z))
        share = noise / count
        odds = score - self.log_z - math.log(share + EPS)
        missed = -F.logsigmoid(odds[:, 0])
        mistaken = -F.logsigmoid(-odds[:, 1:]).sum(dim=1) + noise * math.log1p(EPS / share)
        return (missed + mistaken).mean()

    @torch.no_grad()
    def move(self, rows: Tensor, u: Tensor, momentum: float) -> None:
        """Let the views of these rows follow u; a copy, since the backward pass still needs the bank as it was."""
        self.bank = self.bank.index_copy(0, rows, unit(momentum * self.bank[rows] + (1 - momentum) * u))

"""Contrastive representation distillation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, Nets, NotApplicable, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy, unit

EPS = 1e-7  # of the authors' code, beside the share of noise
Views = tuple[Tensor, Tensor]  # the student's and the teacher's, each (B, D) at unit length


class CRD(Method):
    """Tell both networks' views of a window apart from those of windows of other classes.

    Formula, for the student's side, u = W v + b at unit length and v the embedding::

        L   = CE(z_S, y) + weight (L_S + L_T)
        L_S = -(1/B) sum_i [ log h_i0 + sum_k=1..K log(1 - h_ik) ]
        h   = s / (s + K/N),  s_ik = exp(<u_i, bank_T,k> / t) / Z_S

    and L_T with the networks swapped: each network's view is compared with the bank of the other's. k = 0 is the window
    itself; the K others are drawn without repetition among the windows of other classes, for each class of a batch
    once. A bank holds the view of each of the N training windows, moved after each batch: bank = momentum bank +
    (1 - momentum) u, at unit length. Z is N times the mean of exp(<u, bank> / t) over the first batch, and then stays.
    A step costs what its negatives cost, whatever N is.

    Trains W and b of both networks; they are dropped at inference.

    Source: Tian, Krishnan, Isola, "Contrastive representation distillation", ICLR 2020,
    https://arxiv.org/abs/1910.10699, and the authors' code, https://github.com/HobbitLong/RepDistiller. Defaults:
    weight 0.8, width 128, momentum 0.5, t 0.07, as there on CIFAR-100: starting points, not tuned.

    Args:
        setup: what the run tells the method.
        weight: of both sides.
        temperature: t of the scores.
        momentum: share of a bank's old view.
        width: D of the views; a view of one number at unit length would be 1 or -1.
        negatives: K; at most N less the largest class, so that every window has as many of other classes.

    Raises:
        NotApplicable: if all training windows are of one class.

    Deviations: K is 4096 where the authors draw 16384, more than a training set of activity recognition may hold; the
    windows of one class in a batch share one draw, where each has its own there. The expected loss is the same, and a
    step picks C K rows of a bank, not B K, which cost more the more windows there are, as a cache holds fewer of them.
    """

    kind = "contrastive"
    version = 3  # 1 ranked all windows for each draw, 2 drew for each window
    checked_against = ("crd",)

    def __init__(
        self,
        setup: Setup,
        *,
        weight: Annotated[float, Range(0, 100, search=(0.02, 5), log=True)] = 0.8,
        temperature: Annotated[float, Range(0.01, 10, search=(0.04, 0.5), log=True)] = 0.07,
        momentum: Annotated[float, Range(0, 1, search=(0.1, 0.9))] = 0.5,
        width: Annotated[int, Range(2, 4096)] = 128,
        negatives: Annotated[int, Range(1, 1_000_000)] = 4096,
    ) -> None:
        super().__init__(setup)
        count, largest = len(setup.labels), int(setup.labels.bincount().max())
        if count == largest:
            raise NotApplicable("all training windows are of one class: there is none to tell them apart from")
        self.weight, self.temperature, self.momentum = weight, temperature, momentum
        self.draw = _Draw(setup.labels, setup.classes, min(negatives, count - largest))
        self.student = _Side(setup.student.embedding, width, count)
        self.teacher = _Side(setup.taught_by.embedding, width, count)

    def rounds(self, batch: Batch, nets: Nets) -> Iterator[Losses]:
        student, teacher = nets.student(batch), nets.teacher(batch)
        views = self.views(student, teacher)
        yield self.compared(batch, student, views)
        self.move(batch, views)

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        return self.compared(batch, student, self.views(student, teacher))

    def views(self, student: Outputs, teacher: Outputs) -> Views:
        """What both networks make of the windows."""
        return self.student(student.embedding), self.teacher(teacher.embedding)

    def compared(self, batch: Batch, student: Outputs, views: Views) -> Losses:
        """Losses of a batch against the banks as they are."""
        chosen = _Chosen(batch.index, self.draw(), batch.y)
        return {"hard": cross_entropy(student.logits, batch.y), **self._contrast(*views, chosen)}

    def contrast(self, u_student: Tensor, u_teacher: Tensor, rows: Tensor) -> Losses:
        """Losses of the views (B, D) against rows of the banks that were drawn for each window.

        Args:
            u_student: (B, D) views at unit length.
            u_teacher: (B, D) views at unit length.
            rows: (B, K + 1) of the training set; the first is the window itself.
        """
        each = torch.arange(len(rows), device=rows.device)
        return self._contrast(u_student, u_teacher, _Chosen(rows[:, 0], rows[:, 1:], each))

    def _contrast(self, u_student: Tensor, u_teacher: Tensor, chosen: _Chosen) -> Losses:
        return {
            "contrast_student": self.weight * self.student.loss(u_student, self.teacher.bank, chosen, self.temperature),
            "contrast_teacher": self.weight * self.teacher.loss(u_teacher, self.student.bank, chosen, self.temperature),
        }

    def move(self, batch: Batch, views: Views) -> None:
        """Let the banks follow the views of a batch, once its backward pass no longer needs them as they were."""
        for side, u in zip((self.student, self.teacher), views, strict=True):
            side.move(batch.index, u.detach(), self.momentum)


class _Chosen(NamedTuple):
    """Rows of the training set that windows are compared with."""

    itself: Tensor
    """(B,) the row of each window."""
    others: Tensor
    """(G, K) others, drawn once for each group of windows."""
    group: Tensor
    """(B,) the group that each window is of."""

    def scores(self, u: Tensor, bank: Tensor) -> Tensor:
        """Inner products of each view (B, D) with its rows of a bank (N, D), its own first: (B, K + 1)."""
        order = self.group.argsort(stable=True)
        members = torch.split(u[order], self.group.bincount(minlength=len(self.others)).tolist())
        # A group at a time, so that its rows are picked once and still in the cache where they are multiplied.
        of_others = [v @ bank.index_select(0, rows).T for v, rows in zip(members, self.others, strict=True) if len(v)]
        own = (u * bank[self.itself]).sum(dim=1, keepdim=True)
        return torch.cat([own, torch.cat(of_others).index_select(0, order.argsort())], dim=1)


class _Draw(nn.Module):
    """Draws K windows of other classes for each class, none twice, all of them equally likely.

    Windows are sorted by class, so that those of other classes than c have the ranks 0 to N - N_c - 1 once the block of
    class c is left out; K of these ranks are drawn, and nothing of the size of N is sorted.

    Args:
        labels: (N,) of the training set.
        classes: how many there are.
        count: K.
    """

    by_class: Tensor
    sizes: Tensor
    starts: Tensor

    def __init__(self, labels: Tensor, classes: int, count: int) -> None:
        super().__init__()
        self.count = count
        sizes = labels.bincount(minlength=classes)
        self.register_buffer("by_class", labels.argsort(stable=True), persistent=False)
        self.register_buffer("sizes", sizes[:, None], persistent=False)  # (C, 1)
        self.register_buffer("starts", (sizes.cumsum(0) - sizes)[:, None], persistent=False)  # of the classes' blocks

    def forward(self) -> Tensor:
        """Rows of the training set for windows of each class, (C, K)."""
        rank = self.ranks(len(self.by_class) - self.sizes)
        return self.by_class[rank + (rank >= self.starts) * self.sizes]

    def ranks(self, others: Tensor) -> Tensor:
        """K different ranks below each of some numbers, (C, 1) to (C, K)."""
        # Where there are few ranks, all of them are candidates; of many, more are drawn than are wanted, since some
        # come twice. That fewer than K differ then has a probability below 1e-100.
        width = min(len(self.by_class), 4 * self.count + 64)
        column = torch.arange(width, device=others.device)
        drawn = torch.randint(2**62, (len(others), width), device=others.device) % others  # its bias is below 1e-12
        candidates = column.where(others <= width, drawn).sort(dim=1).values  # (C, width)
        usable = candidates < others
        usable[:, 1:] &= candidates[:, 1:] != candidates[:, :-1]
        keys = torch.rand(candidates.shape, device=others.device).masked_fill(~usable, -1.0)
        return candidates.gather(1, keys.topk(self.count, dim=1, sorted=False).indices)


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

    def loss(self, u: Tensor, bank: Tensor, chosen: _Chosen, temperature: float) -> Tensor:
        """Noise-contrastive loss, through the log-odds of h, which no exponential overflows."""
        count, noise = len(bank), chosen.others.shape[1]
        score = chosen.scores(u, bank) / temperature  # (B, K + 1)
        with torch.no_grad():
            first = score.logsumexp(dim=(0, 1)) + math.log(count / score.numel())
            self.log_z.copy_(torch.where(self.log_z.isinf(), first, self.log_z))
        share = noise / count
        odds = score - self.log_z - math.log(share + EPS)
        missed = -F.logsigmoid(odds[:, 0])
        mistaken = -F.logsigmoid(-odds[:, 1:]).sum(dim=1) + noise * math.log1p(EPS / share)
        return (missed + mistaken).mean()

    def move(self, rows: Tensor, u: Tensor, momentum: float) -> None:
        """Let the views of these rows follow u (B, D)."""
        self.bank.index_copy_(0, rows, unit(momentum * self.bank[rows] + (1 - momentum) * u))

"""Trainable parts that several methods share; trained beside the student, dropped at inference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdbench.methods._base import ParameterGroup
from kdbench.methods._functional import at_least_float32


class StageEnsemble(nn.Module):
    """Weighted ensemble feature: project each stage vector to one width, normalise, merge.

    h_i = LN(W_i f_i + b_i) in R^D, F = sum_i w_i h_i.

    ``how`` gives the weights: ``softmax`` of learnable scores that start at 0; ``mean`` 1/N; ``last`` the last stage
    alone; ``self`` element-wise u_i / (sum_j u_j + 1e-6) with u = ReLU(h); ``gate`` softmax_i(q . tanh(V h_i)) per
    sample.

    Args:
        channels: C_i of each stage vector.
        width: D.
        how: softmax | mean | last | self | gate.
    """

    def __init__(self, channels: Sequence[int], width: int, how: str) -> None:
        super().__init__()
        self.how = how
        read = channels[-1:] if how == "last" else channels  # nothing is added that no merge reads
        self.project = nn.ModuleList(nn.Linear(c, width) for c in read)
        self.normalise = nn.ModuleList(nn.LayerNorm(width) for _ in read)
        if how == "softmax":
            self.scores = nn.Parameter(torch.zeros(len(channels)))
        elif how == "gate":
            self.gate = nn.Sequential(nn.Linear(width, width, bias=False), nn.Tanh(), nn.Linear(width, 1, bias=False))

    def forward(self, vectors: Sequence[Tensor]) -> Tensor:
        """Merge stage vectors, each (B, C_i), into (B, D)."""
        vectors = [at_least_float32(v) for v in vectors]
        if self.how == "last":
            merged: Tensor = self.normalise[-1](self.project[-1](vectors[-1]))
            return merged
        h = torch.stack(
            [norm(proj(v)) for proj, norm, v in zip(self.project, self.normalise, vectors, strict=True)], dim=1
        )  # (B, N, D)
        return (self.weights(h) * h).sum(dim=1)

    def parameter_groups(self) -> list[ParameterGroup]:
        """The scores learn ten times as fast and do not decay; the projections learn as the networks do."""
        scores = [p for name, p in self.named_parameters() if name == "scores"]
        others = [p for name, p in self.named_parameters() if name != "scores"]
        return [ParameterGroup(others), ParameterGroup(scores, lr_scale=10.0, weight_decay=0.0)]

    def weights(self, h: Tensor) -> Tensor:
        """Weights of the projected stages h (B, N, D), to broadcast over it; they sum to 1 (``self``: below 1)."""
        stages = h.shape[1]
        if self.how == "softmax":
            return torch.softmax(self.scores, dim=0)[None, :, None]
        if self.how == "self":
            u = h.relu()
            return u / (u.sum(dim=1, keepdim=True) + 1e-6)
        if self.how == "gate":
            return torch.softmax(self.gate(h), dim=1)
        return h.new_full((1, stages, 1), 1 / stages)


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of (B, C, T) or (B, C) that in training also takes one sample of one time step.

    Such a sample has no variance, so it is normalised by the running statistics, as in evaluation.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


class Bottleneck(nn.Sequential):
    """Convolutions (1, kernel, 1) from one width over a hidden one to another: (B, inputs, T) -> (B, outputs, T).

    A vector (B, inputs) is one time step, and becomes a vector (B, outputs).

    The first two have batch normalisation and ReLU; the last is linear, so that it can be negative.

    Args:
        inputs: channels in.
        hidden: channels of the first two.
        outputs: channels out.
        kernel: odd width of the second over time.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, kernel: int = 1) -> None:
        super().__init__(
            nn.Conv1d(inputs, hidden, 1, bias=False), BatchNorm(hidden), nn.ReLU(),
            nn.Conv1d(hidden, hidden, kernel, padding=kernel // 2, bias=False), BatchNorm(hidden), nn.ReLU(),
            nn.Conv1d(hidden, outputs, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        y = x[:, :, None] if x.dim() == 2 else x
        for layer in self:
            y = layer(y)
        return y[:, :, 0] if x.dim() == 2 else y

"""Weights rounded to 8 bits so that errors cancel: what one weight loses, those after it in the same sum make up for.

Source: Frantar, Ashkboos, Hoefler, Alistarh, "GPTQ: accurate post-training quantization for generative pre-trained
transformers", ICLR 2023, https://arxiv.org/abs/2210.17323. It weighs errors by how inputs go together, and the samples
of a window go together closely. Quantisers round to the nearest step; weights that are steps already they keep.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, unfold
from torch.nn.utils.parametrize import is_parametrized

from kdbench.deploy.subject import Floats, Whole

STEPS = 127
"""Steps of a weight in 8 bits at each side of 0; the largest of a channel is the last."""

ROWS = 8192
"""Sums of a layer, at most, that its rounding is fitted on."""

WIDEST = 4096
"""Terms of a sum above which weights are left as they are; the work grows with their third power."""

DAMPED = 0.01
"""Share of the mean square of the inputs that is added to every one, as in the source."""

BATCH = 64


@torch.no_grad()
def rounded(model: Whole, x: Floats) -> Whole:
    """A copy of a model whose dense layers and convolutions over time have weights of 8 bits, channel by channel.

    Args:
        model: in evaluation mode.
        x: raw training windows (N, C, T) that the rounding is fitted on.
    """
    made, windows = deepcopy(model), torch.from_numpy(x)
    used: list[nn.Module] = []
    layers = [each for each in made.modules() if isinstance(each, nn.Linear | nn.Conv1d) and not is_parametrized(each)]
    hooks = [each.register_forward_hook(lambda layer, given, out: used.append(layer)) for each in layers]
    made(windows[:2])
    for hook in hooks:
        hook.remove()
    shared = Counter(id(layer.weight) for layer in layers)
    for layer in dict.fromkeys(used):
        assert isinstance(layer, nn.Linear | nn.Conv1d)
        if used.count(layer) == shared[id(layer.weight)] == 1 and layer.weight[0].numel() <= WIDEST:
            _round(made, layer, windows)
    return made


def _round(model: Whole, layer: nn.Linear | nn.Conv1d, windows: Tensor) -> None:
    """Round a layer's weights; the layers before it are rounded already."""
    parts: list[Tensor] = []

    def keep(layer: nn.Linear | nn.Conv1d, given: tuple[Tensor, ...], out: Tensor) -> None:
        rows = _rows(layer, given[0])
        parts.append(rows[:, :: -(-rows.shape[1] * len(windows) // (len(given[0]) * ROWS))])

    hook = layer.register_forward_hook(keep)
    for first in range(0, len(windows), BATCH):
        model(windows[first : first + BATCH])
    hook.remove()
    rows = torch.cat(parts, dim=1)
    weights = layer.weight.reshape(len(rows), -1, rows.shape[2])
    made = torch.stack([_fitted(some, given) for some, given in zip(weights, rows, strict=True)])
    layer.weight.copy_(made.reshape(layer.weight.shape))


def _rows(layer: nn.Linear | nn.Conv1d, x: Tensor) -> Tensor:
    """(groups, sums, terms) what a layer's weights are multiplied with."""
    if isinstance(layer, nn.Linear):
        return x.reshape(1, -1, x.shape[-1])
    (kernel,), (gap,), (stride,) = layer.kernel_size, layer.dilation, layer.stride
    if layer.padding == "same":
        total = gap * (kernel - 1)
        before, after = total // 2, total - total // 2
    else:
        before = after = 0 if isinstance(layer.padding, str) else layer.padding[0]
    columns = unfold(pad(x, (before, after))[:, :, None], (1, kernel), dilation=(1, gap), stride=(1, stride))
    count, terms, sums = columns.shape
    grouped = columns.reshape(count, layer.groups, terms // layer.groups, sums)
    return grouped.permute(1, 0, 3, 2).reshape(layer.groups, count * sums, -1)


def _fitted(weights: Tensor, rows: Tensor) -> Tensor:
    """Weights (channels, terms) as steps of their channel, fitted on what they are multiplied with (sums, terms)."""
    left = weights.double()
    steps = (left.abs().amax(dim=1) / STEPS).clamp_min(1e-30)
    largest, signs = left.abs().argmax(dim=1), left.gather(1, left.abs().argmax(dim=1)[:, None])[:, 0].sign()
    square = (rows.T @ rows).double() / len(rows)
    square += (DAMPED * square.diagonal().mean() + 1e-12) * torch.eye(len(square), dtype=torch.double)
    order = square.diagonal().argsort(descending=True)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(square[order][:, order]))
    factor = torch.linalg.cholesky(inverse, upper=True)
    left, found = left[:, order].clone(), torch.empty_like(left)
    for number, term in enumerate(order.tolist()):
        whole = (left[:, number] / steps).round().clamp(-STEPS, STEPS)
        whole = torch.where(largest == term, signs * STEPS, whole)  # or the quantiser would take other steps
        found[:, term] = whole * steps
        error = (left[:, number] - found[:, term]) / factor[number, number]
        left[:, number + 1 :] -= error[:, None] * factor[number, number + 1 :]
    return found.to(weights.dtype)

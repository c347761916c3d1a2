"""A network in plainer layers that say the same, for runtimes that quantise fewer kinds of them.

Normalisation goes into the convolution before it, or becomes a convolution of one sample for each channel, and padding
that is uneven or named "same" becomes even padding that is a number, the kernel lengthened by zeros. XNNPACK quantises
neither a normalisation that stands alone nor a pad before a convolution: both fail as late as at run time.
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrize import is_parametrized

from kdbench.deploy.subject import Subject, Whole, probabilities

NEAR = 1e-4
"""How far a probability of the plainer network may be from that of the trained one."""


class _Scaled(nn.Module):
    """What a normalisation does when it is not trained: (B, C, T) or (B, C), each channel by its own factor."""

    def __init__(self, norm: nn.BatchNorm1d) -> None:
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        factor = (norm.running_var + norm.eps).rsqrt() * (1 if norm.weight is None else norm.weight)
        shift = (0 if norm.bias is None else norm.bias) - norm.running_mean * factor
        self.conv = nn.Conv1d(len(factor), len(factor), 1, groups=len(factor))
        self.factor, self.shift = self.conv.weight, nn.Parameter(shift)
        self.factor.copy_(factor[:, None, None])
        self.conv.bias = self.shift

    def forward(self, x: Tensor) -> Tensor:
        scaled: Tensor = self.conv(x) if x.dim() == 3 else x * self.factor[:, 0, 0] + self.shift
        return scaled


@torch.no_grad()
def plain(model: Whole) -> Whole:
    """A copy of a model in evaluation mode that says the same with plainer layers."""
    made = deepcopy(model)
    for module in list(made.modules()):
        if isinstance(module, nn.Conv1d) and module.padding == "same" and _may_pad(module, *_same(module)):
            _pad(module, *_same(module))
    for module in list(made.modules()):
        if isinstance(module, nn.Sequential):
            _merge(module)
    for module in list(made.modules()):
        for name, inside in list(module.named_children()):
            if isinstance(inside, nn.BatchNorm1d) and inside.running_mean is not None:
                setattr(module, name, _Scaled(inside))
    return made.eval().requires_grad_(False)


def plainer(subject: Subject) -> Whole:
    """The plainer network, or the trained one where a plug-in is so made that the plainer one says otherwise."""
    made = plain(subject.model)
    x = subject.windows(subject.calibration)
    off = np.abs(probabilities(made, x) - probabilities(subject.model, x)).max()
    return made if off <= NEAR else subject.model


def _merge(layers: nn.Sequential) -> None:
    """Padding into the convolution after it, and a normalisation into the one before it."""
    for first, second in zip(list(layers), list(layers)[1:], strict=False):
        if not isinstance(first, nn.ConstantPad1d) or first.value != 0 or not isinstance(second, nn.Conv1d):
            continue
        left, right = first.padding
        if second.padding == (0,) and _may_pad(second, left, right):
            _pad(second, left, right)
            _put(layers, first, nn.Identity())
    for before, norm in zip(list(layers), list(layers)[1:], strict=False):
        holder, conv = _last(layers, before)
        if isinstance(norm, nn.BatchNorm1d) and isinstance(conv, nn.Conv1d) and not is_parametrized(conv):
            _put(holder, conv, fuse_conv_bn_eval(conv, norm))
            _put(layers, norm, nn.Identity())


def _may_pad(conv: nn.Conv1d, left: int, right: int) -> bool:
    """Whether a convolution can have a padding of its own, with at most one zero more in its kernel."""
    if is_parametrized(conv) or conv.padding_mode != "zeros" or min(left, right) < 0:
        return False
    return abs(right - left) in (0, conv.dilation[0])


def _same(conv: nn.Conv1d) -> tuple[int, int]:
    """What "same" means in samples before and after: torch pads one more after where it is uneven."""
    total = conv.dilation[0] * (conv.kernel_size[0] - 1)
    return total // 2, total - total // 2


def _pad(conv: nn.Conv1d, left: int, right: int) -> None:
    """Pad evenly: where the padding was not even, the kernel has zeros at the side of which there was less."""
    taps = abs(right - left) // conv.dilation[0]
    zeros = conv.weight.new_zeros(*conv.weight.shape[:2], taps)
    sides = [zeros, conv.weight] if left < right else [conv.weight, zeros]
    conv.weight = nn.Parameter(torch.cat(sides, dim=2), requires_grad=False)
    conv.kernel_size = (conv.kernel_size[0] + taps,)
    conv.padding = (max(left, right),)


def _last(holder: nn.Sequential, layer: nn.Module) -> tuple[nn.Sequential, nn.Module]:
    """The last layer inside a layer, and what holds it."""
    while isinstance(layer, nn.Sequential) and len(layer):
        holder, layer = layer, layer[-1]
    return holder, layer


def _put(holder: nn.Sequential, old: nn.Module, new: nn.Module) -> None:
    for number, layer in enumerate(holder):
        if layer is old:
            holder[number] = new


def recurrent(model: nn.Module) -> list[str]:
    """Kinds of recurrent layers in a model, such as LSTM, each once."""
    return sorted({module.mode for module in model.modules() if isinstance(module, nn.RNNBase)})

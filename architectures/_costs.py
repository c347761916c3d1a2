"""What a network costs, counted rather than guessed."""

from __future__ import annotations

import warnings

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def parameters(module: nn.Module) -> int:
    """Number of parameters, each counted once."""
    return sum(p.numel() for p in module.parameters())


def multiply_adds(network: nn.Module, channels: int, length: int) -> int:
    """Multiply-adds of matrix products and convolutions for one window (C, T) in evaluation mode.

    Counts what torch dispatches, with the fused kernels that hide LSTM and attention products from the counter switched
    off. Element-wise work (activations, normalisation, pooling) is not counted.
    """
    was_training = network.training
    network.eval()
    like = next(network.parameters())
    window = torch.zeros(1, channels, length, dtype=like.dtype, device=like.device)
    mha_fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    counter = FlopCounterMode(display=False)
    try:
        with warnings.catch_warnings():
            # Leaving oneDNN's flags sets its TF32 switch too, which warns where there is no Intel GPU.
            warnings.filterwarnings("ignore", message="TF32 acceleration on top of oneDNN")
            with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH), counter:
                network(window)
    finally:
        torch.backends.mha.set_fastpath_enabled(mha_fast)
        network.train(was_training)
    return counter.get_total_flops() // 2

"""A trained network's outputs on windows it did not learn from."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from kdbench.architectures import Outputs

CHUNK = 64
"""Windows in a forward pass of evaluation. Fixed, and always from the first window on, since sums over other batch
sizes may round otherwise."""


def outputs_in_order(network: nn.Module, x: Tensor) -> Iterator[Outputs]:
    """Outputs in evaluation mode, without gradient, chunk by chunk in the order of the windows x (N, C, T)."""
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            for first in range(0, len(x), CHUNK):
                yield network(x[first : first + CHUNK])
    finally:
        network.train(was_training)


def predict(network: nn.Module, x: Tensor) -> Tensor:
    """Logits (N, K) of windows x (N, C, T)."""
    return torch.cat([outputs.logits for outputs in outputs_in_order(network, x)])

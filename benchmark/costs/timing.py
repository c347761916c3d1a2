"""Everything that a network costs: what is counted, the size of its file, and how fast it is on one thread."""

from __future__ import annotations

import copy
import statistics
import time

import torch
from torch import nn

from kdbench.architectures import evaluating, on_its_own
from kdbench.costs.counting import counts, file_size, parameters

BATCH = 64
"""Windows at a time where throughput is measured."""
FEWEST = 3
"""Forward passes that are timed, however long they take."""
LEAST = 20
"""Forward passes that latency is taken from, unless they take ten times as long as was given: of few, none is a 95th
percentile."""


def costs(network: nn.Module, channels: int, length: int, *, seconds: float) -> dict[str, float]:
    """What a network costs for windows (C, T) in evaluation mode.

    Args:
        network: returns `Outputs` or logits; left as it was.
        channels: C.
        length: T, samples.
        seconds: how long to time each of latency and throughput, latency up to ten times as long where passes are
            slow; 0 leaves them out.

    Returns:
        ``parameters``; ``multiply_adds`` (products) and ``elementwise`` operations for one window;
        ``activation_memory`` and ``file_size`` in bytes; ``latency_ms`` (median) and ``latency_p95_ms`` at batch 1 and
        ``throughput`` in windows per second at batch 64, on one CPU thread whatever device the network is on.
    """
    network, channels = on_its_own(network, channels)
    counted = counts(network, channels, length)
    found = {
        "parameters": float(parameters(network)),
        "multiply_adds": float(counted.multiply_adds),
        "elementwise": float(sum(counted.elementwise.values())),
        "activation_memory": float(counted.activation_memory),
        "file_size": float(file_size(network)),
    }
    if seconds:
        alone = sorted(durations(network, channels, length, batch=1, seconds=seconds, least=LEAST))
        crowd = durations(network, channels, length, batch=BATCH, seconds=seconds)
        found["latency_ms"] = 1e3 * statistics.median(alone)
        found["latency_p95_ms"] = 1e3 * alone[round(0.95 * (len(alone) - 1))]
        found["throughput"] = BATCH / statistics.median(crowd)
    return found


def durations(
    network: nn.Module, channels: int, length: int, *, batch: int, seconds: float, least: int = FEWEST
) -> list[float]:
    """Seconds of forward passes on one CPU thread, one after the other, the first pass left out.

    Args:
        network: returns `Outputs` or logits; left as it was.
        channels: C.
        length: T, samples.
        batch: windows of a pass.
        seconds: how long to go on.
        least: passes for which to go on up to ten times as long.
    """
    like = next(network.parameters())
    if like.device.type != "cpu":
        network = copy.deepcopy(network).cpu()
    x = torch.randn(batch, channels, length, dtype=like.dtype, generator=torch.Generator().manual_seed(0))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    taken: list[float] = []
    try:
        with evaluating(network), torch.inference_mode():
            network(x)
            start = time.perf_counter()
            while len(taken) < FEWEST or time.perf_counter() - start < seconds * (1 if len(taken) >= least else 10):
                began = time.perf_counter()
                network(x)
                taken.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(threads)
    return taken

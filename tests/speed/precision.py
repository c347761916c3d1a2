"""What training in bfloat16 gains: python tests/speed/precision.py [NETWORK ...], by default a few of each family.

A step is a forward pass, cross-entropy, the backward pass and Adam, of 128 windows (9, 128) and six classes, on one
thread, as a worker has it. Steps of both precisions take turns, and all that is said is the ratio of their medians. Run
it where nothing else runs.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch
import torch.nn.functional as F  # noqa: N812

from kdbench.catalog.find import NETWORKS
from kdbench.spec.recipe import Precision
from kdbench.spec.words import Spec
from kdbench.training.precision import learning_in

SOME = ("mlp", "cnn", "fcn", "fcn(width=0.25)", "conv_mixer", "tiny_har", "lstm", "resnet_lstman(width=0.25)",
        "resnet_lstman")  # fmt: skip
STEPS, FIRST = 15, 3


def steps(name: str) -> dict[Precision, list[float]]:
    """Seconds of steps, by precision."""
    spec = Spec.parse(name)
    torch.manual_seed(0)
    network = NETWORKS.get(spec.name)(9, 128, 6, **spec.settings).train()
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    x, y = torch.randn(128, 9, 128), torch.randint(6, (128,))
    took: dict[Precision, list[float]] = {each: [] for each in Precision}
    for _ in range(FIRST + STEPS):
        for precision, seconds in took.items():
            with learning_in(precision, [network]):
                begun = time.perf_counter()
                optimizer.zero_grad(set_to_none=True)
                F.cross_entropy(network(x).logits, y).backward()
                optimizer.step()
                seconds.append(time.perf_counter() - begun)
    return {each: seconds[FIRST:] for each, seconds in took.items()}  # the first are slow


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or SOME:
        whole, half = (statistics.median(each) for each in steps(name).values())
        print(f"{name:28} {1000 * whole:7.1f} ms in float32, {whole / half:.2f} times as fast in bf16", flush=True)

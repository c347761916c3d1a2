"""Forward passes in fewer bits: where the recipe says so, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from kdbench.architectures import Backbone, Outputs
from kdbench.spec.recipe import Precision


@contextmanager
def learning_in(precision: Precision, networks: Iterable[Backbone]) -> Iterator[None]:
    """While networks learn, run their forward passes, and so the backward ones, in a precision.

    In ``bf16`` torch's autocast computes products and convolutions in bfloat16 (8 bits of mantissa, the exponents of
    float32, so that no loss has to be scaled) and what is known to need more in float32 (Micikevicius et al., Mixed
    Precision Training, ICLR 2018, arXiv:1710.03740; Kalamkar et al. 2019, arXiv:1905.12322). Parameters, what a network
    shows to the method, losses, the method's own parts and the optimiser stay in float32. So does a network in
    evaluation mode: what is judged, a frozen teacher and the accuracy on training windows.

    Args:
        precision: ``float32`` changes nothing.
        networks: those that learn; they are as they were afterwards.
    """
    with ExitStack() as stack:
        for network in networks if precision == Precision.BF16 else ():
            stack.enter_context(_in_bfloat16(network))
        yield


@contextmanager
def _in_bfloat16(network: Backbone) -> Iterator[None]:
    exact, device = network.forward, next(network.parameters()).device.type

    def forward(*args: Any, **settings: Any) -> Outputs:
        if not network.training:
            return exact(*args, **settings)
        with torch.autocast(device, torch.bfloat16):
            shown = exact(*args, **settings)
        return Outputs(shown.logits.float(), [stage.float() for stage in shown.stages], shown.embedding.float())

    network.forward = forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        del network.forward

"""Every random number has its own reason: seeds derived from exactly what they should depend on."""

from __future__ import annotations

import hashlib

import torch


def derive(*reasons: str | int) -> int:
    """A 63-bit seed for a named purpose, the same on every machine: ``derive("order", "uci_har", seed, epoch)``."""
    text = "\x1f".join(map(str, reasons))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def reseed(seed: int, device: torch.device) -> None:
    """Restart the global random stream of a device.

    ``torch.manual_seed`` does this for every kind of accelerator that torch was built for, at a hundred times the cost,
    which shows when it is done at each forward pass.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)

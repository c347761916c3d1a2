"""Every random number has its own reason: seeds derived from exactly what they should depend on."""

from __future__ import annotations

import hashlib


def derive(*reasons: str | int) -> int:
    """A 63-bit seed for a named purpose, the same on every machine: ``derive("order", "uci_har", seed, epoch)``."""
    text = "\x1f".join(map(str, reasons))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

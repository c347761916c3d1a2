"""With what a record was made: commit, versions of libraries, memory, device."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from kdbench.text import printable


def versions() -> dict[str, str]:
    """Versions of what numbers depend on, by distribution name."""
    return {
        "kdbench": version("kdbench"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
    }


PATIENCE = 5.0
"""Seconds to wait for git."""


@cache
def commit() -> str | None:
    """The commit of the checkout that this package runs from, if it does and git can tell."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    command = ["git", "-C", str(here), "rev-parse", "HEAD"]
    try:
        said = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):  # it is not installed, or waits for a file system that does not answer
        return None
    told = said.stdout.strip().decode("ascii", "replace")
    return told if said.returncode == 0 and re.fullmatch("[0-9a-f]{40,64}", told) else None


def peak_memory(device: torch.device) -> int:
    """Peak memory in bytes: of the device for a GPU, else of this process so far (0 where the system does not tell)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def device_name(device: torch.device) -> str:
    """What records call a device: the name of the GPU or of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _processor() if device.type == "cpu" else device.type


@cache
def _processor() -> str:
    """The processor's name, or "cpu" where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return printable(next(named, "") or platform.processor() or "cpu")

"""With what a record was made: commit, versions of libraries, memory, device."""

from __future__ import annotations

import platform
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


@cache
def commit() -> str | None:
    """The commit of the checkout that this package runs from, if it does and git can tell."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    try:
        asked = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        )
    except OSError:  # git is not installed
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None


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

"""Where and how cells run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_STORE = Path("runs")
"""Where results go unless the user says otherwise; the command line and Python agree on it."""


@dataclass(frozen=True)
class Runtime:
    """Where and how cells run; none of it changes their numbers on one machine and device.

    Args:
        store: folder of the run store.
        cache: folder of parsed data and teachers' outputs.
        data_dir: folder of original archives, or None.
        device: torch's name of the device.
        checkpoint_seconds: least time between two checkpoints of a cell.
        timeout: seconds that a cell may take in one go; None for as long as it likes.
        jobs_per_gpu: how many cells run at a time on each GPU where nobody says how many in all; 0 for as many as there
            are cores for it.
        address: of a cluster that runs the cells; None where this machine does.
        prepared: folder with windows of datasets, each in a folder named by their digest; None where they are looked
            for, as everywhere but on a node of a cluster.
    """

    store: Path
    cache: Path
    data_dir: Path | None = None
    device: str = "cpu"
    checkpoint_seconds: float = 10.0
    timeout: float | None = None
    jobs_per_gpu: int = 1
    address: str | None = None
    prepared: Path | None = None

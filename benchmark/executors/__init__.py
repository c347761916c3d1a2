"""Where cells run; one public file is one executor, and its name is what ``--executor`` takes.

Such a file has a function ``make(runtime, jobs) -> Executor``.
"""

from __future__ import annotations

from importlib import import_module

from kdbench.errors import KdbenchError, nearest
from kdbench.executors._gpus import default_jobs, jobs_per_gpu
from kdbench.folders import public_files
from kdbench.machine import Runtime
from kdbench.schedule.executor import Executor

__all__ = ["default_jobs", "executor", "executors", "jobs_per_gpu"]


def executors() -> list[str]:
    """Names of all executors."""
    return public_files(__path__)


def executor(name: str, runtime: Runtime, jobs: int) -> Executor:
    """An executor by its name.

    Raises:
        KdbenchError: if there is none, or it cannot work here.
    """
    if name not in executors():
        raise KdbenchError(nearest("executors", name, executors()))
    made: Executor = import_module(f"{__name__}.{name}").make(runtime, jobs)
    return made

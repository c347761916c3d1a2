"""Who watches a run: one public file is one observer.

Such a file has a function ``watch(run, progress) -> Observer | None``, which gives None where it has nothing to do, as
a bar has where there is no terminal.
"""

from __future__ import annotations

from importlib import import_module

from kdbench.folders import public_files
from kdbench.observers._progress import Progress, Watched
from kdbench.schedule.observer import Observer, Observers

__all__ = ["Progress", "Watched", "watching"]


def watching(run: Watched) -> Observers:
    """All that have something to do in this run; how far it is is counted before anyone shows it."""
    progress = Progress(run)
    made = (import_module(f"{__name__}.{name}").watch(run, progress) for name in public_files(__path__))
    return Observers([progress, *(observer for observer in made if isinstance(observer, Observer))])

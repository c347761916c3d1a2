"""MLflow kept in step with the records of a run, cell by cell and whole at its end."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from kdbench.errors import MachineError
from kdbench.observers._progress import Progress, Watched
from kdbench.results.entry import Entry
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job
from kdbench.schedule.observer import Observer
from kdbench.track.mirror import Mirror


class Tracking(Observer):
    """Writes each record as it comes. A fault is told, once, and does not stop the run.

    Args:
        run: what is watched.
    """

    def __init__(self, run: Watched) -> None:
        self.say = run.say
        self.mirror = Mirror(run.store, run.identity, run.plan)
        self._broken = False

    def finished(self, job: Job, record: Record) -> None:
        if self._broken:
            return
        try:
            self.mirror.add(record)
        except MachineError as error:
            self._broken = True
            self.say(str(error))

    def ended(self, filled: Sequence[Entry]) -> None:
        self.mirror.finish(filled)


def watch(run: Watched, progress: Progress) -> Observer | None:
    """The mirror, unless the user does without or MLflow is not installed."""
    if not run.track:
        return None
    if find_spec("mlflow") is None:
        run.say("mlflow is not installed: results are kept, not tracked")
        return None
    return Tracking(run)

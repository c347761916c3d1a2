"""MLflow kept in step with the records of a run, cell by cell and whole at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec

from kdbench.errors import KdbenchError
from kdbench.observers._progress import Progress, Watched
from kdbench.results.entry import Entry
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job
from kdbench.schedule.observer import Observer
from kdbench.track.mirror import Mirror


class Tracking(Observer):
    """Writes each record as it comes. A fault is told, once, and changes nothing else.

    Args:
        run: what is watched.
    """

    def __init__(self, run: Watched) -> None:
        self.say = run.say
        self.mirror = Mirror(run.store, run.identity, run.plan)
        self._told = ""

    def finished(self, job: Job, record: Record) -> None:
        if not self._told:
            self._try(lambda: self.mirror.add(record))

    def ended(self, filled: Sequence[Entry]) -> None:
        self._try(lambda: self.mirror.finish(filled))

    def broke(self, error: BaseException) -> None:
        self._try(lambda: self.mirror.stop(killed=isinstance(error, KeyboardInterrupt)))

    def _try(self, write: Callable[[], object]) -> None:
        try:
            write()
        except KdbenchError as error:
            if str(error) != self._told:
                self._told = str(error)
                self.say(f"not tracked: {error}")


def watch(run: Watched, progress: Progress) -> Observer | None:
    """The mirror, unless the user does without or MLflow is not installed."""
    if not run.track:
        return None
    if find_spec("mlflow") is None:
        run.say("mlflow is not installed: results are kept, not tracked")
        return None
    return Tracking(run)

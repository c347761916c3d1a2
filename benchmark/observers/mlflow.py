"""MLflow kept in step with the records of a run, by a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from kdbench.observers._progress import Progress, Watched
from kdbench.results.entry import Entry
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job
from kdbench.schedule.observer import Observer
from kdbench.text import first_line
from kdbench.track.process import WritingProcess
from kdbench.track.target import Target


class Tracking(Observer):
    """Tells of each record as it comes. A fault is said, once, and changes nothing else.

    Args:
        run: what is watched.
    """

    def __init__(self, run: Watched) -> None:
        self.say = run.say
        self._writing = WritingProcess(Target(run.store.root, run.tracking_uri), run.identity)
        self._told = False

    def finished(self, job: Job, record: Record) -> None:
        self._writing.add(record.digest)
        self._tell()

    def ended(self, filled: Sequence[Entry]) -> None:
        self._writing.end("finish")
        self._tell()

    def broke(self, error: BaseException) -> None:
        self._writing.end("stop", "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        self._tell()

    def _tell(self) -> None:
        for fault in self._writing.faults():
            if not self._told:
                self._told = True
                self.say(f"not tracked: {fault}")


def watch(run: Watched, progress: Progress) -> Observer | None:
    """The process, unless the user does without or MLflow is not installed."""
    if not run.track:
        return None
    if find_spec("mlflow") is None:
        run.say("mlflow is not installed: results are kept, not tracked")
        return None
    try:
        return Tracking(run)
    except OSError as error:  # no process can be started, or nothing be written
        run.say(f"not tracked: {first_line(error)}")
        return None

"""What is said of a job that ended, wherever it is shown."""

from __future__ import annotations

from kdbench.observers._progress import Progress
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job
from kdbench.schedule.observer import Observer


class Told(Observer):
    """Says a line for each job that ends; where it stands is for those who extend it.

    Args:
        progress: how far the run is.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def line(self, text: str) -> None:
        """Show a line."""
        raise NotImplementedError

    def finished(self, job: Job, record: Record) -> None:
        name = self.progress.names[job.digest]
        self.line(f"{self.progress.counted()} {name}: {result_text(record)}")
        for warning in record.warnings:
            self.line(f"  {name}: warning: {warning}")

    def skipped(self, job: Job, reason: str) -> None:
        self.line(f"{self.progress.counted()} {self.progress.names[job.digest]}: not run: {reason}")


def result_text(record: Record) -> str:
    """Scores, or why there are none, and the time that it took."""
    if record.status == "done":
        student = record.metrics["student"]
        judged = sum(any(row) for row in student["confusion"])
        text = f"accuracy {100 * student['accuracy']:.1f}, macro-F1 {100 * student['macro_f1']:.1f}"
        if judged < len(student["confusion"]):  # a class that nobody judged did counts as 0, until folds are joined
            text += f" (windows of {judged} of {len(student['confusion'])} classes)"
    else:
        text = f"FAILED: {record.reason}"
    return f"{text} ({record.seconds:.0f} s)"

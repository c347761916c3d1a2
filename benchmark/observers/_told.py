"""What is said of a job that ended, wherever it is shown."""

from __future__ import annotations

from kdbench.results.record import Record


def result(record: Record) -> str:
    """Scores, or why there are none, and the time that it took."""
    if record.status == "done":
        student = record.metrics["student"]
        text = f"accuracy {100 * student['accuracy']:.1f}, macro-F1 {100 * student['macro_f1']:.1f}"
    else:
        text = f"FAILED: {record.reason}"
    return f"{text} ({record.seconds:.0f} s)"

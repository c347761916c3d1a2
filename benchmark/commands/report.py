"""What `report` writes."""

from __future__ import annotations

import json
from pathlib import Path

from kdbench.commands.refusals import refusals
from kdbench.commands.seen import seen
from kdbench.errors import KdbenchError
from kdbench.files import write_whole
from kdbench.plan.model import Plan
from kdbench.results.report import Command, report_html
from kdbench.results.seen import Seen
from kdbench.store.records import Store

ENDINGS = (".html", ".htm")


def write_report(plan: Plan, store: Store, path: Path, metrics: tuple[str, ...]) -> None:
    """One HTML file on a matrix.

    Raises:
        KdbenchError: if the path's ending is not that of HTML, there is no metric, or one is unknown.
    """
    if path.suffix.lower() not in ENDINGS:
        raise KdbenchError(f"-o {path.name} came; a report is HTML, wanted a name that ends in {' or '.join(ENDINGS)}")
    if not metrics:
        raise KdbenchError("a report wants a metric, none came")
    with refusals():
        looked = seen(plan, store, metrics[0])
        write_whole(path, report_html(looked, _again(plan, looked), metrics, plan.matrix.name))


def _again(plan: Plan, looked: Seen) -> list[Command]:
    """The matrix as a file, and what to do with it."""
    records = [entry.record for entry in looked.entries if entry.record]
    commits = list(dict.fromkeys(record.commit for record in records if record.commit))
    versions = list(dict.fromkeys(record.versions.get("kdbench", "?") for record in records))
    made = f"made by kdbench {', '.join(versions)}" if versions else "not run yet"
    made += f", commit {', '.join(commit[:12] for commit in commits)}" if commits else ""
    return [
        Command(
            "The matrix, to be saved as matrix.json:", json.dumps(plan.matrix.plain(), indent=1, ensure_ascii=False)
        ),
        Command(f"Train it ({made}); what is done already is kept:", "kdbench run -c matrix.json"),
        Command("This report, from a store that holds it:", "kdbench report -c matrix.json"),
    ]

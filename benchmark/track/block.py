"""The run of a dataset with a pair: what it says of the rows below it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version

from kdbench.plan.model import Plan
from kdbench.results.entry import Entry
from kdbench.results.pages import runs_sheet, scores_page, wide_sheet
from kdbench.results.record import Record
from kdbench.results.render import csv_text, markdown_text, page_text
from kdbench.results.sheet import Page, Sheet
from kdbench.results.tables.model import Table
from kdbench.results.tables.scores import tabulate
from kdbench.track.content import Input, Point, Run, Status, flat, times
from kdbench.track.layout import Group
from kdbench.track.names import TEXT

SHOWN = ("macro_f1", "accuracy")
"""What is written of each row."""


def begun(group: Group, plan: Plan, identity: str, started: int) -> Run:
    """The run of a group before anything is known of it but when its first cell was begun, in ms since 1970."""
    matrix = plan.matrix
    rows = dict.fromkeys(planned.place.row for planned in plan.places if group.holds(planned.place))
    asked = {
        "dataset": group.dataset,
        "pair": group.pair,
        "protocol": matrix.protocol,
        "seeds": ", ".join(map(str, matrix.seeds)),
        "rows": ", ".join(rows),
        "recipe": {"name": matrix.recipe.name, **matrix.recipe.numbers},
    }
    tags = {
        "kdbench.matrix": identity,
        "matrix": matrix.name,
        "dataset": group.dataset,
        "pair": group.pair,
        "protocol": matrix.protocol,
        "recipe": matrix.recipe.name,
        "preset": f"{matrix.preset.name}, {matrix.preset.date[:10]}" if matrix.preset else "none: defaults",
    }
    return Run(group.key, "", group.name, "RUNNING", started, 0, tags=tags, params=flat(asked))


def input_of(group: Group, plan: Plan) -> Input | None:
    """The group's dataset; None where no cell reads it."""
    digest = next((planned.digest for planned in group.places if planned.digest), None)
    if digest is None:
        return None
    cell = plan.cells[digest]
    kind = plan.windows.get(cell.data)
    source = {**cell.dataset.plain, "windows": cell.data, "protocol": cell.protocol}
    schema: dict[str, object] = {}
    profile: dict[str, object] = {}
    if kind is not None:
        source["url"] = kind.url
        columns = [{"name": name, "type": "float", "required": True} for name in kind.channels]
        schema = {"mlflow_colspec": [*columns, {"name": "label", "type": "long", "required": True}]}
        classes = ", ".join(kind.classes)
        profile = {"num_rows": kind.count, "samples": kind.length, "rate_hz": kind.rate, "classes": classes}
    return Input(group.dataset, cell.data[:36], *map(json.dumps, (source, schema, profile)))


def finished(group: Group, filled: Sequence[Entry], plan: Plan) -> Run:
    """The same run when nothing of it is left to be run.

    Args:
        group: which.
        filled: all entries of its dataset with its pair, other parts of it included.
        plan: that it is of.
    """
    own = {planned.place for planned in group.places}
    mine = [entry for entry in filled if entry.place in own]
    records = [entry.record for entry in mine if entry.record is not None]
    complete = all(entry.status == "done" for entry in mine)
    failed = any(entry.status == "failed" for entry in mine)
    # What is missing where nothing failed was stopped.
    status: Status = "FINISHED" if complete else "FAILED" if failed else "KILLED"
    asked = replace(plan.asked, cells=len({planned.digest for planned in group.places}))
    page = scores_page(filled, SHOWN, asked=asked, version=version("kdbench"))
    tables = [tabulate(filled, metric) for metric in SHOWN]
    counts = {state: sum(entry.status == state for entry in mine) for state in ("done", "failed", "missing")}
    tags = {
        "kdbench.complete": str(complete).lower(),
        "gate": _gate(tables[0]),
        "stale": str(sum(entry.stale for entry in mine)),
        "status": ", ".join(f"{count} {state}" for state, count in counts.items() if count),
        "mlflow.note.content": described(page),
    }
    ended = max((times(record)[1] for record in records), default=0)
    started = min((times(record)[0] for record in records), default=0)
    files = {
        "table/table.md": page_text(page),
        "table/runs.csv": csv_text(runs_sheet(mine, SHOWN)),
        "table/table.csv": csv_text(wide_sheet(tables)),
    }
    points = _points(tables, records, ended)
    return Run(group.key, "", group.name, status, started, ended, tags=tags, points=points, files=files)


def described(page: Page) -> str:
    """A page as a description that MLflow renders: the answer first, then as many tables as it takes.

    MLflow shows HTML as it is written, so what is underlined elsewhere is in italics here.
    """
    sheets = [part for part in page.parts if isinstance(part, Sheet)]
    text = "\n\n".join(part for part in page.parts if isinstance(part, str))
    for sheet in sheets:
        table = re.sub(r" {2,}", " ", re.sub(r"</?u>", "*", markdown_text(sheet)))
        more = f"{text}\n\n### {sheet.title}\n\n{table.replace('underlined: the next', 'italic: the next')}"
        if len(more) > TEXT - 100:
            return f"{text}\n\nThe whole table is among the artifacts: table/table.md."
        text = more
    return text


def answer_of(filled: Sequence[Entry], plan: Plan) -> str:
    """What the whole matrix answers, for the description of its experiments."""
    page = scores_page(filled, SHOWN, asked=plan.asked, version=version("kdbench"))
    return next((part for part in reversed(page.parts) if isinstance(part, str)), "")


def _points(tables: Sequence[Table], records: Sequence[Record], ended: int) -> list[Point]:
    """The mean and the gain of each complete row, and how long all took; at a time that the records say."""
    values: dict[str, float] = {}
    for table in tables:
        for row in table.rows:
            score = row.scores[0]
            if score.complete and score.mean is not None:
                values[f"{table.metric}/{row.label}"] = score.mean
            if score.complete and score.gain is not None:
                values[f"gain_{table.metric}/{row.label}"] = score.gain
    values["cells"] = len(records)
    values["seconds"] = sum(record.seconds for record in records)
    return [Point(name, value, ended, last=True) for name, value in values.items()]


def _gate(table: Table) -> str:
    """Whether there was anything to learn from the teacher, over all seeds and folds."""
    alone = [row.scores[0].complete for row in table.rows[:2]]
    if not all(alone):
        return ""
    return "failed" if table.untaught else "passed"

"""How the numbers were made: data, people, recipe, settings, versions, machines, commits."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from kdbench.results.entry import Entry
from kdbench.results.record import Record
from kdbench.results.seen import Seen
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.views._parts import page_of
from kdbench.results.words.costs import NOTHING


def page(seen: Seen) -> Page:
    """Data, rows with their settings, the recipe, and with what it ran."""
    records = list({entry.record.digest: entry.record for entry in seen.entries if entry.record}.values())
    if not records:
        return page_of(seen, "protocol", ["Nothing was run yet."])
    cautions = [f"Warning: {each}." for each in seen.asked.cautions]
    parts: list[Sheet | str] = [
        _data(seen),
        *cautions,
        _rows(seen),
        _settings(seen),
        _recipe(seen, records),
        _made_with(records),
    ]
    return page_of(seen, "protocol", parts)


def _data(seen: Seen) -> Sheet:
    """A line for each dataset: who was judged, on how many windows."""
    names = ("dataset", "people from", "split", "people", "windows", "fewest", "most", "classes", "digest")
    lines = []
    for dataset in dict.fromkeys(entry.place.dataset for entry in seen.entries):
        runs = [entry for entry in seen.entries if entry.place.dataset == dataset and entry.status == "done"]
        if not runs:
            lines.append((Cell(dataset), Cell("nothing done yet"), *[Cell(None, NOTHING)] * (len(names) - 2)))
            continue
        record = runs[0].record
        assert record is not None
        people = _people(runs)
        windows = list(people.values())
        counts = [len(people) or None, sum(windows) or None, min(windows, default=None), max(windows, default=None)]
        lines.append(
            (
                *(Cell(dataset), Cell(runs[0].place.group), Cell(record.side)),
                *(Cell(count, None if count is not None else NOTHING) for count in counts),
                Cell(len(record.metrics["student"].get("class_f1", ())) or None),
                Cell(str(record.cell.get("data", ""))[:12] or NOTHING),
            )
        )
    words = ("dataset", "people from", "split", "digest")
    return Sheet(
        tuple(Column(name, numeric=name not in words) for name in names),
        tuple(lines),
        "Data",
        "People who were judged, over all seeds and folds, and their windows; fewest and most of one person.",
    )


def _people(runs: Iterable[Entry]) -> dict[str, int]:
    """Windows of each person who was judged in any run."""
    found: dict[str, int] = {}
    for run in runs:
        assert run.record is not None
        for name, score in run.record.metrics["student"].get("by_person", {}).items():
            found[name] = int(score["windows"])
    return found


def _rows(seen: Seen) -> Sheet:
    """A line for each row: what was trained."""
    lines = []
    for row in seen.table.rows:
        cells = _cells(seen, row.label)
        said = [f"{_what(cell)['name']}, version {_what(cell)['version']}" for cell in cells]
        roles = [str(cell.get("role", "")) for cell in cells]
        told = (", ".join(dict.fromkeys(each)) or NOTHING for each in (said, roles))
        lines.append((Cell(row.label), Cell(row.kind), *map(Cell, told)))
    heads = ("row", "kind", "method", "teacher is")
    return Sheet(tuple(Column(name, numeric=False) for name in heads), tuple(lines), "Rows")


def _settings(seen: Seen) -> Sheet:
    """A line for each setting of each row; several values where a search found others for some blocks."""
    lines = []
    for row in seen.table.rows:
        found: dict[str, dict[str, None]] = {}
        for cell in _cells(seen, row.label):
            for key, value in _what(cell).get("settings", {}).items():
                found.setdefault(key, {})[_plain(value)] = None
        lines += [(Cell(row.label), Cell(key), Cell(", ".join(values))) for key, values in found.items()]
    columns = tuple(Column(name, numeric=False) for name in ("row", "setting", "value"))
    return Sheet(columns, tuple(lines), "Settings")


def _cells(seen: Seen, label: str) -> list[Mapping[str, Any]]:
    """Of the runs of a row that say which method it is."""
    runs = (entry.record for entry in seen.entries if entry.place.row == label)
    return [record.cell for record in runs if record and "method" in record.cell]


def _what(cell: Mapping[str, Any]) -> Mapping[str, Any]:
    """The method, or the reference: that has no recipe, and is itself what learns."""
    found: Mapping[str, Any] = cell["method"] if cell.get("recipe") else cell["student"]
    return found


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _recipe(seen: Seen, records: Iterable[Record]) -> Sheet:
    """A line for each of its settings; several values where a search found others for some rows."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        for key, value in record.cell.get("recipe", {}).items():
            found.setdefault(key, {})[_plain(value)] = None
    lines = tuple((Cell(key), Cell(", ".join(values))) for key, values in found.items())
    columns = (Column("setting", numeric=False), Column("value", numeric=False))
    return Sheet(columns, lines, f"Recipe {seen.asked.recipe}")


def _made_with(records: Iterable[Record]) -> Sheet:
    """How many cells were made with each version, device and commit."""
    counts: dict[str, Counter[str]] = {}
    for record in records:
        said = {**record.versions, "processor": record.device, "commit": (record.commit or "unknown")[:12]}
        said["day"] = record.finished[:10]
        for key, value in said.items():
            counts.setdefault(key, Counter())[value] += 1
    lines = [
        (Cell(key), Cell(value), Cell(count)) for key, each in counts.items() for value, count in sorted(each.items())
    ]
    columns = (Column("what", numeric=False), Column("which", numeric=False), Column("cells"))
    return Sheet(columns, tuple(lines), "Made with")

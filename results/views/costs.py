"""What training a row costs, and on which processor."""

from collections.abc import Sequence
from statistics import median

from kdbench.results.entry import Entry
from kdbench.results.place import RowRole
from kdbench.results.record import Record
from kdbench.results.seen import Seen
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.views._parts import number, page_of
from kdbench.results.words.costs import ADDED, HEADINGS, NOTHING, ratio, shown
from kdbench.results.words.looks import not_there
from kdbench.results.words.numbers import listed
from kdbench.text import counted

DEPLOYED = ("parameters", "multiply_adds", "latency_ms")


def page(seen: Seen) -> Page:
    """A sheet for each block with a line for each row, then who trained how much on what."""
    parts: list[Sheet | str] = []
    for block in seen.table.blocks:
        student = seen.table.student
        alone = _records(seen.found.get((block, student.label), ())) if student else []
        known = {row.label: _records(seen.found.get((block, row.label), ())) for row in seen.table.rows}
        lines = tuple(_line(label, runs, alone) for label, runs in known.items() if runs)
        if lines:
            parts.append(Sheet(_columns(), lines, f"{block.dataset}, {block.pair}"))
        parts.append(not_there(block, [label for label, runs in known.items() if not runs]))
    legend = (
        "Training: wall-clock time of one run, median over runs, beside whatever else the machine did, its teacher's "
        "own training not counted; times: of student alone. Memory: peak of the process that trained, over all that "
        "it had trained by then. Training adds: parameters that the method trains beside the student's. "
        "The rest is of what is deployed, for one window; `kdbench table --costs` has it beside the teacher's."
    )
    return page_of(seen, "costs of training", [*parts, _where(seen), legend])


def _columns() -> tuple[Column, ...]:
    return (
        *(Column("method", numeric=False), Column("runs"), Column("training", "seconds"), Column("times")),
        *(Column("an epoch", "epoch_seconds"), Column("memory", "peak_memory"), Column("training adds", ADDED)),
        *(Column(HEADINGS[key], key) for key in DEPLOYED),
        Column("processor", "device", numeric=False),
    )


def _records(runs: Sequence[Entry]) -> list[Record]:
    return [run.record for run in runs if run.record is not None]


def _line(label: str, runs: Sequence[Record], alone: Sequence[Record]) -> tuple[Cell, ...]:
    seconds, epochs = _seconds(runs), runs[0].cell.get("recipe", {}).get("epochs")
    reference = _seconds(alone) if alone else None
    memory = float(median(run.peak_memory for run in runs))
    costs = {
        key: median(run.costs[key] for run in runs if key in run.costs)
        for key in (ADDED, *DEPLOYED)
        if any(key in run.costs for run in runs)
    }
    times = Cell(None, NOTHING) if not reference else Cell(seconds / reference, ratio(seconds / reference))
    return (
        *(Cell(label), Cell(len(runs)), number(seconds, duration(seconds)), times),
        number(seconds / epochs if epochs else None, duration(seconds / epochs) if epochs else ""),
        Cell(memory, shown("file_size", memory)) if memory else Cell(None, NOTHING),
        *(Cell(costs.get(key), shown(key, costs.get(key))) for key in (ADDED, *DEPLOYED)),
        Cell(listed(sorted({run.device for run in runs}))),
    )


def _seconds(runs: Sequence[Record]) -> float:
    return float(median(run.seconds for run in runs))


def duration(seconds: float) -> str:
    """``0.42 s``, ``12 s``, ``3.1 min``, ``2.4 h``."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.3g} min" if seconds < 6000 else f"{seconds / 3600:.3g} h"


def _where(seen: Seen) -> str:
    """All that was trained, once for each cell, by device."""
    records = {entry.record.digest: entry.record for entry in seen.entries if entry.record}
    if not records:
        return ""
    devices = dict.fromkeys(record.device for record in records.values())
    spent = {device: [record.seconds for record in records.values() if record.device == device] for device in devices}
    said = [f"{duration(sum(each))} on {device} ({counted(len(each), 'cell')})" for device, each in spent.items()]
    shared = sum(entry.place.role is not RowRole.METHOD for entry in seen.entries)
    return f"All training together took {listed(said)}{', each network alone once' if shared else ''}."

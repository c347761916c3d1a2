"""The first sheet of a table: a line for each row over all blocks."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from kdbench.results.entry import Entry
from kdbench.results.metrics import title
from kdbench.results.pages.cells import EMPTY, HEAD, average_cell, gain_cell, head, judged_cells, score_cell
from kdbench.results.place import RowRole
from kdbench.results.sheet import Cell, Column, Sheet
from kdbench.results.statistics import mean
from kdbench.results.tables.family import Family, Judged
from kdbench.results.tables.model import Row, Table
from kdbench.results.words.answers import EQUIVALENT
from kdbench.results.words.captions import capital
from kdbench.results.words.numbers import duration, points

SAID = {
    "gain_interval": "95 %: interval, over people and seeds, of the gain by the mean over people, in which each counts "
    "the same; the gain itself is of all windows together, so it may lie off the middle",
    "rank": "rank: average place over blocks by the mean over people, 1 is best, with its interval over people",
    "tier": "top: not shown worse than the first method, nor than student alone",
    "harm": f"harm: share of seeds and of people that lose more than {100 * EQUIVALENT:g} points, over blocks",
    "training": "training: median time of a run, its teacher's own left out, mean over blocks",
}
"""What the caption says of the columns that are shown."""


def summary_sheet(entries: Sequence[Entry], judged: Judged, caption: str) -> Sheet:
    """Value, gain, interval, rank, tier, harm and training time of every row over all blocks.

    Columns of which nothing is known are left out.
    """
    table = judged.table
    value = "average" if len(table.blocks) > 1 else title(table.metric)
    columns = (
        *(*HEAD, Column(value, "mean"), Column("gain"), Column("95 %", "gain_interval")),
        *(Column("rank"), Column("95 %", "rank_interval"), Column("tier", numeric=False)),
        *(Column("harm"), Column("training")),
    )
    seconds = training_seconds(entries)
    lines = [
        (
            *head(row),
            *_score(judged, row),
            *_behind(judged, row),
            _harm(judged.overall, row),
            _time(table, row, seconds),
        )
        for row in table.rows
    ]
    kept = [
        number
        for number, column in enumerate(columns)
        if column.name in ("method", "kind", "mean") or any(line[number] != EMPTY for line in lines)
    ]
    shown = tuple(columns[number] for number in kept)
    rows = tuple(tuple(line[number] for number in kept) for line in lines)
    said = [SAID[column.name] for column in shown if column.name in SAID]
    legend = f" {capital('; '.join(said))}." if said and caption else ""
    return Sheet(shown, rows, capital(title(table.metric)), caption + legend)


def training_seconds(entries: Sequence[Entry]) -> dict[tuple[str, str, str], float]:
    """Median seconds of a row's runs, by dataset, pair and row."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for entry in entries:
        if entry.status == "done" and entry.record is not None and entry.record.seconds > 0:
            place = entry.place
            found.setdefault((place.dataset, place.pair, place.row), []).append(entry.record.seconds)
    return {key: median(seconds) for key, seconds in found.items()}


def _score(judged: Judged, row: Row) -> tuple[Cell, Cell]:
    """The value and the gain: of the only block, or the average over several."""
    table = judged.table
    if len(table.blocks) == 1:
        untaught = row.role is RowRole.TEACHER and bool(table.untaught)
        return score_cell(row.scores[0], untaught=untaught), gain_cell(row.scores[0])
    gain = row.average.gain if row.average else None
    return average_cell(row), EMPTY if gain is None else Cell(gain, points(gain))


def _behind(judged: Judged, row: Row) -> tuple[Cell, ...]:
    """Interval of the gain, rank with its interval, and whether it is in the tier."""
    found = judged.overall
    if found is None or found.silent or row.label not in found.labels:
        return (EMPTY,) * 4
    number = found.panel.number(row.label)
    place, span = float(found.places[number]), found.place_intervals[number]
    tier = EMPTY
    if row.role is RowRole.METHOD:
        harmful = found.student is not None and found.shown(row.label, found.student.label) < 0
        inside = row.label in judged.tier and not harmful
        tier = Cell(inside, "top" if inside else "below")
    return (
        judged_cells(row, found)[0],
        Cell(place, f"{place:.1f}"),
        Cell(None, f"{span.low:.1f} to {span.high:.1f}"),
        tier,
    )


def _harm(found: Family | None, row: Row) -> Cell:
    if found is None or found.silent or found.student is None or row.role is not RowRole.METHOD:
        return EMPTY
    if row.label not in found.labels:
        return EMPTY
    seeds, people = found.harm(row.label, EQUIVALENT)
    return Cell(None, f"{100 * seeds:.0f} %, {100 * people:.0f} %")


def _time(table: Table, row: Row, seconds: dict[tuple[str, str, str], float]) -> Cell:
    known = [seconds.get((block.dataset, block.pair, row.label)) for block in table.blocks]
    there = [each for each in known if each is not None]
    if not there:
        return EMPTY
    cell = Cell(mean(there), duration(mean(there)))
    return cell if len(there) == len(known) else replace(cell, note=f"{len(there)} of {len(known)} blocks")

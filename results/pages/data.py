"""Sheets for programs: numbers in full precision, metrics as fractions, one thing a column."""

from collections.abc import Sequence

from kdbench.results.entry import Entry, Freshness
from kdbench.results.place import RowRole
from kdbench.results.sheet import Sheet, Value, plain_sheet
from kdbench.results.statistics.intervals import Interval
from kdbench.results.tables.alone import tabulate_networks
from kdbench.results.tables.costs import COMPARED, tabulate_costs
from kdbench.results.tables.family import Family, Judged, judged_tables
from kdbench.results.tables.model import Row, Score, Standing, Table
from kdbench.results.tables.scores import check_metric, scalar
from kdbench.results.words.costs import ADDED, HEADINGS


def data_sheet(form: str, entries: Sequence[Entry], metrics: Sequence[str]) -> Sheet:
    """The sheet of one of `kdbench.results.render.csv.FORMS`; what is judged is judged.

    Raises ``ValueError`` as ``tabulate`` does.
    """
    if form == "csv":
        return runs_sheet(entries, metrics)
    judged = judged_tables(entries, metrics)
    return wide_sheet([each.table for each in judged]) if form == "csv-wide" else summary_lines(judged)


def runs_sheet(entries: Sequence[Entry], metrics: Sequence[str]) -> Sheet:
    """One line per entry with the student's metrics, so that runs can be compared bit for bit.

    Raises ``ValueError`` on a metric that is unknown.
    """
    for metric in metrics:
        check_metric(entries, metric)
    names = ["dataset", "pair", "row", "kind", "role", "seed", "fold", "judged", "status", "reason", "stale", "side"]
    names += ["digest"]
    lines = []
    for entry in entries:
        place, record = entry.place, entry.record
        line: list[Value] = [place.dataset, place.pair, place.row, place.kind, place.role, place.seed, place.fold]
        line += [place.judged, entry.status, entry.reason, _stale(entry.freshness)]
        line += [record.side, record.digest] if record else [None, None]
        lines.append([*line, *(scalar(record, metric) for metric in metrics)])
    return plain_sheet([*names, *metrics], lines)


def wide_sheet(tables: Sequence[Table]) -> Sheet:
    """One line per metric and row, columns grouped by block.

    Raises ``ValueError`` unless all tables have the same blocks.
    """
    if len({table.blocks for table in tables}) != 1:
        raise ValueError("wide_sheet: tables of different blocks, or none, came; the same blocks are wanted")
    parts = ("mean", "std", "n", "gain", "place", "state", "stale")
    names = ["metric", "row", "kind", "role"]
    names += [f"{block.dataset} {block.pair} {part}" for block in tables[0].blocks for part in parts]
    lines = []
    for table in tables:
        for row in table.rows:
            line: list[Value] = [table.metric, row.label, row.kind, row.role]
            for score in row.scores:
                line += _score(score)
            averaged = row.average if len(table.blocks) > 1 else None
            lines.append(line + ([averaged.mean, averaged.gain] if averaged else [None, None]))
    return plain_sheet([*names, "average mean", "average gain"], lines)


def summary_lines(tables: Sequence[Judged]) -> Sheet:
    """One line per metric, block and row; interval and p-value are of the gain, adjusted within the block."""
    names = ["metric", "dataset", "pair", "row", "kind", "role", "mean", "std", "n", "gain", "interval_low"]
    names += ["interval_high", "p_adjusted", "tier", "state", "stale"]
    lines = []
    for judged in tables:
        for number, block in enumerate(judged.table.blocks):
            for row in judged.table.rows:
                score, found = row.scores[number], judged.families[number]
                line: list[Value] = [judged.table.metric, block.dataset, block.pair, row.label, row.kind, row.role]
                line += [score.mean, score.std, score.n, score.gain, *_judged(row, score, found)]
                lines.append([*line, score.state or "complete", _stale(score.freshness)])
    return plain_sheet(names, lines)


def _judged(row: Row, score: Score, found: Family | None) -> list[Value]:
    """Interval, adjusted p-value and tier; empty where no test tells."""
    if found is None or found.silent or row.label not in found.labels:
        return [None] * 4
    student, tier = found.student, score.standing is Standing.TIER if row.role is RowRole.METHOD else None
    if student is None or student.label == row.label:
        return [None, None, None, tier]
    span: Interval = found.difference(row.label, student.label).interval
    return [span.low, span.high, found.p(row.label, student.label), tier]


def _score(score: Score) -> list[Value]:
    state = score.state or "complete"
    return [score.mean, score.std, score.n, score.gain, score.standing, state, _stale(score.freshness)]


def _stale(freshness: Freshness) -> Value:
    return "unknown" if freshness is Freshness.UNKNOWN else freshness is Freshness.STALE


def costs_sheet(entries: Sequence[Entry], metrics: Sequence[str] = ("macro_f1", "accuracy")) -> Sheet:
    """One line per dataset, pair and row: metrics, every cost and ratio.

    A metric is the mean over runs, and empty where a run is missing; ``state`` says what is. ``front`` is that of
    `NetworkRow`, of the networks alone.

    Raises:
        ValueError: as `tabulate` does.
    """
    fronts = {(row.dataset, row.network): row.front for row in tabulate_networks(entries, metrics)}
    names = ["dataset", "pair", "row", "role", "network", "state", "front", *metrics, *HEADINGS, ADDED]
    lines = []
    for row in tabulate_costs(entries, metrics):
        front = None if row.role is RowRole.METHOD else fronts[row.dataset, row.network]
        line: list[Value] = [row.dataset, row.pair, row.label, row.role, row.network, row.state or "complete", front]
        line += row.means
        line += [row.costs.get(key) for key in (*HEADINGS, ADDED)]
        lines.append([*line, *(row.ratios.get(key) for key in COMPARED)])
    return plain_sheet([*names, *(f"{key}_ratio" for key in COMPARED)], lines)

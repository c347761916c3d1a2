"""From the entries of a matrix to one table per metric."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from kdbench.results.metrics import LOWER_IS_BETTER, SCALARS
from kdbench.results.record import Record
from kdbench.results.statistics import mean
from kdbench.results.table import Average, Block, Conditions, Entry, Place, Role, Row, Score, Table

KINDS = ("logit", "feature", "relation", "contrastive", "mutual", "self")
"""Order of method kinds in a table; unknown kinds follow in order of appearance, "ours" is last."""

_Head = tuple[Role, str]


def tabulate(entries: Sequence[Entry], metric: str) -> Table:
    """Aggregate entries over seeds into the table of one metric.

    Every row is expected in every block with every seed that any entry has; what is not there makes a score incomplete.

    Raises:
        ValueError: no entries, an unknown metric, two entries for one place, a row with two roles or kinds, more than
            one row of student alone, or runs of different recipes, protocols or splits.
    """
    if not entries:
        raise ValueError("tabulate: no entries came")
    check_metric(entries, metric)
    conditions = _conditions(entries)
    seeds = tuple(sorted({entry.seed for entry in entries}))
    blocks = tuple(dict.fromkeys(Block(entry.dataset, entry.pair) for entry in entries))
    heads = _heads(entries)
    found: dict[tuple[str, Block], dict[int, Entry]] = {}
    for entry in entries:
        place = found.setdefault((entry.row, Block(entry.dataset, entry.pair)), {})
        if entry.seed in place:
            raise ValueError(f"tabulate: {entry.row!r} came twice for {entry.dataset}, {entry.pair}, seed {entry.seed}")
        place[entry.seed] = entry
    students = [label for label, (role, _) in heads.items() if role == "student"]
    if len(students) > 1:
        raise ValueError(f"tabulate: student alone came as rows {students}, one row is wanted")
    references = [
        _values(found.get((student, block), {}), metric) if (student := next(iter(students), None)) else {}
        for block in blocks
    ]
    rows = [
        _row(label, head, [found.get((label, block), {}) for block in blocks], references, metric, len(seeds))
        for label, head in sorted(heads.items(), key=_order(heads))
    ]
    return Table(metric, seeds, blocks, _placed(rows, metric), conditions)


def scalar(record: Record | None, metric: str) -> float | None:
    """The student's value of a metric in 0..1; None where the record has no finite number under that name."""
    value = record.metrics.get("student", {}).get(metric) if record else None
    return float(value) if value is not None and _is_scalar(value) and math.isfinite(value) else None


def check_metric(entries: Iterable[Entry], metric: str) -> None:
    """Raise ``ValueError``, naming near ones, unless ``metric`` is a scalar of ``score`` or of some entry's record."""
    if metric in SCALARS:
        return
    known = set(SCALARS)
    for entry in entries:
        if entry.record:
            known |= {key for key, value in entry.record.metrics.get("student", {}).items() if _is_scalar(value)}
    if metric not in known:
        near = get_close_matches(metric, sorted(known))
        hint = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
        raise ValueError(f"no metric {metric!r}{hint}; known: {', '.join(sorted(known))}")


def _is_scalar(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _conditions(entries: Iterable[Entry]) -> Conditions | None:
    first: tuple[Record, Mapping[str, Any]] | None = None
    for entry in entries:
        record = entry.record
        if record is None:
            continue
        recipe = record.cell.get("recipe")
        if not isinstance(recipe, dict) or "name" not in recipe or "protocol" not in record.cell:
            raise ValueError(f"record {record.digest}: its cell lacks a recipe with a name, or a protocol")
        if first is None:
            first = record, recipe
            continue
        for what, came, wanted in (
            ("protocols", record.cell["protocol"], first[0].cell["protocol"]),
            ("splits", record.side, first[0].side),
            ("recipes", recipe["name"], first[1]["name"]),
        ):
            if came != wanted:
                raise ValueError(f"a table never mixes {what}: {wanted!r} and {came!r} came")
        if recipe != first[1]:
            keys = sorted(
                key
                for key in recipe.keys() | first[1].keys()
                if (key in recipe, recipe.get(key)) != (key in first[1], first[1].get(key))
            )
            raise ValueError(f"a table never mixes recipes: two called {recipe['name']!r} came, differing in {keys}")
    if first is None:
        return None
    record, recipe = first
    return Conditions(str(record.cell["protocol"]), str(recipe["name"]), str(recipe.get("note") or ""), record.side)


def _heads(entries: Iterable[Entry]) -> dict[str, _Head]:
    """Role and kind of every row, in order of appearance."""
    heads: dict[str, _Head] = {}
    for entry in entries:
        head = heads.setdefault(entry.row, (entry.role, entry.kind))
        if head != (entry.role, entry.kind):
            raise ValueError(f"tabulate: row {entry.row!r} came as {head} and as {(entry.role, entry.kind)}")
    return heads


def _order(heads: Mapping[str, _Head]) -> Callable[[tuple[str, _Head]], tuple[int, int]]:
    """Sort key of the table's lines: teacher, student alone, methods by kind, "ours" last."""
    appeared = [kind for role, kind in heads.values() if role == "method" and kind != "ours"]
    kinds = {kind: index for index, kind in enumerate(dict.fromkeys([*KINDS, *appeared, "ours"]))}
    roles: tuple[Role, ...] = ("teacher", "student", "method")

    def key(item: tuple[str, _Head]) -> tuple[int, int]:
        role, kind = item[1]
        return roles.index(role), kinds[kind] if role == "method" else 0

    return key


def _values(found: Mapping[int, Entry], metric: str) -> dict[int, float]:
    done = {seed: scalar(found[seed].record, metric) for seed in sorted(found) if found[seed].status == "done"}
    return {seed: value for seed, value in done.items() if value is not None}


def _row(
    label: str,
    head: _Head,
    found: Sequence[Mapping[int, Entry]],
    references: Sequence[Mapping[int, float]],
    metric: str,
    wanted: int,
) -> Row:
    """A line without places; ``found`` and ``references`` (student alone) are by block, then by seed."""
    role, kind = head
    sign = -1 if metric in LOWER_IS_BETTER else 1
    scores = []
    for entries, reference in zip(found, references, strict=True):
        values = _values(entries, metric)
        shared = values.keys() & reference.keys() if role != "student" else set()
        differences = {seed: sign * (value - reference[seed]) for seed, value in values.items() if seed in shared}
        stale = any(entries[seed].stale for seed in values)
        scores.append(Score(values, differences, wanted, _state(entries, values, wanted), stale))
    average = None
    if all(score.complete for score in scores):
        matched = all(len(score.differences) == wanted for score in scores)
        gain = mean(value for score in scores for value in score.differences.values()) if matched else None
        average = Average(mean(value for score in scores for value in score.values.values()), gain)
    return Row(label, kind, role, tuple(scores), average)


def _state(entries: Mapping[int, Entry], values: Mapping[int, float], wanted: int) -> str | None:
    if len(values) == wanted:
        return None
    statuses = [entry.status for entry in entries.values()]
    if "n/a" in statuses:
        return f"n/a: {next(entry.reason for entry in entries.values() if entry.status == 'n/a')}"
    failed, done = statuses.count("failed"), statuses.count("done")
    if failed:
        missing = wanted - failed - done
        return f"failed {failed} of {wanted}" + (f", {missing} not run" if missing else "")
    if values:
        return f"{len(values)} of {wanted} seeds"
    return "n/a: not recorded" if done else "not run"


def _placed(rows: Sequence[Row], metric: str) -> tuple[Row, ...]:
    """The rows with best and second marked among complete methods, in every block and in the average."""
    ranked = [row for row in rows if row.role == "method"]
    by_block = [
        _places((score.mean for row in ranked if (score := row.scores[block]).complete), metric)
        for block in range(len(rows[0].scores))
    ]
    overall = _places((row.average.mean for row in ranked if row.average), metric)

    def placed(row: Row) -> Row:
        if row.role != "method":
            return row
        scores = tuple(
            replace(score, place=places.get(score.mean)) if score.complete else score
            for score, places in zip(row.scores, by_block, strict=True)
        )
        average = row.average and replace(row.average, place=overall.get(row.average.mean))
        return replace(row, scores=scores, average=average)

    return tuple(map(placed, rows))


def _places(means: Iterable[float | None], metric: str) -> dict[float | None, Place]:
    """The two best distinct means and their places."""
    distinct = sorted({mean for mean in means if mean is not None}, reverse=metric not in LOWER_IS_BETTER)
    places: tuple[Place, ...] = ("best", "second")
    return dict(zip(distinct, places, strict=False))

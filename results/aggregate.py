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
"""Order of method kinds in a table; unknown kinds follow in order of appearance, "ours" is last.

They are those of `kdbench.methods.KINDS`, which a reader of records need not import; a test compares them."""

_Head = tuple[Role, str]
_Runs = Mapping[tuple[int, int], Entry]
"""By seed and fold."""


def tabulate(entries: Sequence[Entry], metric: str, *, warning: str = "") -> Table:
    """Aggregate entries over folds, then over seeds, into the table of one metric.

    Every row is expected in every block with every seed that any entry has and every fold that any entry of the block
    has; what is not there makes a score incomplete. ``warning`` is what must be said against the protocol.

    Raises:
        ValueError: no entries, an unknown metric, two entries for one place, a row with two roles or kinds, more than
            one row of student alone, or runs of different recipes, protocols or splits.
    """
    if not entries:
        raise ValueError("tabulate: no entries came")
    check_metric(entries, metric)
    conditions = _conditions(entries, warning)
    seeds = tuple(sorted({entry.seed for entry in entries}))
    blocks = tuple(dict.fromkeys(Block(entry.dataset, entry.pair) for entry in entries))
    heads = _heads(entries)
    found: dict[tuple[str, Block], dict[tuple[int, int], Entry]] = {}
    folds: dict[Block, set[int]] = {block: set() for block in blocks}
    for entry in entries:
        block = Block(entry.dataset, entry.pair)
        folds[block].add(entry.fold)
        place = found.setdefault((entry.row, block), {})
        if (entry.seed, entry.fold) in place:
            twice = f"seed {entry.seed}" + (f", fold {entry.fold}" if entry.fold else "")
            raise ValueError(f"tabulate: {entry.row!r} came twice for {entry.dataset}, {entry.pair}, {twice}")
        place[entry.seed, entry.fold] = entry
    counts = tuple(len(folds[block]) for block in blocks)
    students = [label for label, (role, _) in heads.items() if role == "student"]
    if len(students) > 1:
        raise ValueError(f"tabulate: student alone came as rows {students}, one row is wanted")
    references = [
        _values(found.get((student, block), {}), count, metric) if (student := next(iter(students), None)) else {}
        for block, count in zip(blocks, counts, strict=True)
    ]
    rows = [
        _row(label, head, [found.get((label, block), {}) for block in blocks], counts, references, metric, len(seeds))
        for label, head in sorted(heads.items(), key=_order(heads))
    ]
    return Table(metric, seeds, blocks, _placed(rows, metric), conditions, counts)


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


def _conditions(entries: Iterable[Entry], warning: str) -> Conditions | None:
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
    protocol, note = str(record.cell["protocol"]), str(recipe.get("note") or "")
    return Conditions(protocol, str(recipe["name"]), note, record.side, warning)


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


def _values(found: _Runs, folds: int, metric: str) -> dict[int, float]:
    """The mean over the folds by seed, for the seeds of which every fold has a number."""
    by_seed: dict[int, list[float]] = {}
    for seed, fold in sorted(found):
        value = _recorded(found[seed, fold], metric)
        if value is not None:
            by_seed.setdefault(seed, []).append(value)
    return {seed: mean(values) for seed, values in by_seed.items() if len(values) == folds}


def _recorded(entry: Entry, metric: str) -> float | None:
    return scalar(entry.record, metric) if entry.status == "done" else None


def _row(
    label: str,
    head: _Head,
    found: Sequence[_Runs],
    folds: Sequence[int],
    references: Sequence[Mapping[int, float]],
    metric: str,
    wanted: int,
) -> Row:
    """A line without places; ``found``, ``folds`` and ``references`` (student alone, by seed) are by block."""
    role, kind = head
    sign = -1 if metric in LOWER_IS_BETTER else 1
    scores = []
    for entries, count, reference in zip(found, folds, references, strict=True):
        values = _values(entries, count, metric)
        shared = values.keys() & reference.keys() if role != "student" else set()
        differences = {seed: sign * (value - reference[seed]) for seed, value in values.items() if seed in shared}
        stale = any(entry.stale for (seed, _), entry in entries.items() if seed in values)
        scores.append(Score(values, differences, wanted, _state(entries, count, metric, wanted), stale))
    average = None
    if all(score.complete for score in scores):
        matched = all(len(score.differences) == wanted for score in scores)
        gain = mean(value for score in scores for value in score.differences.values()) if matched else None
        average = Average(mean(value for score in scores for value in score.values.values()), gain)
    return Row(label, kind, role, tuple(scores), average)


def _state(entries: _Runs, folds: int, metric: str, seeds: int) -> str | None:
    recorded = sum(_recorded(entry, metric) is not None for entry in entries.values())
    wanted = seeds * folds
    if recorded == wanted:
        return None
    statuses = [entry.status for entry in entries.values()]
    if "n/a" in statuses:
        return f"n/a: {next(entry.reason for entry in entries.values() if entry.status == 'n/a')}"
    failed, done = statuses.count("failed"), statuses.count("done")
    if failed:
        missing = wanted - failed - done
        return f"failed {failed} of {wanted}" + (f", {missing} not run" if missing else "")
    if recorded:
        unit = "seeds" if folds == 1 else "folds" if seeds == 1 else "runs"
        return f"{recorded} of {wanted} {unit}"
    return "not recorded" if done else "not run"


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

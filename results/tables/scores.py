"""From the entries of a matrix to one table per metric."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kdbench.errors import nearest
from kdbench.kinds import KINDS
from kdbench.results.entry import Entry, Freshness
from kdbench.results.metrics import LOWER_IS_BETTER, SCALARS
from kdbench.results.place import RowRole
from kdbench.results.record import Record
from kdbench.results.statistics import mean
from kdbench.results.tables.model import Average, Block, Row, Score, Standing, Table
from kdbench.results.tables.pooled import poolable, pooled

_Head = tuple[RowRole, str]
"""Role and kind of a row."""
_Runs = Mapping[tuple[int, int], Entry]
"""By seed and fold."""


def tabulate(entries: Sequence[Entry], metric: str) -> Table:
    """Aggregate entries over folds, then over seeds, into the table of one metric.

    Every row is expected in every block with every seed that any entry has and every fold that any entry of the block
    has; what is not there makes a score incomplete.

    Raises:
        ValueError: no entries, an unknown metric, two entries for one place, a row with two roles or kinds, more than
            one row of student alone, or records whose recipes, protocols or splits differ.
    """
    if not entries:
        raise ValueError("tabulate: no entries came")
    check_metric(entries, metric)
    side = _side(entries)
    seeds = tuple(sorted({entry.place.seed for entry in entries}))
    blocks = tuple(dict.fromkeys(Block(entry.place.dataset, entry.place.pair) for entry in entries))
    heads = _heads(entries)
    found: dict[tuple[str, Block], dict[tuple[int, int], Entry]] = {}
    folds: dict[Block, set[int]] = {block: set() for block in blocks}
    for entry in entries:
        place = entry.place
        block = Block(place.dataset, place.pair)
        folds[block].add(place.fold)
        runs = found.setdefault((place.row, block), {})
        if (place.seed, place.fold) in runs:
            twice = f"seed {place.seed}" + (f", fold {place.fold}" if place.fold else "")
            raise ValueError(f"tabulate: {place.row!r} came twice for {place.dataset}, {place.pair}, {twice}")
        runs[place.seed, place.fold] = entry
    counts = tuple(len(folds[block]) for block in blocks)
    students = [label for label, (role, _) in heads.items() if role is RowRole.STUDENT]
    if len(students) > 1:
        raise ValueError(f"tabulate: student alone came as rows {students}, one row is wanted")
    pool = max(counts) > 1 and poolable(
        [entry.record for entry in entries if entry.record and _recorded(entry, metric) is not None], metric
    )
    references = [
        _values(found.get((student, block), {}), count, metric, pool) if (student := next(iter(students), None)) else {}
        for block, count in zip(blocks, counts, strict=True)
    ]
    rows = [
        _row(label, head, [found.get((label, b), {}) for b in blocks], counts, references, (metric, pool), len(seeds))
        for label, head in sorted(heads.items(), key=_order(heads))
    ]
    return Table(metric, seeds, blocks, _ranked(rows, metric), side, counts, pool)


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
        raise ValueError(nearest("metrics", metric, known))


def _is_scalar(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


TUNED = ("learning_rate", "weight_decay")
"""What a search finds for each row, so that rows of a matrix with a preset differ in it."""


def _side(entries: Iterable[Entry]) -> str | None:
    """The split that all records are of, which also have one protocol and recipe; None where there is no record."""
    first: Record | None = None
    trained: dict[str, Any] | None = None
    listed = list(entries)
    unlike = ("name", "note", *(TUNED if any(entry.place.tuned for entry in listed) else ()))
    for entry, record in ((entry, entry.record) for entry in listed if entry.record):
        recipe = record.cell.get("recipe")
        if not isinstance(recipe, dict) or "protocol" not in record.cell:
            raise ValueError(f"record {record.digest}: its cell lacks a recipe or a protocol")
        first = first or record
        for what, came, wanted in (
            ("protocols", record.cell["protocol"], first.cell["protocol"]),
            ("splits", record.side, first.side),
        ):
            if came != wanted:
                raise ValueError(f"a table never mixes {what}: {wanted!r} and {came!r} came")
        if entry.place.role is RowRole.REFERENCE:  # it has no recipe
            continue
        # Its name and note say nothing about the numbers, and not every record has them.
        settings = {key: value for key, value in recipe.items() if key not in unlike}
        trained = settings if trained is None else trained
        if settings != trained:
            keys = sorted(
                key
                for key in settings.keys() | trained.keys()
                if (key in settings, settings.get(key)) != (key in trained, trained.get(key))
            )
            raise ValueError(f"a table never mixes recipes: two came, differing in {keys}")
    return None if first is None else first.side


def _heads(entries: Iterable[Entry]) -> dict[str, _Head]:
    """Of every row, in order of appearance."""
    heads: dict[str, _Head] = {}
    for place in (entry.place for entry in entries):
        head = heads.setdefault(place.row, (place.role, place.kind))
        if head != (place.role, place.kind):
            came = " and as ".join(f"{role} of kind {kind!r}" for role, kind in (head, (place.role, place.kind)))
            raise ValueError(f"tabulate: row {place.row!r} came as {came}")
    return heads


def _order(heads: Mapping[str, _Head]) -> Callable[[tuple[str, _Head]], tuple[int, int]]:
    """Sort key of the table's lines: teacher, student alone, methods by kind, new kinds by appearance, "ours" last."""
    known = [kind for kind in KINDS if kind not in ("reference", "ours")]
    appeared = [kind for role, kind in heads.values() if role is RowRole.METHOD and kind != "ours"]
    kinds = {kind: index for index, kind in enumerate(dict.fromkeys([*known, *appeared, "ours"]))}
    roles = list(RowRole)

    def key(item: tuple[str, _Head]) -> tuple[int, int]:
        role, kind = item[1]
        return roles.index(role), kinds[kind] if role is RowRole.METHOD else 0

    return key


def _values(found: _Runs, folds: int, metric: str, pool: bool) -> dict[int, float]:
    """By seed, for the seeds of which every fold has a number: of all folds' predictions, or the mean over them."""
    by_seed: dict[int, list[tuple[float, Entry]]] = {}
    for seed, fold in sorted(found):
        value = _recorded(found[seed, fold], metric)
        if value is not None:
            by_seed.setdefault(seed, []).append((value, found[seed, fold]))
    whole = {seed: values for seed, values in by_seed.items() if len(values) == folds}
    if pool and folds > 1:
        return {seed: pooled([e.record for _, e in runs if e.record], metric) for seed, runs in whole.items()}
    return {seed: mean(value for value, _ in runs) for seed, runs in whole.items()}


def _recorded(entry: Entry, metric: str) -> float | None:
    return scalar(entry.record, metric) if entry.status == "done" else None


def _row(
    label: str,
    head: _Head,
    found: Sequence[_Runs],
    folds: Sequence[int],
    references: Sequence[Mapping[int, float]],
    measured: tuple[str, bool],
    wanted: int,
) -> Row:
    """A line without standings; ``found``, ``folds`` and ``references`` (student alone, by seed) are by block.

    ``measured`` is the metric, and whether it is pooled over folds.
    """
    (role, kind), (metric, pool) = head, measured
    sign = -1 if metric in LOWER_IS_BETTER else 1
    scores = []
    for entries, count, reference in zip(found, folds, references, strict=True):
        values = _values(entries, count, metric, pool)
        shared = values.keys() & reference.keys() if role is not RowRole.STUDENT else set()
        differences = {seed: sign * (value - reference[seed]) for seed, value in values.items() if seed in shared}
        freshness = _freshness(entry for (seed, _), entry in entries.items() if seed in values)
        state = None if len(values) == wanted else _state(entries, count, metric, wanted)
        runs = _digests(entries, values)
        scores.append(Score(values, differences, wanted, state, freshness, runs=runs))
    average = None
    if all(score.complete for score in scores):
        matched = all(len(score.differences) == wanted for score in scores)
        gain = mean(value for score in scores for value in score.differences.values()) if matched else None
        average = Average(mean(value for score in scores for value in score.values.values()), gain)
    return Row(label, kind, role, tuple(scores), average)


def _state(entries: _Runs, folds: int, metric: str, seeds: int) -> str:
    """What is missing where some seed has no value."""
    recorded = sum(_recorded(entry, metric) is not None for entry in entries.values())
    wanted = seeds * folds
    statuses = [entry.status for entry in entries.values()]
    if "n/a" in statuses:
        return f"n/a: {next(entry.reason for entry in entries.values() if entry.status == 'n/a')}"
    failed, done = statuses.count("failed"), statuses.count("done")
    if failed:
        missing = wanted - failed - done
        return f"failed {failed} of {wanted}" + (f", {missing} not run" if missing else "")
    if recorded:
        fold = "people" if any(entry.place.judged for entry in entries.values()) else "folds"
        unit = "seeds" if folds == 1 else fold if seeds == 1 else "runs"
        return f"{recorded} of {wanted} {unit}"
    return "not recorded" if done else "not run"


def _digests(entries: _Runs, seeds: Mapping[int, float]) -> tuple[str, ...]:
    records = (entry.record for (seed, _), entry in sorted(entries.items(), key=lambda item: item[0]) if seed in seeds)
    return tuple(record.digest for record in records if record is not None)


def _freshness(entries: Iterable[Entry]) -> Freshness:
    found = {entry.freshness for entry in entries}
    return next((worst for worst in (Freshness.STALE, Freshness.UNKNOWN) if worst in found), Freshness.FRESH)


def _ranked(rows: Sequence[Row], metric: str) -> tuple[Row, ...]:
    """The rows with best and second marked among complete methods, in every block and in the average.

    What is worse than student alone is neither.
    """
    methods = [row for row in rows if row.role is RowRole.METHOD]
    by_block = [
        _standings((score.mean for row in methods if _competes(score := row.scores[block])), metric)
        for block in range(len(rows[0].scores))
    ]
    overall = _standings((row.average.mean for row in methods if row.average and not row.average.worse), metric)

    def ranked(row: Row) -> Row:
        if row.role is not RowRole.METHOD:
            return row
        scores = tuple(
            replace(score, standing=standings.get(score.mean)) if _competes(score) else score
            for score, standings in zip(row.scores, by_block, strict=True)
        )
        average = row.average
        if average and not average.worse:
            average = replace(average, standing=overall.get(average.mean))
        return replace(row, scores=scores, average=average)

    return tuple(map(ranked, rows))


def _competes(score: Score) -> bool:
    return score.complete and not score.worse_than_student


def _standings(means: Iterable[float | None], metric: str) -> dict[float | None, Standing]:
    """The two best distinct means and how they stand."""
    distinct = sorted({mean for mean in means if mean is not None}, reverse=metric not in LOWER_IS_BETTER)
    return dict(zip(distinct, (Standing.BEST, Standing.SECOND), strict=False))

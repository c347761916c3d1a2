"""The generated caption of a table: under which conditions its numbers hold."""

from collections import Counter
from collections.abc import Iterable, Sequence

from kdbench.results.entry import Asked, Entry, Freshness
from kdbench.results.metrics import LOWER_IS_BETTER, title
from kdbench.results.record import Record
from kdbench.results.sheet import Mark
from kdbench.results.tables.model import Block, Standing, Table

NOT_APPLICABLE = "n/a"


def caption(entries: Sequence[Entry], table: Table, asked: Asked, version: str, *, metrics: Sequence[str] = ()) -> str:
    """One paragraph on what the table of these entries shows, and under which conditions.

    ``version`` is that of kdbench, ``metrics`` what is shown where it is more than the table's own.
    """
    records = {entry.record.digest: entry.record for entry in entries if entry.record}
    parts = [
        _metrics(table, metrics or [table.metric]),
        *_conditions(table, asked),
        *_folds(table),
        _seeds(table),
        "hyper-parameters: defaults where a row does not say otherwise, no search",
        _cells(records.values(), asked),
        f"kdbench {version}",
    ]
    sentences = ["; ".join(parts), *_legend(table), *_unknown(entries, table)]
    sentences += [*reasons(entries), *_notes(entries), *_mixtures(records.values())]
    return " ".join(f"{sentence}." for sentence in sentences)


def capital(text: str) -> str:
    """A text as it begins a sentence: "macro-F1" gives "Macro-F1"."""
    return text[:1].upper() + text[1:]


def _metrics(table: Table, metrics: Sequence[str]) -> str:
    datasets = ", ".join(dict.fromkeys(block.dataset for block in table.blocks))
    named = [title(metric) + " (lower is better)" * (metric in LOWER_IS_BETTER) for metric in metrics]
    names = " and ".join(filter(None, [", ".join(named[:-1]), named[-1]]))
    return f"{capital(names)} in percent on {datasets}"


def _conditions(table: Table, asked: Asked) -> list[str]:
    if table.side is None:
        return ["no runs yet"]
    note = f" ({asked.note})" if asked.note else ""
    warning = f" ({asked.warning})" if asked.warning else ""
    return [f"{table.side} split", f"protocol {asked.protocol}{warning}", f"recipe {asked.recipe}{note}"]


def _folds(table: Table) -> list[str]:
    counts = {block.dataset: count for block, count in zip(table.blocks, table.folds, strict=True)}
    if set(counts.values()) == {1}:
        return []
    if len(set(counts.values())) == 1:
        return [f"mean over {table.folds[0]} folds"]
    return [f"mean over folds ({', '.join(f'{dataset}: {count}' for dataset, count in counts.items())})"]


def _seeds(table: Table) -> str:
    if len(table.seeds) == 1:
        return f"seed {table.seeds[0]}, so no spread"
    return f"seeds {', '.join(map(str, table.seeds))}; mean ± standard deviation over seeds (n - 1)"


def _cells(records: Iterable[Record], asked: Asked) -> str:
    statuses = Counter(record.status for record in records)
    failed = f" ({statuses['failed']} failed)" if statuses["failed"] else ""
    known = statuses.total()
    share = f"{known} of {asked.cells} cells" if asked.cells > known else f"{known} cell{'' if known == 1 else 's'}"
    return f"{share} trained{failed}"


def _counted(runs: int) -> str:
    return f"{runs} run{'' if runs == 1 else 's'}"


def _legend(table: Table) -> list[str]:
    scores = [score for row in table.rows for score in row.scores]
    shown = [score for score in scores if score.complete]
    place = "lowest" if table.metric in LOWER_IS_BETTER else "highest"
    in_front = ", which one seed does not show to be better" if len(table.seeds) == 1 else " on average"
    marks = [
        (
            any(score.gain is not None for score in shown),
            "Gain: mean seed-matched difference to student alone in points, above 0 is better",
        ),
        (_stands(table, Standing.BEST), f"bold: the {place} method{in_front}"),
        (_stands(table, Standing.SECOND), f"underlined: the second {place}"),
        (any(score.worse_than_student for score in shown), f"{Mark.WORSE} worse than student alone"),
        (any(score.stale for score in shown), f"{Mark.STALE} stale: the source changed since the run"),
    ]
    used = [text for holds, text in marks if holds]
    return ["; ".join(used)] if used else []


def _stands(table: Table, standing: Standing) -> bool:
    return any(score.standing is standing for row in table.rows for score in row.scores)


def _unknown(entries: Iterable[Entry], table: Table) -> list[str]:
    """Of how many runs behind the numbers nobody can say whether they are stale."""
    shown = {
        (block, row.label)
        for row in table.rows
        for block, score in zip(table.blocks, row.scores, strict=True)
        if score.complete
    }
    runs = {
        entry.record.digest
        for entry in entries
        if entry.freshness is Freshness.UNKNOWN
        and entry.record
        and (Block(entry.place.dataset, entry.place.pair), entry.place.row) in shown
    }
    if not runs:
        return []
    came = f"{_counted(len(runs))} come{'s' if len(runs) == 1 else ''}"
    return [f"{came} from an older kdbench: whether the source changed since is unknown"]


def reasons(entries: Sequence[Entry]) -> list[str]:
    """Why rows are n/a; where, if not everywhere."""
    everywhere = {(entry.place.dataset, entry.place.pair) for entry in entries}
    found: dict[tuple[str, str], dict[tuple[str, str], None]] = {}
    for entry in entries:
        if entry.status == NOT_APPLICABLE:
            place = entry.place
            found.setdefault((place.row, str(entry.reason)), {})[place.dataset, place.pair] = None
    rows: dict[str, list[str]] = {}
    for (row, reason), blocks in found.items():
        on = (
            "" if blocks.keys() == everywhere else f" on {', '.join(' '.join(filter(None, block)) for block in blocks)}"
        )
        rows.setdefault(reason, []).append(row + on)
    return [f"{NOT_APPLICABLE}, {'; '.join(named)}: {reason}" for reason, named in rows.items()]


def _notes(entries: Iterable[Entry]) -> list[str]:
    rows: dict[str, dict[str, None]] = {}
    for place in (entry.place for entry in entries):
        if place.note:
            rows.setdefault(place.note, {})[place.row] = None
    return [f"{', '.join(named)}: {note}" for note, named in rows.items()]


def _mixtures(records: Iterable[Record]) -> list[str]:
    """Warnings where records come from several devices or torch versions."""
    listed = list(records)
    warnings = []
    for what, found in (
        ("devices", Counter(record.device for record in listed)),
        ("torch versions", Counter(record.versions.get("torch", "unknown") for record in listed)),
    ):
        if len(found) > 1:
            counts = ", ".join(f"{name}: {count}" for name, count in sorted(found.items()))
            warnings.append(f"Warning: runs of several {what} are mixed ({counts})")
    return warnings

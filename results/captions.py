"""The generated caption of a table: under which conditions its numbers hold."""

from collections import Counter
from collections.abc import Iterable, Sequence

from kdbench.results.metrics import LOWER_IS_BETTER, title
from kdbench.results.record import Record
from kdbench.results.table import Entry, Table

WORSE = "↓"
STALE = "†"
NOT_APPLICABLE = "n/a"


def caption(entries: Sequence[Entry], table: Table, version: str, *, metrics: Sequence[str] = ()) -> str:
    """One paragraph on what the table shows, from the records themselves.

    ``version`` is that of kdbench, ``metrics`` what is shown where it is more than the table's own.
    """
    records = {entry.record.digest: entry.record for entry in entries if entry.record}
    parts = [
        _metrics(table, metrics or [table.metric]),
        *_conditions(table),
        *_folds(table),
        _seeds(table),
        "hyper-parameters: published defaults where a row does not say otherwise, no search",
        _runs(records.values()),
        f"kdbench {version}",
    ]
    sentences = ["; ".join(parts), *_legend(table), *reasons(entries), *_notes(entries), *_mixtures(records.values())]
    return " ".join(f"{sentence}." for sentence in sentences)


def capital(text: str) -> str:
    """A text as it begins a sentence: "macro-F1" gives "Macro-F1"."""
    return text[:1].upper() + text[1:]


def _metrics(table: Table, metrics: Sequence[str]) -> str:
    datasets = ", ".join(dict.fromkeys(block.dataset for block in table.blocks))
    named = [title(metric) + " (lower is better)" * (metric in LOWER_IS_BETTER) for metric in metrics]
    names = " and ".join(filter(None, [", ".join(named[:-1]), named[-1]]))
    return f"{capital(names)} in percent on {datasets}"


def _conditions(table: Table) -> list[str]:
    conditions = table.conditions
    if conditions is None:
        return ["no runs yet"]
    note = f" ({conditions.note})" if conditions.note else ""
    warning = f" ({conditions.warning})" if conditions.warning else ""
    protocol = f"protocol {conditions.protocol}{warning}"
    return [f"{conditions.side} split", protocol, f"recipe {conditions.recipe}{note}"]


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


def _runs(records: Iterable[Record]) -> str:
    statuses = Counter(record.status for record in records)
    failed = f" ({statuses['failed']} failed)" if statuses["failed"] else ""
    total = statuses.total()
    return f"{total} run{'' if total == 1 else 's'}{failed}"


def _legend(table: Table) -> list[str]:
    scores = [score for row in table.rows for score in row.scores]
    shown = [score for score in scores if score.complete]
    marks = [
        (
            any(score.gain is not None for score in shown),
            "Gain: mean seed-matched difference to student alone in points, above 0 is better",
        ),
        (_placed(table, "best"), "bold: best method"),
        (_placed(table, "second"), "underlined: second-best method"),
        (any(score.worse_than_student for score in shown), f"{WORSE} worse than student alone"),
        (any(score.stale for score in shown), f"{STALE} stale: the source changed since the run"),
    ]
    used = [text for holds, text in marks if holds]
    return ["; ".join(used)] if used else []


def _placed(table: Table, place: str) -> bool:
    return any(score.place == place for row in table.rows for score in row.scores)


def reasons(entries: Sequence[Entry]) -> list[str]:
    """Why rows are n/a; where, if not everywhere."""
    everywhere = {(entry.dataset, entry.pair) for entry in entries}
    found: dict[tuple[str, str], dict[tuple[str, str], None]] = {}
    for entry in entries:
        if entry.status == NOT_APPLICABLE:
            found.setdefault((entry.row, str(entry.reason)), {})[entry.dataset, entry.pair] = None
    rows: dict[str, list[str]] = {}
    for (row, reason), blocks in found.items():
        on = (
            "" if blocks.keys() == everywhere else f" on {', '.join(' '.join(filter(None, block)) for block in blocks)}"
        )
        rows.setdefault(reason, []).append(row + on)
    return [f"{NOT_APPLICABLE}, {'; '.join(named)}: {reason}" for reason, named in rows.items()]


def _notes(entries: Iterable[Entry]) -> list[str]:
    rows: dict[str, dict[str, None]] = {}
    for entry in entries:
        if entry.note:
            rows.setdefault(entry.note, {})[entry.row] = None
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

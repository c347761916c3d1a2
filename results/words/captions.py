"""The generated caption of a table: under which conditions its numbers hold."""

from collections import Counter
from collections.abc import Iterable, Sequence

from kdbench.results.entry import Asked, Entry, Freshness
from kdbench.results.metrics import LOWER_IS_BETTER, title
from kdbench.results.place import UNTUNED, RowRole
from kdbench.results.record import Record
from kdbench.results.sheet import Mark
from kdbench.results.tables.model import Average, Block, Score, Standing, Table
from kdbench.text import counted

NOT_APPLICABLE = "n/a"


def caption(
    entries: Sequence[Entry],
    table: Table,
    asked: Asked,
    version: str,
    *,
    metrics: Sequence[str] = (),
    reason: str | None = None,
) -> str:
    """One paragraph on what the table of these entries shows, and under which conditions.

    ``version`` is that of kdbench, ``metrics`` what is shown where it is more than the table's own, ``reason`` why
    nothing is shown to be better.
    """
    records = {entry.record.digest: entry.record for entry in entries if entry.record}
    parts = [
        _metrics(table, metrics or [table.metric]),
        *_conditions(table, asked),
        *_folds(table),
        _seeds(table, asked),
        *(searched(asked) or ["hyper-parameters: defaults where a row does not say otherwise, no search"]),
        _cells(records.values(), asked),
        f"kdbench {version}",
    ]
    cautions = [f"Warning: {each}" for each in asked.cautions]
    sentences = [
        "; ".join(parts),
        *cautions,
        *_legend(table, reason),
        *_same_people(entries),
        *_no_window(entries, table.metric),
    ]
    sentences += [*_unknown(entries, table), *reasons(entries), *_notes(entries), *_tuned(entries)]
    sentences += _mixtures(records.values())
    return " ".join(f"{sentence}." for sentence in sentences)


def capital(text: str) -> str:
    """A text as it begins a sentence: "macro-F1" gives "Macro-F1"."""
    return text[:1].upper() + text[1:]


def _metrics(table: Table, metrics: Sequence[str]) -> str:
    datasets = ", ".join(dict.fromkeys(block.dataset for block in table.blocks))
    named = [title(metric) + " (lower is better)" * (metric in LOWER_IS_BETTER) for metric in metrics]
    names = " and ".join(filter(None, [", ".join(named[:-1]), named[-1]]))
    pair = f", {table.blocks[0].pair}" if len(table.blocks) == 1 and table.blocks[0].pair else ""
    return f"{capital(names)} in percent on {datasets}{pair}"


def _conditions(table: Table, asked: Asked) -> list[str]:
    if table.side is None:
        return ["no runs yet"]
    return [f"{table.side} split", *as_asked(asked)]


def as_asked(asked: Asked) -> list[str]:
    """Protocol and recipe, with what is to be said of them."""
    note = f" ({asked.note})" if asked.note else ""
    warning = f" ({asked.warning})" if asked.warning else ""
    return [f"protocol {asked.protocol}{warning}", f"recipe {asked.recipe}{note}"]


def searched(asked: Asked) -> list[str]:
    """Where hyper-parameters are from, and the budget that every row had; nothing where they were not searched."""
    return [f"hyper-parameters: {asked.preset}"] if asked.preset else []


def _folds(table: Table) -> list[str]:
    counts = {block.dataset: count for block, count in zip(table.blocks, table.folds, strict=True)}
    if set(counts.values()) == {1}:
        return []
    how = "predictions pooled over" if table.pooled else "mean over"
    if len(set(counts.values())) == 1:
        return [f"{how} {table.folds[0]} folds"]
    return [f"{how} folds ({', '.join(f'{dataset}: {count}' for dataset, count in counts.items())})"]


def _seeds(table: Table, asked: Asked) -> str:
    if len(table.seeds) == 1:
        return f"seed {table.seeds[0]}, so no spread"
    added = ""
    if asked.max_seeds:
        reached = ", which was reached" if len(table.seeds) >= asked.max_seeds else ""
        added = (
            " (added, to all rows alike, until they are below 10 % of the variance of the mean of every gain in "
            f"macro-F1, at most {asked.max_seeds}{reached})"
        )
    return f"seeds {', '.join(map(str, table.seeds))}{added}; mean ± standard deviation over seeds (n - 1)"


def _cells(records: Iterable[Record], asked: Asked) -> str:
    statuses = Counter(record.status for record in records)
    failed = f" ({statuses['failed']} failed)" if statuses["failed"] else ""
    known = statuses.total()
    share = f"{known} of {asked.cells} cells" if asked.cells > known else counted(known, "cell")
    return f"{share} trained{failed}"


def _legend(table: Table, reason: str | None) -> list[str]:
    scores = [score for row in table.rows for score in row.scores if score.complete]
    gains: list[Score | Average] = [*scores, *(row.average for row in table.rows if row.average)]
    below = any(score.worse_than_student and score.shown != -1 for score in scores)
    marks = [
        (
            any(score.gain is not None for score in scores),
            "Gain: mean seed-matched difference to student alone in points, above 0 is better",
        ),
        (
            _stands(table, Standing.TIER),
            f"bold: not below student alone, nor shown worse than the {_extreme(table)} value{TESTED}",
        ),
        (_nothing(table, reason), f"no method is in bold: {reason}"),
        (_stands(table, Standing.BEST), f"bold: {_extreme(table)} value{_unshown(reason)}"),
        (_stands(table, Standing.SECOND), f"underlined: the next{_unshown(reason)}"),
        (any(score.shown == -1 for score in gains), f"{Mark.SHOWN_WORSE} shown worse than student alone"),
        (below, f"{Mark.WORSE} below student alone{', not shown' * _stands(table, Standing.TIER)}"),
        (_unproven(gains), f"{Mark.UNSHOWN} gain over student alone not shown"),
        (bool(table.untaught), f"{Mark.UNTAUGHT} teacher no better than student alone"),
        (any(score.stale for score in scores), f"{Mark.STALE} stale: the source changed since the run"),
    ]
    used = [text for holds, text in marks if holds]
    return ["; ".join(used)] if used else []


TESTED = (
    " at p = 0.05, over people (sign-flip test) and over people and seeds (quasi-t test), Holm's correction over all "
    "pairs of complete methods and student alone"
)


def _extreme(table: Table) -> str:
    return "lowest" if table.metric in LOWER_IS_BETTER else "highest"


def _nothing(table: Table, reason: str | None) -> bool:
    """Whether there is no mark that would give the reason why nothing is shown."""
    marked = any(_stands(table, each) for each in (Standing.TIER, Standing.BEST, Standing.SECOND))
    return reason is not None and bool(table.methods) and not marked


def _unshown(reason: str | None) -> str:
    return f", not shown to be better ({reason})" if reason else ""


def _unproven(gains: Iterable[Score | Average]) -> bool:
    return any(gain.standing is Standing.TIER and gain.shown == 0 and not _below(gain) for gain in gains)


def _below(gain: Score | Average) -> bool:
    return gain.gain is not None and gain.gain < 0


def _same_people(entries: Iterable[Entry]) -> list[str]:
    """Which datasets are of the same people, who count once in every test."""
    groups: dict[str, dict[str, None]] = {}
    for place in (entry.place for entry in entries):
        groups.setdefault(place.group, {})[place.dataset] = None
    return [
        f"{' and '.join(datasets)} are of the same people, who count once in every test"
        for datasets in groups.values()
        if len(datasets) > 1
    ]


def _no_window(entries: Iterable[Entry], metric: str) -> list[str]:
    """Classes of which a dataset has no window to be judged by, over all folds: they count 0, whoever is right."""
    if metric != "macro_f1":
        return []
    windows: dict[str, list[bool]] = {}
    for entry in entries:
        counts = entry.record.metrics.get("student", {}).get("confusion") if entry.record else None
        if counts:
            seen = windows.setdefault(entry.place.dataset, [False] * len(counts))
            windows[entry.place.dataset] = [a or any(row) for a, row in zip(seen, counts, strict=False)]
    empty = {dataset: (seen.count(False), len(seen)) for dataset, seen in windows.items()}
    return [
        f"{none} of {many} classes {'is' if none == 1 else 'are'} in no window judged on {dataset} and "
        f"count{'s' * (none == 1)} 0 in macro-F1"
        for dataset, (none, many) in empty.items()
        if none
    ]


def _stands(table: Table, standing: Standing) -> bool:
    """Whether anything stands so in a block or in the average."""
    scores: list[Score | Average] = [score for row in table.rows for score in row.scores]
    return any(score.standing is standing for score in [*scores, *(row.average for row in table.rows if row.average)])


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
    came = f"{counted(len(runs), 'run')} come{'s' if len(runs) == 1 else ''}"
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
    return _by_row((entry.place.note, entry.place.row) for entry in entries)


def _tuned(entries: Iterable[Entry]) -> list[str]:
    """Which rows have settings that a search found, and on what; nothing where no preset was asked for."""
    listed = list(entries)
    said = _by_row((entry.place.tuned, entry.place.row) for entry in listed)
    student = any(entry.place.tuned == UNTUNED for entry in listed if entry.place.role is RowRole.STUDENT)
    others = any(entry.place.tuned not in ("", UNTUNED) for entry in listed if entry.place.role is RowRole.METHOD)
    if student and others:
        said.append("Warning: methods are tuned and student alone, over which they gain, is not")
    return said


def _by_row(said: Iterable[tuple[str, str]]) -> list[str]:
    """What is said of rows, each thing once with all of whom it is said."""
    rows: dict[str, dict[str, None]] = {}
    for text, row in said:
        if text:
            rows.setdefault(text, {})[row] = None
    return [f"{', '.join(named)}: {text}" for text, named in rows.items()]


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

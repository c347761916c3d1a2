"""Defaults beside found settings: the same rows of two runs of one matrix, and what each gained from tuning."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kdbench.results.entry import Asked, Entry
from kdbench.results.metrics import LOWER_IS_BETTER, title
from kdbench.results.pages.cells import EMPTY, average_cell, p_cell, points_cell, score_cell
from kdbench.results.sheet import Cell, Column, Mark, Page, Sheet
from kdbench.results.statistics import mean
from kdbench.results.statistics.tests import holm
from kdbench.results.tables.differences import Difference, difference_of
from kdbench.results.tables.family import FEWEST_SEEDS, LEVEL, ONE_SEED
from kdbench.results.tables.model import Block, Row, Score, Table
from kdbench.results.tables.people import People, arranged, people_behind
from kdbench.results.tables.scores import tabulate
from kdbench.results.words.captions import capital, caption
from kdbench.results.words.costs import NOTHING
from kdbench.results.words.numbers import interval, points

Blocks = Sequence[Block]


@dataclass(frozen=True)
class Run:
    """One of the two runs.

    Args:
        entries: of its table.
        asked: what it was asked for.
    """

    entries: Sequence[Entry]
    asked: Asked


@dataclass(frozen=True)
class Pair:
    """A row with defaults and tuned, in one block or averaged over all.

    Args:
        label: of the row.
        kind: of the row.
        default: its score, and its gain over student alone.
        tuned: the same.
        by_seed: improvement from tuning at each seed that both have; above 0 is better, whatever the metric.
        wanted: how many seeds there should be.
        people: the same over people; None where nothing is known of them.
        adjusted: p of that, by Holm's correction over the rows beside it.
    """

    label: str
    kind: str
    default: tuple[Cell, float | None]
    tuned: tuple[Cell, float | None]
    by_seed: dict[int, float]
    wanted: int
    people: Difference | None
    adjusted: float | None = None


@dataclass(frozen=True)
class Group:
    """Rows that stand in one sheet: those of a block, or all of them averaged over every block."""

    dataset: str
    pair: str
    where: str
    pairs: list[Pair]


AVERAGE = "average"
"""What stands in place of a dataset and a pair where it is over all blocks."""


def tuning_page(default: Run, tuned: Run, metrics: Sequence[str], *, version: str) -> Page:
    """For each metric a sheet over all blocks and one for each; what is shown by the first; the captions of both runs.

    ``version`` is that of kdbench. Raises ``ValueError`` as ``tabulate`` does, without metrics, or where both runs have
    no block in common.
    """
    parts: list[Sheet | str] = []
    groups = [_groups(default, tuned, metric) for metric in metrics]
    for metric, of_metric in zip(metrics, groups, strict=True):
        for group in of_metric:
            name, lines = f"{capital(title(metric))}{group.where}", tuple(map(_line, group.pairs))
            parts.append(Sheet(tuple(_columns()), lines, name, _legend(lines)))
    first = metrics[0]
    parts += [_shown(first, groups[0]), _teacher(default, tuned)]
    for name, run in (("Defaults", default), ("Tuned", tuned)):
        parts.append(
            f"{name}: {caption(run.entries, tabulate(run.entries, first), run.asked, version, metrics=metrics)}"
        )
    return Page("kdbench: what tuning changed", tuple(parts))


def tuning_sheet(default: Run, tuned: Run, metrics: Sequence[str]) -> Sheet:
    """The same for programs, a line for each row in each sheet and metric. Raises ``ValueError`` as `tuning_page`."""
    columns = [*(Column(name, numeric=False) for name in ("dataset", "pair", "metric")), *_columns()]
    rows = [
        (Cell(group.dataset), Cell(group.pair), Cell(metric), *_line(pair))
        for metric in metrics
        for group in _groups(default, tuned, metric)
        for pair in group.pairs
    ]
    return Sheet(tuple(columns), tuple(rows))


def _columns() -> list[Column]:
    return [
        *(Column(name, numeric=False) for name in ("method", "kind")),
        *(Column("default", "default mean"), Column("gain", "default gain")),
        *(Column("tuned", "tuned mean"), Column("gain", "tuned gain")),
        *(Column("from tuning"), Column("95 % interval"), Column("p"), Column("adjusted p")),
    ]


def _line(pair: Pair) -> tuple[Cell, ...]:
    gained = mean(pair.by_seed.values()) if pair.by_seed else None
    few = f"{len(pair.by_seed)} of {pair.wanted} seeds" * (0 < len(pair.by_seed) < pair.wanted)
    people = pair.people
    return (
        *(Cell(pair.label), Cell(pair.kind)),
        *(pair.default[0], points_cell(pair.default[1]), pair.tuned[0], points_cell(pair.tuned[1])),
        Cell(gained, NOTHING if gained is None else points(gained), note=few),
        EMPTY if people is None else Cell(interval(people.interval)),
        *(p_cell(None if people is None else people.p), p_cell(pair.adjusted)),
    )


def _groups(default: Run, tuned: Run, metric: str) -> list[Group]:
    one, other = tabulate(default.entries, metric), tabulate(tuned.entries, metric)
    shared = [block for block in one.blocks if block in other.blocks]
    if not shared:
        raise ValueError("the run with defaults and the tuned one share no dataset with the same pair")
    rows = {row.label: row for row in other.rows}
    both = [(row, rows[row.label]) for row in one.rows if row.label in rows]
    people = people_behind(default.entries), people_behind(tuned.entries)
    found = []
    if len(shared) > 1 and one.blocks == other.blocks:
        pairs = [_pair(one, other, row, again, people, one.blocks) for row, again in both]
        found.append(Group(AVERAGE, AVERAGE, f", average over {len(shared)} blocks", _adjusted(pairs)))
    for block in shared:
        pairs = [_pair(one, other, row, again, people, (block,)) for row, again in both]
        found.append(Group(block.dataset, block.pair, f" on {block.dataset}, {block.pair}", _adjusted(pairs)))
    return found


def _pair(one: Table, other: Table, row: Row, again: Row, people: tuple[People, People], blocks: Blocks) -> Pair:
    """A row in one block, or in several."""
    scores = [(row.scores[one.blocks.index(block)], again.scores[other.blocks.index(block)]) for block in blocks]
    sign = -1 if one.metric in LOWER_IS_BETTER else 1
    differences = [
        {seed: sign * (after.values[seed] - value) for seed, value in before.values.items() if seed in after.values}
        for before, after in scores
    ]
    by_seed = {
        seed: mean(found[seed] for found in differences)
        for seed in differences[0]
        if all(seed in found for found in differences)
    }
    judged = None
    if all(score.complete for pair in scores for score in pair) and one.seeds == other.seeds:
        before, after = arranged(people[0], one, [row], blocks), arranged(people[1], other, [again], blocks)
        if not isinstance(before, str) and not isinstance(after, str) and before.people == after.people:
            judged = difference_of(after, before)
    default, tuned = _value(row, [score for score, _ in scores]), _value(again, [score for _, score in scores])
    return Pair(row.label, row.kind, default, tuned, by_seed, scores[0][0].wanted, judged)


def _value(row: Row, scores: Sequence[Score]) -> tuple[Cell, float | None]:
    """What a row has, and what of it is gain: in its only block, or the average."""
    if len(scores) == 1:
        return score_cell(scores[0]), scores[0].gain
    return average_cell(row), row.average.gain if row.average else None


def _adjusted(pairs: Sequence[Pair]) -> list[Pair]:
    """With the p-values corrected for each other."""
    adjusted = iter(holm([pair.people.p for pair in pairs if pair.people is not None]))
    return [pair if pair.people is None else replace(pair, adjusted=next(adjusted)) for pair in pairs]


def _legend(lines: Sequence[Sequence[Cell]]) -> str:
    marks = "; ↓ below student alone" if any(Mark.WORSE in cell.marks for line in lines for cell in line) else ""
    return (
        "In percent and points. Gain: over student alone, the default one for defaults and the tuned one for tuned. "
        "From tuning: mean seed-matched difference of tuned and default; 95 % interval and p: over people and seeds, "
        "of the mean over people, in which each counts the same, so the difference may lie off the middle; "
        f"adjusted p: by Holm's correction over these rows{marks}."
    )


def _shown(metric: str, groups: Sequence[Group]) -> str:
    """Which rows tuning changed, as far as people and seeds show it."""
    said = []
    for group in groups:
        where = group.where.removeprefix(", ").strip()
        judged = [(pair, pair.people, pair.adjusted) for pair in group.pairs if pair.people is not None]
        if not judged:
            said.append(f"{where}: cannot be judged")
            continue
        if any(len(people.seeds) < FEWEST_SEEDS for _, people, _ in judged):
            said.append(f"{where}: {ONE_SEED}")
            continue
        changed = [f"{pair.label} {points(people.mean)}" for pair, people, p in judged if p is not None and p <= LEVEL]
        said.append(f"{where}: {', '.join(changed) or 'no row'}")
    return (
        f"What tuning is shown to change ({title(metric)}, points by the mean over people; p at most {LEVEL:g} over "
        f"people and seeds, Holm's correction over the rows of a sheet): {'; '.join(said)}."
    )


def _teacher(default: Run, tuned: Run) -> str:
    """Whether the same teachers taught: if not, a gain from tuning is theirs as well."""
    before = {entry.place.name: entry.record.cell.get("teacher_cell") for entry in default.entries if entry.record}
    both = [
        (before[entry.place.name], entry.record.cell.get("teacher_cell"))
        for entry in tuned.entries
        if entry.record and entry.place.name in before
    ]
    if not both:
        return "Nothing of the one run can be held against the other yet."
    if any(one != other for one, other in both):
        return (
            "The teacher was tuned too, and it is the tuned one that teaches in the tuned run: what a method that is "
            "taught gains from tuning is its teacher's as well. Student alone has none."
        )
    return "The same teachers taught in both runs."

"""Defaults beside found settings: the same rows of two runs of one matrix, and what each gained from tuning."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdbench.results.entry import Asked, Entry
from kdbench.results.metrics import LOWER_IS_BETTER, title
from kdbench.results.pages.cells import score_cell
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.statistics import mean
from kdbench.results.statistics.tests import holm
from kdbench.results.tables.differences import Difference, difference_of
from kdbench.results.tables.family import FEWEST_SEEDS, LEVEL, ONE_SEED
from kdbench.results.tables.model import Block, Row, Score, Table
from kdbench.results.tables.people import panel
from kdbench.results.tables.scores import tabulate
from kdbench.results.words.captions import capital, caption
from kdbench.results.words.costs import NOTHING
from kdbench.results.words.numbers import interval, p_value, points


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
    """A row in a block, with defaults and tuned.

    Args:
        row: of the table with defaults.
        block: where.
        default: its score.
        tuned: its score.
        by_seed: improvement from tuning at each seed that both have; above 0 is better, whatever the metric.
        people: the same over people; None where nothing is known of them.
    """

    row: Row
    block: Block
    default: Score
    tuned: Score
    by_seed: dict[int, float]
    people: Difference | None


def tuning_page(default: Run, tuned: Run, metrics: Sequence[str], *, version: str) -> Page:
    """A sheet for each metric and block, what is shown by the first metric, and the captions of both runs.

    ``version`` is that of kdbench. Raises ``ValueError`` as ``tabulate`` does, without metrics, or where both runs have
    no block in common.
    """
    parts: list[Sheet | str] = []
    for metric in metrics:
        for block, found in _blocks(default, tuned, metric):
            name = f"{capital(title(metric))} on {block.dataset}, {block.pair}"
            parts.append(Sheet(tuple(_columns()), tuple(map(_line, found)), name, _legend(found)))
    first = metrics[0]
    parts += [_shown(first, _blocks(default, tuned, first)), _teacher(default, tuned)]
    for name, run in (("Defaults", default), ("Tuned", tuned)):
        parts.append(
            f"{name}: {caption(run.entries, tabulate(run.entries, first), run.asked, version, metrics=metrics)}"
        )
    return Page("kdbench: what tuning changed", tuple(parts))


def tuning_sheet(default: Run, tuned: Run, metrics: Sequence[str]) -> Sheet:
    """The same for programs, a line for each row in each block and metric. Raises ``ValueError`` as `tuning_page`."""
    columns = [*(Column(name, numeric=False) for name in ("dataset", "pair", "metric")), *_columns()]
    rows = [
        (Cell(block.dataset), Cell(block.pair), Cell(metric), *_line(pair))
        for metric in metrics
        for block, found in _blocks(default, tuned, metric)
        for pair in found
    ]
    return Sheet(tuple(columns), tuple(rows))


def _columns() -> list[Column]:
    return [
        *(Column(name, numeric=False) for name in ("method", "kind")),
        *(Column("default", "default mean"), Column("gain", "default gain")),
        *(Column("tuned", "tuned mean"), Column("gain", "tuned gain")),
        *(Column("from tuning"), Column("95 % interval"), Column("p")),
    ]


def _line(pair: Pair) -> tuple[Cell, ...]:
    gained = mean(pair.by_seed.values()) if pair.by_seed else None
    few = f"{len(pair.by_seed)} of {pair.default.wanted} seeds" * (0 < len(pair.by_seed) < pair.default.wanted)
    people = pair.people
    return (
        *(Cell(pair.row.label), Cell(pair.row.kind)),
        *(score_cell(pair.default), _points(pair.default.gain), score_cell(pair.tuned), _points(pair.tuned.gain)),
        Cell(gained, NOTHING if gained is None else points(gained), note=few),
        Cell(None, NOTHING) if people is None else Cell(interval(people.interval)),
        Cell(None, NOTHING) if people is None else Cell(people.p, p_value(people.p).removeprefix("= ")),
    )


def _points(gain: float | None) -> Cell:
    return Cell(gain, NOTHING if gain is None else points(gain))


def _blocks(default: Run, tuned: Run, metric: str) -> list[tuple[Block, list[Pair]]]:
    one, other = tabulate(default.entries, metric), tabulate(tuned.entries, metric)
    shared = [block for block in one.blocks if block in other.blocks]
    if not shared:
        raise ValueError("the run with defaults and the tuned one share no dataset with the same pair")
    rows = {row.label: row for row in other.rows}
    return [
        (
            block,
            [_pair(default, tuned, one, other, row, rows[row.label], block) for row in one.rows if row.label in rows],
        )
        for block in shared
    ]


def _pair(default: Run, tuned: Run, one: Table, other: Table, row: Row, again: Row, block: Block) -> Pair:
    before, after = row.scores[one.blocks.index(block)], again.scores[other.blocks.index(block)]
    sign = -1 if one.metric in LOWER_IS_BETTER else 1
    by_seed = {
        seed: sign * (after.values[seed] - value) for seed, value in before.values.items() if seed in after.values
    }
    people = None
    if before.complete and after.complete and one.seeds == other.seeds:
        panels = panel(tuned.entries, other, [again], [block]), panel(default.entries, one, [row], [block])
        if not isinstance(panels[0], str) and not isinstance(panels[1], str) and panels[0].people == panels[1].people:
            people = difference_of(panels[0], panels[1])
    return Pair(row, block, before, after, by_seed, people)


def _legend(found: Sequence[Pair]) -> str:
    marks = "; ↓ below student alone" if any(s.worse_than_student for p in found for s in (p.default, p.tuned)) else ""
    return (
        "In percent and points. Gain: over student alone, the default one for defaults and the tuned one for tuned. "
        "From tuning: mean seed-matched difference of tuned and default, its 95 % interval, p over people and seeds, "
        f"not corrected for the other rows{marks}."
    )


def _shown(metric: str, blocks: Sequence[tuple[Block, list[Pair]]]) -> str:
    """Which rows tuning changed, as far as people and seeds show it."""
    said = []
    for block, found in blocks:
        judged = [(pair, pair.people) for pair in found if pair.people is not None]
        if not judged:
            said.append(f"on {block.dataset}, {block.pair}: cannot be judged")
            continue
        if any(len(people.seeds) < FEWEST_SEEDS for _, people in judged):
            said.append(f"on {block.dataset}, {block.pair}: {ONE_SEED}")
            continue
        adjusted = holm([people.p for _, people in judged])
        changed = [
            f"{pair.row.label} {points(people.mean)}"
            for (pair, people), p in zip(judged, adjusted, strict=True)
            if float(p) <= LEVEL
        ]
        said.append(f"on {block.dataset}, {block.pair}: {', '.join(changed) or 'no row'}")
    return (
        f"What tuning is shown to change ({title(metric)}, points; p at most {LEVEL:g} over people and seeds, Holm's "
        f"correction over the rows of a block): {'; '.join(said)}."
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

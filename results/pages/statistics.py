"""What is behind a tier: every pair, what each method gains, on whom, and how sure that is."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from kdbench.results.entry import Asked, Entry
from kdbench.results.metrics import title
from kdbench.results.pages.cells import EMPTY, p_cell, points_cell, span_cell
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.statistics.intervals import Interval, score_interval
from kdbench.results.statistics.ranks import WITNESSES, friedman, tally
from kdbench.results.tables.differences import Difference
from kdbench.results.tables.family import Family, Judged, families_of, family, judge_families
from kdbench.results.tables.people import People, people_behind
from kdbench.results.tables.scores import tabulate
from kdbench.results.words.answers import EQUIVALENT, ROUNDING, answer
from kdbench.results.words.captions import capital, searched
from kdbench.results.words.costs import NOTHING
from kdbench.results.words.numbers import p_value
from kdbench.text import counted

FEW = 15
"""Below so many people the interval of a score is too narrow."""


def statistics_page(
    entries: Sequence[Entry], metric: str, *, asked: Asked, version: str, equivalent: float = EQUIVALENT
) -> Page:
    """All that the answer rests on, for one metric.

    ``version`` is that of kdbench, ``equivalent`` the difference that is practically none.

    Raises:
        ValueError: as `tabulate` does.
    """
    table, people = tabulate(entries, metric), people_behind(entries)
    judged = judge_families(people, table, families_of(people, table))
    parts: list[Sheet | str] = [answer(judged, asked, equivalent=equivalent)]
    if judged.overall is None:
        parts.append(f"No statistics over people: {judged.reason}.")
    else:
        found = judged.overall
        parts += [
            _methods(found, equivalent),
            _pairs(found, equivalent),
            *_parts(people, judged, equivalent),
            _ranks_said(found),
            _legend(found, equivalent),
        ]
    made = "; ".join([*map(capital, searched(asked)), f"kdbench {version}"])
    return Page(f"kdbench: statistics of {title(metric)}", (*parts, f"{made}."))


MEAN = (Column("method", numeric=False), Column("people's mean", "mean"), Column("95 %", "mean_interval"))
GAIN = (Column("gain"), Column("95 %", "gain_interval"), Column("adjusted p", "p_adjusted"))
RERUN = Column("p, seeds", "p_seeds")
NOISE = (Column("seen from", "detectable"), Column("seeds' share", "seeds_share"))
RANK = (Column("average rank", "rank"), Column("95 %", "rank_interval"))
HARM = (Column("harm, seeds", "harm_seeds"), Column("harm, people", "harm_people"))


def _methods(found: Family, equivalent: float) -> Sheet:
    """A line for each complete row over all blocks: its score on people, its gain and its place."""
    places, spans = found.places, found.place_intervals
    lines = []
    for number, (mean, gain, noise, harm) in enumerate(_lines(found, equivalent)):
        over = _gain(found, found.rows[number].label)
        rank = Cell(float(places[number]), f"{places[number]:.1f}")
        span = Cell(None, f"{spans[number].low:.1f} to {spans[number].high:.1f}")
        lines.append((*mean, *gain, p_cell(over.p_seeds if over else None), *noise, rank, span, *harm))
    return Sheet((*MEAN, *GAIN, RERUN, *NOISE, *RANK, *HARM), tuple(lines), "Methods")


def _parts(people: People, judged: Judged, equivalent: float) -> Iterator[Sheet]:
    """The same of each pair of networks over its datasets and of each block, where there are several.

    p is corrected over the pairs of methods of that part alone. The test over seeds, which decides nothing and takes as
    long as all else together, is left out.
    """
    blocks = judged.table.blocks
    pairs = list(dict.fromkeys(block.pair for block in blocks))
    if len(pairs) > 1:
        for pair in pairs:
            own = [block for block in blocks if block.pair == pair]
            found = family(people, judged.table, own) if len(own) > 1 else ""
            if not isinstance(found, str):
                yield _part(found, f"Methods from {pair}, average over {len(own)} datasets", equivalent)
    if len(blocks) > 1:
        for block, of_block in zip(blocks, judged.families, strict=True):
            if of_block is not None:
                yield _part(of_block, f"Methods on {block.dataset}, {block.pair}", equivalent)


def _part(found: Family, name: str, equivalent: float) -> Sheet:
    people = counted(len(found.panel.people), "person", "people")
    lines = tuple((*mean, *gain, *noise, *harm) for mean, gain, noise, harm in _lines(found, equivalent))
    return Sheet((*MEAN, *GAIN, *NOISE, *HARM), lines, f"{name} ({people})")


def _lines(found: Family, equivalent: float) -> Iterator[tuple[list[Cell], ...]]:
    """Of each complete row: its score on people, its gain over student alone, the noise in that, and its harm."""
    for number, row in enumerate(found.rows):
        scores = found.panel.parts[number] * len(found.panel.people)
        over = _drawn(score_interval(scores, found.panel.groups)) if len(scores) > 1 else EMPTY
        mean = [Cell(row.label), _percent(float(scores.mean())), over]
        gain = _gain(found, row.label)
        if gain is None:
            yield mean, [EMPTY] * len(GAIN), [EMPTY] * len(NOISE), [EMPTY] * len(HARM)
            continue
        assert found.student is not None
        split = gain.split
        share = EMPTY if split is None else Cell(split.share, f"{100 * split.share:.0f} %")
        shown = [points_cell(gain.mean), span_cell(gain.interval), p_cell(found.p(row.label, found.student.label))]
        yield mean, shown, [_seen(gain.detectable), share], [*map(_share, found.harm(row.label, equivalent))]


def _gain(found: Family, label: str) -> Difference | None:
    """Over student alone; None of itself, and where there is none."""
    return None if found.student is None or label == found.student.label else found.gain(label)


def _pairs(found: Family, equivalent: float) -> Sheet:
    """A line for each pair of complete rows."""
    columns = [
        *(Column("first", numeric=False), Column("second", numeric=False), Column("difference")),
        *(Column("95 %", "interval"), Column("p"), Column("adjusted p", "p_adjusted")),
        *(Column("p, seeds", "p_seeds"), Column("seen from", "detectable"), Column("win/tie/lose", "blocks")),
        Column("so", "verdict", numeric=False),
    ]
    means = found.panel.block_means
    lines = []
    for (a, b), each in zip(combinations(range(len(found.rows)), 2), found.pairs, strict=True):
        first, second = found.rows[a].label, found.rows[b].label
        blocks = tally([float(value) for value in means[a] - means[b]], ROUNDING)
        lines.append(
            (
                *(Cell(first), Cell(second), points_cell(each.mean), span_cell(each.interval), p_cell(each.p)),
                *(p_cell(found.p(first, second)), p_cell(each.p_seeds), _seen(each.detectable)),
                Cell("/".join(map(str, blocks))),
                Cell(_verdict(found, first, second, each, equivalent)),
            )
        )
    return Sheet(tuple(columns), tuple(lines), "All pairs")


def _verdict(found: Family, first: str, second: str, each: Difference, equivalent: float) -> str:
    shown = found.shown(first, second)
    words = [{1: f"{first} better", -1: f"{second} better", 0: ""}[shown]]
    words.append("practically equal" if each.interval.within(equivalent) else "")
    return ", ".join(filter(None, words)) or "not told apart"


def _ranks_said(found: Family) -> str:
    """Friedman's test over witnesses, or why there is none."""
    panel = found.panel
    if panel.witnesses < WITNESSES:
        return (
            f"No test over ranks and no critical-difference diagram: {counted(panel.witnesses, 'group')} of people, "
            f"{WITNESSES} are wanted."
        )
    groups = list(dict.fromkeys(panel.groups))
    people = np.array(panel.groups)
    there = ~np.isnan(panel.by_person[0])  # (B, n)
    of = [people[row][0] for row in there]
    means = panel.block_means
    witnesses = [means[:, [each == group for each in of]].mean(axis=1) for group in groups]
    p = friedman(np.stack(witnesses, axis=1).round(12))
    return f"Friedman's test over {len(groups)} groups of people: p {p_value(p)}."


def _legend(found: Family, equivalent: float) -> str:
    people, seeds = counted(len(found.panel.people), "person", "people"), counted(len(found.panel.seeds), "seed")
    return (
        f"Over {people} in {counted(found.panel.witnesses, 'group')} and {seeds}; each person counts the same within a "
        f"block, each block the same. Interval of a mean: people of each group drawn again, too narrow below {FEW}; of "
        "a difference: all that either test does not refuse, of this one alone and not corrected for the others. p: "
        "the larger of the sign-flip test over people and the quasi-t test over people and seeds; adjusted p: Holm's "
        "correction over all pairs, by which alone something is called better; of a part, over the pairs of that part "
        "and not those of others; p, seeds: the sign-flip test over seeds, which takes these people for all. Seen "
        "from: the true gain in points that one uncorrected test would find in four of five cases. Seeds' share: of "
        "the variance of the gain. Harm: share of (block, seed) and of (block, person) that lose more than "
        f"{100 * equivalent:g} points against student alone. Rank: 1 is best; its interval by drawing people again."
    )


def _percent(value: float) -> Cell:
    return Cell(value, f"{100 * value:.1f}")


def _seen(value: float | None) -> Cell:
    return Cell(value, NOTHING if value is None else f"{100 * value:.1f}")


def _share(value: float) -> Cell:
    return Cell(value, f"{100 * value:.0f} %")


def _drawn(found: Interval) -> Cell:
    """An interval of a score, in percent."""
    return Cell(None, f"{100 * found.low:.1f} to {100 * found.high:.1f}")

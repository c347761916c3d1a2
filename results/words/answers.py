"""What a table answers, in one honest line."""

from collections.abc import Sequence
from itertools import combinations

from kdbench.results.entry import Asked
from kdbench.results.metrics import LOWER_IS_BETTER, title
from kdbench.results.place import RowRole
from kdbench.results.statistics import mean
from kdbench.results.statistics.tests import sign_flip, smallest_p
from kdbench.results.statistics.variance import ENOUGH
from kdbench.results.tables.differences import Difference
from kdbench.results.tables.family import FEWEST_SEEDS, Family, Judged
from kdbench.results.tables.model import Row, Table
from kdbench.results.words.numbers import interval, listed, p_value, points
from kdbench.text import counted

ROUNDING = 1e-12
"""Metrics are fractions: margins within this of zero are rounding."""
EQUIVALENT = 0.005
"""Differences inside this are practically none."""


def answer(judged: Judged, asked: Asked, *, equivalent: float = EQUIVALENT) -> str:
    """One line: the methods that are not shown worse than the best, what they gain, and how sure that is.

    Nothing is called better unless tests over people and seeds, adjusted over all pairs of complete methods and student
    alone, show it. Where there is no such test the line says why, calls no method best, and tells what was seen over
    seeds. Says so where methods are left out and where there is no answer. ``equivalent`` is what is practically none.
    """
    table, student = judged.table, judged.table.student
    if student is None:
        return "No answer: the table has no row of student alone to compare with."
    if student.average is None:
        gaps = _gaps(table, student)
        return f"No answer: student alone is incomplete ({gaps}), so no method can be compared with it."
    complete = [row for row in table.methods if row.average]
    if not complete:
        gaps = "; ".join(f"{row.label}: {_gaps(table, row)}" for row in table.methods) or "the table has none"
        return f"No answer: no method is complete ({gaps})."
    if judged.overall is None or judged.reason:
        parts, rests_on = _unjudged(table, complete, student, judged.reason or "")
        parts += _seen(judged.overall, rests_on[1].label)
    else:
        parts, rests_on = _judged(judged, judged.overall, equivalent), [student, *complete]
    parts += [*_teacher(table), *_beyond(table, complete)]
    left_out = len(table.methods) - len(complete)
    if left_out:
        parts.append(f"{counted(left_out, 'incomplete method')} left out")
    if any(score.stale for row in rests_on for score in row.scores):
        parts.append("some of these results are stale")
    return f"Answer ({_scope(table, asked)}): {'; '.join(parts)}."


def _judged(judged: Judged, found: Family, equivalent: float) -> list[str]:
    """Where people allow a tier."""
    student = found.student
    assert student is not None  # it is complete, so it is in the family
    tier = judged.tier
    gain = found.pooled(tier, student.label)
    who = tier[0] if len(tier) == 1 else "it" if len(tier) == len(found.rows) - 1 else "the tier"
    who = "their mean" if who == "it" else who
    people = counted(len(found.panel.people), "person", "people")
    seeds = counted(len(gain.seeds), "seed")
    over = f"mean over people, 95 % interval {interval(gain.interval)} over {people} and {seeds}"
    said = f"{who} {_moves(gain.mean)} ({over})"
    if gain.interval.within(equivalent):
        said += f", practically nothing (within ±{100 * equivalent:g})"
    return [
        _standing(found, tier, equivalent),
        f"{said}, {_shown_gains(found, tier, student.label)}",
        _rerun(gain, who),
        *_sight(gain, people, len(found.panel.seeds)),
    ]


def _moves(gain: float) -> str:
    size = points(gain).lstrip("+-")
    return (
        f"loses {size} points against student alone" if gain < -ROUNDING else f"gains {size} points over student alone"
    )


def _standing(found: Family, tier: Sequence[str], equivalent: float) -> str:
    """Which methods are in the tier, and how the others are known to be worse."""
    methods = [row.label for row in found.rows if row is not found.student]
    rest = [label for label in methods if label not in tier]
    if len(methods) == 1:
        return f"{tier[0]} is the only complete method"
    if len(tier) == 1:
        surest = max(found.p(tier[0], label) for label in rest)
        others = f"each of the other {len(rest)} methods" if len(rest) > 1 else rest[0]
        most = " at most" if len(rest) > 1 else ""
        beaten = f"shown better than {others} (adjusted p {p_value(surest)}{most})"
        if found.student and found.shown(tier[0], found.student.label) > 0:
            return f"{tier[0]} is best, {beaten}"
        return f"{tier[0]} is {beaten}, and not than student alone"
    alike = all(found.difference(a, b).interval.within(equivalent) for a, b in combinations(tier, 2))
    what = f"practically equal (within ±{100 * equivalent:g} points)" if alike else "not told apart"
    if not rest:
        return f"no method is shown better than another: {listed(tier)} are {what}"
    top = f"{len(tier)} of {len(methods)} methods are in the top tier, {what}: {listed(tier)}"
    return f"{top}; shown worse: {listed(rest)}"


def _shown_gains(found: Family, tier: Sequence[str], student: str) -> str:
    """Whose gain is shown, by p-values adjusted over all pairs."""
    above = [label for label in tier if found.shown(label, student) > 0]
    below = [label for label in tier if found.shown(label, student) < 0]
    parts = []
    if len(tier) == 1:
        moved = "loss" if found.difference(tier[0], student).mean < -ROUNDING else "gain"
        words = {1: "shown to be a gain", 0: f"not shown to be a {moved}", -1: "shown to be a loss"}
        return f"{words[found.shown(tier[0], student)]} (adjusted p {p_value(found.p(tier[0], student))})"
    if above:
        who = "each of them" if len(above) == len(tier) else listed(above)
        surest = max(found.p(label, student) for label in above)
        parts.append(f"shown for {who} (adjusted p {p_value(surest)}{' at most' * (len(above) > 1)})")
    else:
        parts.append("shown for none of them")
    if below:
        parts.append(f"{listed(below)} shown worse than student alone")
    return ", ".join(parts)


def _rerun(gain: Difference, who: str) -> str:
    won = sum(value > ROUNDING for value in gain.seeds)
    n = len(gain.seeds)
    return f"at single seeds {who} is above student alone in {won} of {n}"


def _sight(gain: Difference, people: str, seeds: int) -> list[str]:
    """What could have been seen, and what would show more."""
    if gain.split is not None and not gain.split.error:
        return ["nothing varied, over people or over seeds, so nothing is known of others"]
    parts = []
    if gain.detectable is not None:
        parts.append(f"with these {people} a true gain below {100 * gain.detectable:.1f} points is likely to be missed")
    if gain.split is not None:
        share, wanted = gain.split.share, gain.split.wanted(seeds)
        if share <= ENOUGH:
            more = "more people would make it surer, more seeds hardly"
        elif wanted < 5 * seeds:
            more = f"more seeds would make it surer, up to about {wanted:.0f}, then more people"
        else:
            more = "more seeds would make it surer"
        parts.append(f"{more} (seeds are {100 * share:.0f} % of the variance of that gain)")
    return parts


def _unjudged(table: Table, complete: Sequence[Row], student: Row, reason: str) -> tuple[list[str], list[Row]]:
    """Where people allow no tier: what was seen, with what seeds tell; and the rows that this rests on."""
    ranked = sorted(complete, key=lambda row: _value(row), reverse=table.metric not in LOWER_IS_BETTER)  # ties: by row
    best, others = ranked[0], ranked[1:]
    margins = _margins(table, best, student)
    gain = mean(margins)
    tied = [row.label for row in others if _value(row) == _value(best)]
    highest = "lowest" if table.metric in LOWER_IS_BETTER else "highest"
    if gain > ROUNDING:
        first = f"{best.label} has the {highest} value, {points(gain)} points over student alone{_sureness(margins)}"
    else:
        by = f"{points(gain)} points against it" if gain < -ROUNDING else "level with it"
        first = f"no method beats student alone; {best.label}, the {highest}, is {by}{_sureness(margins)}"
    second = ", the only complete method"
    if tied:
        second = f", tied with {listed(tied)}"
    elif others:
        ahead = _margins(table, best, others[0])
        second = f" and {points(mean(ahead))} points over the next, {others[0].label}{_sureness(ahead)}"
    parts = [first + second]
    if len(table.seeds) > 1:
        parts.append(
            f"with {len(table.seeds)} seeds no test over seeds can go below p {p_value(smallest_p(len(table.seeds)))}"
        )
    parts.append(f"{reason}, so no method is called better than another")
    return parts, [student, best, *others[:1]]


def _seen(found: Family | None, label: str) -> list[str]:
    """What people say of a row all the same, where they are known: how much, how sure, and what would show more."""
    gain = None if found is None else found.gain(label)
    if found is None or gain is None or len(found.panel.seeds) < FEWEST_SEEDS:
        return []
    people, seeds = counted(len(found.panel.people), "person", "people"), len(gain.seeds)
    over = f"{interval(gain.interval)} over {people} and {counted(seeds, 'seed')}"
    said = f"{label} {_moves(gain.mean)} by the mean over people (95 % interval {over})"
    return [said, *_sight(gain, people, seeds)]


def _teacher(table: Table) -> list[str]:
    """The gate: whether there was anything to learn from the teacher."""
    if not table.untaught:
        known = any(row.role is RowRole.TEACHER and row.average for row in table.rows)
        return (
            ["by its mean the teacher is better than student alone" + " in every block" * (len(table.blocks) > 1)]
            if known
            else []
        )
    where = listed([f"{block.dataset} {block.pair}" for block in table.untaught])
    everywhere = len(table.untaught) == len(table.blocks)
    return ["the teacher is no better than student alone" + ("" if everywhere else f" on {where}")]


def _beyond(table: Table, complete: Sequence[Row]) -> list[str]:
    """References that are no network and have a value that no complete method has: seen, and in no test."""
    sign = -1 if table.metric in LOWER_IS_BETTER else 1
    best = max(complete, key=lambda row: sign * _value(row))
    rows = [row for row in table.rows if row.role is RowRole.REFERENCE and row.average]
    return [
        f"{row.label}, a reference that is no network, is {points(ahead)} points from {best.label}, above every method"
        for row in rows
        if (ahead := sign * (_value(row) - _value(best))) > ROUNDING
    ]


def _value(row: Row) -> float:
    assert row.average is not None  # only complete rows come here
    return row.average.mean


def _scope(table: Table, asked: Asked) -> str:
    scope = title(table.metric)
    if table.metric in LOWER_IS_BETTER:
        scope += ", lower is better, + means lower"
    if len(table.blocks) > 1:
        scope += f", average over {len(table.blocks)} blocks"
    return ", ".join(filter(None, [scope, asked.note, asked.warning]))


def _gaps(table: Table, row: Row) -> str:
    return "; ".join(
        f"{block.dataset}, {block.pair}: {score.state}"
        for block, score in zip(table.blocks, row.scores, strict=True)
        if score.state
    )


def _margins(table: Table, row: Row, other: Row) -> list[float]:
    """Improvement of one complete row over another by seed, averaged over blocks."""
    sign = -1 if table.metric in LOWER_IS_BETTER else 1
    pairs = list(zip(row.scores, other.scores, strict=True))
    return [sign * mean([a.values[seed] - b.values[seed] for a, b in pairs]) for seed in table.seeds]


def _sureness(margins: Sequence[float]) -> str:
    n = len(margins)
    if n == 1:
        return ""
    return f" ({sum(margin > ROUNDING for margin in margins)} of {n} seeds, p {p_value(sign_flip(margins))})"

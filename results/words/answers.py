"""What a table answers, in one honest line."""

from collections.abc import Sequence

from kdbench.results.entry import Asked
from kdbench.results.metrics import LOWER_IS_BETTER, title
from kdbench.results.statistics import EXACT_UP_TO, mean, sign_flip, smallest_p
from kdbench.results.tables.model import Row, Table

ROUNDING = 1e-12
"""Metrics are fractions: margins within this of zero are rounding."""


def answer(table: Table, asked: Asked) -> str:
    """One line: the best method, its margins over student alone and the runner-up, and how sure that is.

    Margins are seed-matched, averaged over blocks, in points (hundredths); certainty is an exact sign-flip test over
    seeds. Only methods that are complete in every block compete; says so where others are left out, where the best does
    not beat student alone, and where there is no answer.
    """
    student = table.student
    if student is None:
        return "No answer: the table has no row of student alone to compare with."
    if student.average is None:
        gaps = _gaps(table, student)
        return f"No answer: student alone is incomplete ({gaps}), so no method can be compared with it."
    complete = [(row, row.average.mean) for row in table.methods if row.average]
    if not complete:
        gaps = "; ".join(f"{row.label}: {_gaps(table, row)}" for row in table.methods) or "the table has none"
        return f"No answer: no method is complete ({gaps})."
    complete.sort(key=lambda pair: pair[1], reverse=table.metric not in LOWER_IS_BETTER)  # stable: ties in table order
    best, top = complete[0]
    others = [row for row, _ in complete[1:]]
    tied = [row.label for row, score in complete[1:] if score == top]
    margins = _margins(table, best, student)
    gain = mean(margins)
    if gain > ROUNDING:
        first = f"{best.label} is best, {_points(gain)} over student alone{_sureness(margins)}"
    else:
        by = f"{_points(gain)} against it" if gain < -ROUNDING else "level with it"
        first = f"no method beats student alone; the best, {best.label}, is {by}{_sureness(margins)}"
    second = ", the only complete method"
    if tied:
        second = f", tied with {', '.join(tied)}"
    elif others:
        ahead = _margins(table, best, others[0])
        second = f" and {_points(mean(ahead))} over the runner-up {others[0].label}{_sureness(ahead)}"
    parts = [first + second, *_caveats(table, len(complete))]
    if any(score.stale for row in [student, best, *others[:1]] for score in row.scores):
        parts.append("some of these results are stale")
    return f"Answer ({_scope(table, asked)}): {'; '.join(parts)}."


def _caveats(table: Table, competing: int) -> list[str]:
    n = len(table.seeds)
    caveats = []
    if n == 1:
        caveats.append("one seed supports no statement on certainty")
    else:
        test = "an exact two-sided" if n <= EXACT_UP_TO else "a two-sided, sampled"
        caveats.append(f"with {n} seeds {test} sign-flip test cannot go below p = {smallest_p(n):.2g}")
        if competing > 1:
            caveats.append(f"p is not corrected for picking the best of {competing} methods on the same seeds")
    left_out = len(table.methods) - competing
    if left_out:
        caveats.append(f"{left_out} incomplete method{'s' if left_out > 1 else ''} left out")
    return caveats


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


def _points(margin: float) -> str:
    return f"{100 * margin:+.1f} points"


def _sureness(margins: Sequence[float]) -> str:
    n = len(margins)
    if n == 1:
        return ""
    return f" (won {sum(margin > ROUNDING for margin in margins)} of {n} seeds, p = {sign_flip(margins):.2g})"

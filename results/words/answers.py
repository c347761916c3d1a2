"""What a table answers, in one honest line."""

from collections.abc import Sequence

from kdbench.results.entry import Asked
from kdbench.results.metrics import LOWER_IS_BETTER, title
from kdbench.results.statistics import EXACT_UP_TO, mean, sign_flip, smallest_p
from kdbench.results.tables.model import ROUNDING, Row, Table
from kdbench.results.words.numbers import certainty, points, upwards

SHOWN = 0.05
"""The p-value from which on one row is said to be better than another."""


def answer(table: Table, asked: Asked) -> str:
    """One line: the method in front, its margins over student alone and the runner-up, and how sure that is.

    It is called best only where it is shown to be better than both; else it is not told apart from the runner-up, and
    with one seed no winner is named. Margins are seed-matched, averaged over blocks, in points (hundredths); certainty
    is an exact sign-flip test over seeds. Only methods that are complete in every block compete; says so where others
    are left out, where no method beats student alone, and where there is no answer.
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
    front, top = complete[0]
    others = [row for row, _ in complete[1:]]
    tied = [row.label for row, score in complete[1:] if score == top]
    parts = [_comparison(table, student, front, others, tied), *_caveats(table, len(complete))]
    if any(score.stale for row in [student, front, *others[:1]] for score in row.scores):
        parts.append("some of these results are stale")
    return f"Answer ({_scope(table, asked)}): {'; '.join(parts)}."


def _comparison(table: Table, student: Row, front: Row, others: Sequence[Row], tied: Sequence[str]) -> str:
    """The row in front against student alone and against the runner-up."""
    margins = _margins(table, front, student)
    ahead = _margins(table, front, others[0]) if others else []
    gain, here = mean(margins), " here" * (len(margins) == 1)
    place = "lowest" if table.metric in LOWER_IS_BETTER else "highest"
    over = f"{_points(gain)} over student alone{_sureness(margins)}"
    second = _second(others[0], ahead, tied) if others else ""
    if gain <= ROUNDING:
        by = f"{_points(gain)} against it" if gain < -ROUNDING else "level with it"
        who = f"the {place}, {front.label}," if others else f"{front.label}, the only complete method,"
        return f"no method beats student alone{here}; {who} is {by}{_sureness(margins)}{second}"
    if not others:
        return f"{front.label}, the only complete method, is {over}"
    best = not tied and _shown(margins) and _shown(ahead)
    return f"{front.label} is {'best' if best else place + here}, {over}{second}"


def _second(runner_up: Row, ahead: Sequence[float], tied: Sequence[str]) -> str:
    """What the margins over the runner-up allow to say."""
    if tied:
        return f", tied with {', '.join(tied)}"
    by = _points(mean(ahead))
    if len(ahead) == 1 or _shown(ahead):
        return f" and {by} over the runner-up {runner_up.label}{_sureness(ahead)}"
    return f", not told apart from the runner-up {runner_up.label}: {by}{_sureness(ahead)}"


def _shown(margins: Sequence[float]) -> bool:
    """Whether differences that are above 0 on average are so beyond doubt."""
    return mean(margins) > ROUNDING and sign_flip(margins) <= SHOWN


def _caveats(table: Table, competing: int) -> list[str]:
    n = len(table.seeds)
    caveats = []
    if n == 1:
        caveats.append("one seed supports no statement")
    else:
        test = "an exact two-sided" if n <= EXACT_UP_TO else "a two-sided, sampled"
        caveats.append(f"with {n} seeds {test} sign-flip test cannot go below p = {upwards(smallest_p(n))}")
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
    return f"{points(margin)} points"


def _sureness(margins: Sequence[float]) -> str:
    n = len(margins)
    if n == 1:
        return ""
    return f" (won {sum(margin > ROUNDING for margin in margins)} of {n} seeds, {certainty(sign_flip(margins))})"

"""A score, a gain and what is missing, as cells of a sheet."""

from kdbench.results.place import RowRole
from kdbench.results.sheet import Cell, Column, Mark
from kdbench.results.statistics.intervals import Interval
from kdbench.results.tables.family import Family
from kdbench.results.tables.model import Average, Row, Score, Standing
from kdbench.results.words.captions import NOT_APPLICABLE, capital
from kdbench.results.words.costs import NOTHING
from kdbench.results.words.numbers import interval, p_value, points

EMPTY = Cell(None, NOTHING)
HEAD = (Column("method", numeric=False), Column("kind", numeric=False))
"""What every sheet of scores begins with."""


def head(row: Row) -> tuple[Cell, Cell]:
    """A row's label and kind."""
    return Cell(row.label), Cell(row.kind if row.role is RowRole.METHOD else "reference")


def score_cell(score: Score, *, untaught: bool = False) -> Cell:
    """A score in percent; of an incomplete one what is missing, beside the mean of what is there.

    ``untaught`` where it is of a teacher no better than student alone.
    """
    if score.mean is None or (score.state or "").startswith(NOT_APPLICABLE):
        return state_cell(score.state)
    marks = [] if score.state else _marks(score, worse=score.worse_than_student) + [Mark.UNTAUGHT] * untaught
    marks += [Mark.STALE] * score.stale
    spread = "" if score.std is None else percent(score.std)
    standing, note = score.standing, score.state or ""
    return Cell(score.mean, percent(score.mean), spread, note, standing, tuple(marks), score.runs)


def average_cell(row: Row) -> Cell:
    """The average over all blocks; in words where one of them is incomplete."""
    average = row.average
    if average is None:
        return Cell(None, "incomplete")
    runs = tuple(dict.fromkeys(run for score in row.scores for run in score.runs))
    marks = _marks(average, worse=average.worse) + [Mark.STALE] * any(score.stale for score in row.scores)
    return Cell(average.mean, percent(average.mean), standing=average.standing, marks=tuple(marks), runs=runs)


def state_cell(state: str | None) -> Cell:
    """What is missing: why a row is n/a stands in the caption."""
    if state is None:
        return EMPTY
    return Cell(None, NOT_APPLICABLE if state.startswith(NOT_APPLICABLE) else state)


def gain_cell(score: Score) -> Cell:
    """The gain in points, and over how many seeds where student alone lacks some."""
    if score.gain is None or score.state:
        return EMPTY
    shared = len(score.differences)
    return Cell(score.gain, points(score.gain), note=f"{shared} of {score.wanted} seeds" * (shared < score.wanted))


def judged_cells(row: Row, found: Family | None) -> tuple[Cell, Cell]:
    """The interval of a row's gain over student alone, and its adjusted p-value."""
    student = found.student if found else None
    if found is None or student is None or found.silent or row.label not in found.labels or row.label == student.label:
        return EMPTY, EMPTY
    return span_cell(found.difference(row.label, student.label).interval), p_cell(found.p(row.label, student.label))


def p_cell(p: float | None) -> Cell:
    """A p-value; empty where there is none."""
    return EMPTY if p is None else Cell(p, p_value(p).removeprefix("= "))


def points_cell(difference: float | None) -> Cell:
    """A difference in points; empty where there is none."""
    return EMPTY if difference is None else Cell(difference, points(difference))


def span_cell(found: Interval) -> Cell:
    """An interval in points."""
    return Cell(None, interval(found) if found.bounded else capital(interval(found)))


def percent(fraction: float) -> str:
    """A fraction as people read it: ``91.6``."""
    return f"{100 * fraction:.1f}"


def _marks(score: Score | Average, *, worse: bool) -> list[Mark]:
    """What is to be said of a gain."""
    if score.shown == -1:
        return [Mark.SHOWN_WORSE]
    return [Mark.WORSE] * worse + [Mark.UNSHOWN] * (score.standing is Standing.TIER and score.shown == 0 and not worse)

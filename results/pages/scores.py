"""Scores for readers: the sheet of a table, and the page of several with the answer."""

from collections.abc import Sequence

from kdbench.results.entry import Asked, Entry
from kdbench.results.metrics import title
from kdbench.results.place import RowRole
from kdbench.results.sheet import Cell, Column, Mark, Page, Sheet
from kdbench.results.tables.family import judge
from kdbench.results.tables.model import Average, Row, Score, Standing, Table
from kdbench.results.tables.scores import tabulate
from kdbench.results.words.answers import answer
from kdbench.results.words.captions import NOT_APPLICABLE, capital, caption
from kdbench.results.words.costs import NOTHING
from kdbench.results.words.numbers import points


def scores_page(
    entries: Sequence[Entry],
    metrics: Sequence[str] = ("macro_f1", "accuracy"),
    *,
    asked: Asked,
    version: str,
) -> Page:
    """A sheet with caption per metric, and last the answer for the first metric; ``version`` is that of kdbench.

    Raises ``ValueError`` as ``tabulate`` does, or without metrics.
    """
    if not metrics:
        raise ValueError("scores_page: no metrics came")
    found = [judge(entries, tabulate(entries, metric)) for metric in metrics]
    datasets = ", ".join(dict.fromkeys(block.dataset for block in found[0].table.blocks))
    sheets = [
        score_sheet(judged.table, caption(entries, judged.table, asked, version, reason=judged.reason))
        for judged in found
    ]
    return Page(f"kdbench: knowledge distillation on {datasets}", (*sheets, answer(found[0], asked)))


def score_sheet(table: Table, caption: str) -> Sheet:
    """A table in percent.

    A score is "mean ± std" over seeds, marked where worse than student alone or stale; an incomplete one says what is
    missing; why one is n/a stands in the caption. The gain column is in points. Averages come with a second block.
    """
    columns = [Column("method", numeric=False), Column("kind", numeric=False)]
    for block in table.blocks:
        name = f"{block.dataset} {block.pair}"
        columns += [Column(f"{block.dataset}, {block.pair}", f"{name} mean"), Column("gain", f"{name} gain")]
    if len(table.blocks) > 1:
        columns += [Column("average", "average mean"), Column("gain", "average gain")]
    rows = tuple(_row(table, row) for row in table.rows)
    return Sheet(tuple(columns), rows, capital(title(table.metric)), caption)


def _row(table: Table, row: Row) -> tuple[Cell, ...]:
    cells = [Cell(row.label), Cell(row.kind if row.role is RowRole.METHOD else "reference")]
    for block, score in zip(table.blocks, row.scores, strict=True):
        untaught = row.role is RowRole.TEACHER and block in table.untaught
        cells += [score_cell(score, untaught=untaught), _gain(score)]
    if len(table.blocks) > 1:
        cells += _average(row.average)
    return tuple(cells)


def _marks(score: Score | Average, worse: bool) -> list[Mark]:
    """What is to be said of a gain."""
    if score.shown == -1:
        return [Mark.SHOWN_WORSE]
    return [Mark.WORSE] * worse + [Mark.UNSHOWN] * (score.standing is Standing.TIER and score.shown == 0 and not worse)


def score_cell(score: Score, *, untaught: bool = False) -> Cell:
    """A score in percent, or what is missing; ``untaught`` where it is of a teacher no better than student alone."""
    if score.state or score.mean is None:
        return state_cell(score.state)
    marks = _marks(score, score.worse_than_student) + [Mark.UNTAUGHT] * untaught + [Mark.STALE] * score.stale
    spread = "" if score.std is None else _percent(score.std)
    return Cell(score.mean, _percent(score.mean), spread, standing=score.standing, marks=tuple(marks))


def state_cell(state: str | None) -> Cell:
    """What is missing: why a row is n/a stands in the caption."""
    if state is None:
        return Cell(None, NOTHING)
    return Cell(None, NOT_APPLICABLE if state.startswith(NOT_APPLICABLE) else state)


def _gain(score: Score) -> Cell:
    if score.gain is None or score.state:
        return Cell(None, NOTHING)
    shared = len(score.differences)
    return Cell(score.gain, points(score.gain), note=f"{shared} of {score.wanted} seeds" * (shared < score.wanted))


def _average(average: Average | None) -> list[Cell]:
    if average is None:
        return [Cell(None, "incomplete"), Cell(None, NOTHING)]
    gain = NOTHING if average.gain is None else points(average.gain)
    marks = _marks(average, average.gain is not None and average.gain < 0)
    return [
        Cell(average.mean, _percent(average.mean), standing=average.standing, marks=tuple(marks)),
        Cell(average.gain, gain),
    ]


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"

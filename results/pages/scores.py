"""Scores for readers: the sheets of a table, and the page of several with the answer."""

from collections.abc import Sequence
from dataclasses import replace

from kdbench.results.entry import Asked, Entry
from kdbench.results.metrics import LOWER_IS_BETTER
from kdbench.results.pages.blocks import dataset_sheets
from kdbench.results.pages.summary import summary_sheet
from kdbench.results.place import RowRole
from kdbench.results.sheet import Page, Sheet
from kdbench.results.tables.family import Judged, judged_tables
from kdbench.results.tables.model import Row
from kdbench.results.words.answers import answer
from kdbench.results.words.captions import caption

SORTS = ("kind", "value", "rank", "name")
"""In which order methods may stand; teacher and student alone come first in each."""


def scores_page(
    entries: Sequence[Entry],
    metrics: Sequence[str] = ("macro_f1", "accuracy"),
    *,
    asked: Asked,
    version: str,
    sort: str = "kind",
) -> Page:
    """The sheets of each metric, and last the answer for the first one.

    ``version`` is that of kdbench, ``sort`` one of ``SORTS``.

    Raises ``ValueError`` as ``tabulate`` does, without metrics, or on another order.
    """
    if not metrics:
        raise ValueError("scores_page: no metrics came")
    found = judged_tables(entries, metrics)
    datasets = ", ".join(dict.fromkeys(block.dataset for block in found[0].table.blocks))
    parts: list[Sheet | str] = []
    for judged in found:
        said = caption(entries, judged.table, asked, version, reason=judged.reason)
        parts += score_sheets(entries, judged, said, sort=sort)
    return Page(f"kdbench: knowledge distillation on {datasets}", (*parts, answer(found[0], asked)))


def score_sheets(entries: Sequence[Entry], judged: Judged, caption: str, *, sort: str = "kind") -> list[Sheet]:
    """A summary of all blocks, then a sheet for each dataset; of one block, the summary is all there is to say.

    Raises ``ValueError`` on an order that is none of ``SORTS``.
    """
    judged = _sorted(judged, sort)
    summary = summary_sheet(entries, judged, caption)
    return [summary, *(dataset_sheets(judged) if len(judged.table.blocks) > 1 else [])]


def _sorted(judged: Judged, sort: str) -> Judged:
    """The same with its methods in another order; what is incomplete comes last where order is by number."""
    if sort not in SORTS:
        raise ValueError(f"sort={sort!r} came, one of {', '.join(SORTS)} is wanted")
    if sort == "kind":
        return judged
    table = judged.table
    sign = 1 if table.metric in LOWER_IS_BETTER else -1
    places = dict(zip(judged.overall.labels, judged.overall.places, strict=True)) if judged.overall else {}

    def key(row: Row) -> tuple[bool, float, float, str]:
        value = sign * row.average.mean if row.average else 0.0
        place = float(places.get(row.label, 0)) if sort == "rank" else 0.0
        number = (0.0, 0.0) if sort == "name" else (place, value)
        return row.average is None and sort != "name", *number, row.label.casefold()

    references = [row for row in table.rows if row.role is not RowRole.METHOD]
    return replace(judged, table=replace(table, rows=(*references, *sorted(table.methods, key=key))))

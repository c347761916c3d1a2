"""What views, figures and reports of a plan are made from."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from kdbench.commands.refusals import refusals
from kdbench.plan.model import Plan
from kdbench.results.entry import Entry
from kdbench.results.seen import Seen
from kdbench.spec.cell import Part
from kdbench.store.entries import entries
from kdbench.store.records import Store


def seen(plan: Plan, store: Store, metric: str, rows: tuple[str, ...] = ()) -> Seen:
    """A matrix with what the store has of it.

    Raises:
        KdbenchError: if the metric or a row is unknown, or a record cannot be read.
    """
    return seen_in(entries(plan, store), plan, store, metric, rows)


def seen_in(filled: Sequence[Entry], plan: Plan, store: Store, metric: str, rows: tuple[str, ...] = ()) -> Seen:
    """The same of places that are filled already."""
    with refusals():
        return Seen(filled, plan.asked, version("kdbench"), metric, rows, store.curve, class_names(plan))


def class_names(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Names of the classes by dataset, as tables call it; none of a dataset that cannot say them without its data."""
    cells = {each.place.dataset: plan.cells[each.digest] for each in plan.places if each.digest is not None}
    return {
        dataset: plan.windows[cell.data].classes if cell.data in plan.windows else _described(cell.dataset)
        for dataset, cell in cells.items()
    }


def _described(part: Part) -> tuple[str, ...]:
    """What a dataset says of itself: a plan of an older kdbench does not have it."""
    try:
        from kdbench.catalog.find import DATASETS  # torch, which results are read without

        return DATASETS.get(part.name)(**dict(part.settings)).description.classes
    except Exception:  # no torch, somebody's class, or one whose description is part of its data
        return ()

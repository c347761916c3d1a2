"""What `table` gives."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from kdbench.commands.refusals import refusals
from kdbench.plan.model import Plan
from kdbench.results import render
from kdbench.results.pages import costs_page, costs_sheet, data_sheet, scores_page
from kdbench.results.render import FORMS, csv_text, page_text
from kdbench.store.entries import entries
from kdbench.store.records import Store


def format_of_file(path: Path, form: str | None, default: str, more: dict[str, str] | None = None) -> str:
    """The format of a file that is to be written; `kdbench.results.render.format_of_file` has the rules.

    Raises:
        KdbenchError: if the ending is unknown, or says another format than was asked for.
    """
    with refusals():
        return render.format_of_file(path, form, default, more)


def table_text(plan: Plan, store: Store, form: str, metrics: tuple[str, ...], *, sort: str = "kind") -> str:
    """The table in a format for readers, or one of the kinds of csv; ``sort`` orders methods for readers.

    Raises:
        KdbenchError: if a metric, the format or the order is unknown.
    """
    filled, metrics = entries(plan, store), _named(metrics)
    with refusals():
        if form in FORMS:
            return csv_text(data_sheet(form, filled, metrics))
        page = scores_page(filled, metrics, asked=plan.asked, version=version("kdbench"), sort=sort)
        return page_text(page, form)


def cost_text(plan: Plan, store: Store, form: str, metrics: tuple[str, ...]) -> str:
    """What the networks of the table cost and how well each does, in a format for readers or as csv (a line per row).

    Raises:
        KdbenchError: if a metric is unknown.
    """
    filled, metrics = entries(plan, store), _named(metrics)
    with refusals():
        if form in FORMS:
            return csv_text(costs_sheet(filled, metrics))
        return page_text(costs_page(filled, metrics, asked=plan.asked, version=version("kdbench")), form)


def _named(metrics: tuple[str, ...] | str) -> tuple[str, ...]:
    """Metrics as they were named; one may be given as a text, which is not taken letter by letter."""
    return (metrics,) if isinstance(metrics, str) else tuple(metrics)

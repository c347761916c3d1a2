"""What `table` and `plot` give."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from textwrap import fill

from kdbench.errors import KdbenchError
from kdbench.plan.model import Plan
from kdbench.results import render
from kdbench.results.pages import costs_page, costs_sheet, runs_sheet, scores_page, wide_sheet
from kdbench.results.render import csv_text, page_text
from kdbench.results.tables.scores import tabulate
from kdbench.store.entries import entries
from kdbench.store.records import Store


def format_of_file(path: Path, form: str | None, default: str, more: dict[str, str] | None = None) -> str:
    """The format of a file that is to be written; `kdbench.results.render.format_of_file` has the rules.

    Raises:
        KdbenchError: if the ending is unknown, or says another format than was asked for.
    """
    with _refusals():
        return render.format_of_file(path, form, default, more)


def table_text(plan: Plan, store: Store, form: str, metrics: tuple[str, ...]) -> str:
    """The table in a format for readers, or as csv (a line per run) or csv-wide (a line per row).

    Raises:
        KdbenchError: if a metric is unknown.
    """
    filled, metrics = entries(plan, store), _named(metrics)
    with _refusals():
        if form == "csv":
            return csv_text(runs_sheet(filled, metrics))
        if form == "csv-wide":
            return csv_text(wide_sheet([tabulate(filled, metric) for metric in metrics]))
        return page_text(scores_page(filled, metrics, asked=plan.asked, version=version("kdbench")), form)


def cost_text(plan: Plan, store: Store, form: str, metrics: tuple[str, ...]) -> str:
    """What the networks of the table cost and how well each does, in a format for readers or as csv (a line per row).

    Raises:
        KdbenchError: if a metric is unknown.
    """
    filled, metrics = entries(plan, store), _named(metrics)
    with _refusals():
        if form in ("csv", "csv-wide"):
            return csv_text(costs_sheet(filled, metrics))
        return page_text(costs_page(filled, metrics, asked=plan.asked, version=version("kdbench")), form)


def draw(plan: Plan, store: Store, metric: str, path: Path, *, costs: bool = False) -> None:
    """Draw the gain over the student alone, or the metric against multiply-adds.

    Raises:
        KdbenchError: if the metric or the format is unknown, or there is nothing to draw.
    """
    from kdbench.results.figures import cost_figure, gain_figure

    filled = entries(plan, store)
    title = fill(plan.warning, 50) or None  # a figure has no caption of its own
    with _refusals():
        if costs:
            cost_figure(filled, metric, path, title)
        else:
            gain_figure(tabulate(filled, metric), path, title)


def _named(metrics: tuple[str, ...] | str) -> tuple[str, ...]:
    """Metrics as they were named; one may be given as a text, which is not taken letter by letter."""
    return (metrics,) if isinstance(metrics, str) else tuple(metrics)


@contextmanager
def _refusals() -> Iterator[None]:
    """What `kdbench.results` refuses is the user's to mend: one line."""
    try:
        yield
    except ValueError as error:
        raise KdbenchError(str(error)) from None

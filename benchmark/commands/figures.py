"""What `plot` draws."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import fill

from kdbench.commands.refusals import refusals
from kdbench.commands.seen import seen
from kdbench.commands.taken import marks, taken_rows
from kdbench.errors import KdbenchError
from kdbench.files import write_whole
from kdbench.plan.model import Plan
from kdbench.results.figures import WIDTHS, cost_figure, deploy_figure, figure_bytes, figure_of, figures
from kdbench.results.figures.panels import checked
from kdbench.store.entries import entries
from kdbench.store.records import Store

OF_ROWS = ("confusion", "people", "weights")
"""Figures that draw some rows alone."""


def draw(
    plan: Plan, store: Store, metric: str, path: Path, *, figure: str, width: str, rows: tuple[str, ...] = ()
) -> None:
    """Draw a figure by name, in the format of the path's ending.

    Raises:
        KdbenchError: if the figure, the metric, a row, the width or the format is unknown, or there is nothing to draw.
    """
    if rows and figure in figures() and figure not in OF_ROWS:
        raise KdbenchError(f"--row chooses what {', '.join(OF_ROWS)} draw; {figure} draws every row")
    with refusals():
        form = checked(path).suffix[1:]
        drawn = figure_of(figure, seen(plan, store, metric, rows), width)
        write_whole(path, figure_bytes(drawn, form))


def draw_all(
    plan: Plan, store: Store, metric: str, folder: Path, *, width: str, rows: tuple[str, ...] = ()
) -> Iterator[str]:
    """Draw every figure as pdf and png into a folder; a line on each, the reason where one cannot be drawn.

    Raises:
        KdbenchError: if the metric, a row or the width is unknown.
    """
    looked = seen(plan, store, metric, rows)
    for figure in figures():
        try:
            drawn = figure_of(figure, looked, width)
        except ValueError as error:
            yield f"{figure}: {error}"
            continue
        folder.mkdir(parents=True, exist_ok=True)
        for form in ("pdf", "png"):
            write_whole(folder / f"{figure}.{form}", figure_bytes(drawn, form))
        yield f"wrote {folder / figure}.pdf and .png"


def draw_costs(plan: Plan, store: Store, metric: str, path: Path) -> None:
    """Draw the metric of networks alone against multiply-adds.

    Raises:
        KdbenchError: if the metric or the format is unknown, or there is nothing to draw.
    """
    with refusals():
        title = fill(plan.warning, 50) or None  # a figure has no caption of its own
        cost_figure(entries(plan, store), metric, path, title)


def draw_deployed(plan: Plan, store: Store, cost: str, path: Path, *, width: str) -> None:
    """Draw macro-F1 of what was taken against its size or its latency, in the format of the path's ending.

    Raises:
        KdbenchError: if the format is unknown, or no cell was taken.
    """
    with refusals():
        form = checked(path).suffix[1:]
        drawn = deploy_figure(marks(taken_rows(plan, store), cost), cost, WIDTHS[width], plan.warning or "")
        write_whole(path, figure_bytes(drawn, form))


def figures_text() -> str:
    """Which figures there are, a line each."""
    width = max(map(len, figures()))
    return "\n".join(f"{name.ljust(width)}  {said}" for name, said in figures().items())

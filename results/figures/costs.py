"""A metric against the work of a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdbench.results.entry import Entry
from kdbench.results.figures.panels import (
    WIDTH,
    Look,
    checked,
    despine,
    extra,
    grid_of_panels,
    legend,
    load,
    save,
    shape,
    style,
    wrapped,
)
from kdbench.results.metrics import title as metric_title
from kdbench.results.place import RowRole
from kdbench.results.tables.alone import NetworkRow, tabulate_networks
from kdbench.results.tables.costs import tabulate_costs
from kdbench.results.words.captions import capital

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Taught = tuple[str, float, float]
"""Of a network that a method taught: dataset, multiply-adds, and the mean of the metric."""

DOT: Look = {"marker": ".", "color": "0.55", "markersize": 5}


def cost_figure(entries: Sequence[Entry], metric: str, path: str | Path, title: str | None = None) -> None:
    """Draw a metric against multiply-adds and save it in the format of the path's suffix.

    One panel per dataset. A marker is the mean of a network trained alone, a grey dot that of a network taught by a
    method. The line joins the networks alone that are on the front (`NetworkRow`). What is not complete is left out.

    Raises ``ValueError`` on another suffix than .pdf, .png or .svg, on an unknown metric, or where nothing is complete.
    """
    path = checked(path)
    alone = [row for row in tabulate_networks(entries, [metric]) if row.point]
    taught = _taught(entries, metric)
    if not alone:
        raise ValueError(f"a figure of costs wants a network alone with {metric!r} of every run, none came")
    load()
    from matplotlib.figure import Figure

    datasets = list(dict.fromkeys(row.dataset for row in alone))
    looks = _looks(list(dict.fromkeys(row.network for row in alone)))
    work = [row.point[0] for row in alone if row.point] + [x for _, x, _ in taught]
    lines, columns = shape(len(datasets))
    with style():
        title = wrapped(title, 20 * (1 + columns)) if title else None
        panel = 3.2 + max(extra(wrapped(dataset, WIDTH)) for dataset in datasets)
        names = 1 + sum(0.19 + extra(wrapped(network, WIDTH)) for network in looks)
        size = 2.4 + 3.4 * columns, max(panel * lines, names) + extra(title)
        figure = Figure(figsize=size, layout="constrained")
        for axes, dataset in zip(grid_of_panels(figure, len(datasets), sharey=False), datasets, strict=True):
            _draw(axes, [row for row in alone if row.dataset == dataset], looks, [t for t in taught if t[0] == dataset])
            _furnish(axes, dataset, factor=max(work) / max(1, min(work)))
        figure.supxlabel("multiply-adds for one window", fontsize="medium")
        figure.supylabel(f"{capital(metric_title(metric))} (%)", fontsize="medium")
        looks |= {"taught by a method": DOT} if taught else {}
        # From below, so that a title of several lines has the room above it.
        legend(figure, looks, loc="outside right lower", fontsize="small")
        if title:
            figure.suptitle(title, fontsize="large")
        save(figure, path, dpi=200)


def _taught(entries: Sequence[Entry], metric: str) -> list[Taught]:
    return [
        (row.dataset, row.costs["multiply_adds"], row.means[0])
        for row in tabulate_costs(entries, [metric])
        if row.role is RowRole.METHOD and "multiply_adds" in row.costs and row.means[0] is not None
    ]


def _looks(networks: Sequence[str]) -> dict[str, Look]:
    """A marker for each network: ten colours, then the next shape."""
    import seaborn

    palette = seaborn.color_palette("colorblind", 10)
    return {
        network: {"marker": "osD^vP"[number // 10 % 6], "color": palette[number % 10], "markersize": 7}
        for number, network in enumerate(networks)
    }


def _draw(axes: "Axes", alone: Sequence[NetworkRow], looks: Mapping[str, Look], taught: Sequence[Taught]) -> None:
    """The front, then what methods taught, and the networks alone above them."""
    front = [row.point for row in alone if row.front and row.point]
    line: dict[str, Any] = {"color": "0.7", "linewidth": 1, "zorder": 1, "drawstyle": "steps-post"}
    axes.plot([x for x, _ in front], [100 * y for _, y in front], **line)
    points = [(x, y, DOT) for _, x, y in taught]
    points += [(*row.point, looks[row.network]) for row in alone if row.point]
    for x, y, look in points:
        axes.plot([x], [100 * y], linestyle="none", markeredgecolor="white", markeredgewidth=0.5, **look)


def _furnish(axes: "Axes", dataset: str, *, factor: float) -> None:
    """Title, grid and a scale with a few ticks; ``factor`` is the largest work of all panels by the smallest."""
    from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

    subs = (1,) if factor > 100 else (1, 3) if factor > 10 else (1, 2, 5)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=5) if factor > 5 else MaxNLocator(3))
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_title(wrapped(dataset, WIDTH), fontsize="medium")
    axes.grid(color="0.92", linewidth=0.7)
    despine(axes)

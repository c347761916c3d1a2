"""Figures of a table; plotting libraries are imported on use."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kdbench.results.captions import capital
from kdbench.results.costs import tabulate_costs
from kdbench.results.metrics import title as metric_title
from kdbench.results.networks import tabulate_networks
from kdbench.results.table import Entry, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".pdf", ".png", ".svg")
COLUMNS = 3
MEAN = {"marker": "|", "markersize": 13, "markeredgewidth": 2.5}
SEED = {"marker": "o", "markersize": 4, "alpha": 0.55}


def gain_figure(table: Table, path: str | Path, title: str | None = None) -> None:
    """Draw every method's gain over student alone and save it in the format of the path's suffix.

    One panel per block. A bar is the mean over seeds, dots are the seeds, the colour is the method's kind. In place of
    an incomplete method stands what is missing. pyplot's global state is left alone.

    Raises ``ValueError`` on another suffix than .pdf, .png or .svg, or on a table without methods.
    """
    path = _checked(path)
    if not table.methods:
        raise ValueError("a figure of gains wants a table with methods, none came")
    import seaborn
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    kinds = list(dict.fromkeys(row.kind for row in table.methods))
    colors = dict(zip(kinds, seaborn.color_palette("colorblind", len(kinds)), strict=True))
    lines, columns = _shape(len(table.blocks))
    with seaborn.axes_style("whitegrid"), seaborn.plotting_context("paper"):
        figure = Figure(figsize=(2.2 + 3.2 * columns, lines * (1.4 + 0.3 * len(table.methods))), layout="constrained")
        for block, axes in enumerate(_panels(figure, len(table.blocks), sharey=True)):
            _panel(axes, table, block, colors)
        figure.supxlabel(f"gain in {metric_title(table.metric)} over student alone (points)", fontsize="medium")
        keys: list[tuple[str, dict[str, Any]]] = [(kind, {"marker": "s", "color": colors[kind]}) for kind in kinds]
        keys += [("mean", {**MEAN, "color": "0.4"}), ("one seed", {**SEED, "color": "0.4"})]
        handles = [Line2D([], [], linestyle="none", label=word, **look) for word, look in keys]
        figure.legend(handles=handles, loc="outside right upper", frameon=False)
        if title:
            figure.suptitle(title, fontsize="large")
        _save(figure, path, dpi=200)


def cost_figure(entries: Sequence[Entry], metric: str, path: str | Path, title: str | None = None) -> None:
    """Draw a metric against multiply-adds and save it in the format of the path's suffix.

    One panel per dataset. A marker is the mean of a network trained alone, a grey dot that of a network taught by a
    method. The line joins the networks alone that are on the front (`NetworkRow`). What is not complete is left out.

    Raises ``ValueError`` on another suffix than .pdf, .png or .svg, on an unknown metric, or where nothing is complete.
    """
    path = _checked(path)
    alone = [row for row in tabulate_networks(entries, [metric]) if row.point]
    taught = [
        (row.dataset, row.costs["multiply_adds"], row.means[0])
        for row in tabulate_costs(entries, [metric])
        if row.role == "method" and "multiply_adds" in row.costs and row.means[0] is not None
    ]
    if not alone:
        raise ValueError(f"a figure of costs wants a network alone with {metric!r} of every run, none came")
    import seaborn
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

    datasets = list(dict.fromkeys(row.dataset for row in alone))
    networks = list(dict.fromkeys(row.network for row in alone))
    palette = seaborn.color_palette("colorblind", 10)
    looks: dict[str, dict[str, Any]] = {
        network: {"marker": "osD^vP"[number // 10 % 6], "color": palette[number % 10], "markersize": 7}
        for number, network in enumerate(networks)
    }
    dot: dict[str, Any] = {"marker": ".", "color": "0.55", "markersize": 5}
    work = [row.point[0] for row in alone if row.point] + [x for _, x, _ in taught]
    factor = max(work) / max(1, min(work))
    subs = (1,) if factor > 100 else (1, 3) if factor > 10 else (1, 2, 5)
    lines, columns = _shape(len(datasets))
    with seaborn.axes_style("whitegrid"), seaborn.plotting_context("paper"):
        figure = Figure(figsize=(2.4 + 3.4 * columns, max(3.2 * lines, 1 + 0.19 * len(networks))), layout="constrained")
        for axes, dataset in zip(_panels(figure, len(datasets), sharey=False), datasets, strict=True):
            shown = [row for row in alone if row.dataset == dataset]
            front = [row.point for row in shown if row.front and row.point]
            axes.plot(
                [x for x, _ in front],
                [100 * y for _, y in front],
                color="0.7",
                linewidth=1,
                zorder=1,
                drawstyle="steps-post",
            )
            points = [(x, 100 * y, dot) for where, x, y in taught if where == dataset]
            points += [(row.point[0], 100 * row.point[1], looks[row.network]) for row in shown if row.point]
            for x, y, look in points:
                axes.plot([x], [y], linestyle="none", markeredgecolor="white", markeredgewidth=0.5, **look)
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=5) if factor > 5 else MaxNLocator(3))
            axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_title(dataset, fontsize="medium")
            axes.grid(color="0.92", linewidth=0.7)
            seaborn.despine(ax=axes)
        figure.supxlabel("multiply-adds for one window", fontsize="medium")
        figure.supylabel(f"{capital(metric_title(metric))} (%)", fontsize="medium")
        looks |= {"taught by a method": dot} if taught else {}
        handles = [Line2D([], [], linestyle="none", label=word, **look) for word, look in looks.items()]
        # From below, so that a title of several lines has the room above it.
        figure.legend(handles=handles, loc="outside right lower", frameon=False, fontsize="small")
        if title:
            figure.suptitle(title, fontsize="large")
        _save(figure, path, dpi=200)


def windows_figure(
    windows: npt.NDArray[np.float32],
    classes: Sequence[str],
    units: Mapping[str, Sequence[tuple[str, int]]],
    rate: float,
    path: str | Path,
    *,
    title: str,
) -> None:
    """Draw one window of each class and save it in the format of the path's suffix.

    Args:
        windows: (K, C, T), one of each class.
        classes: their K names.
        units: unit to (name, number) of the channels that have it; each unit has its own line of panels.
        rate: samples per second, Hz.
        path: where to.
        title: over all.

    Raises ``ValueError`` on another suffix than .pdf, .png or .svg.
    """
    path = _checked(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.9 * len(classes) + 1.6, 1.9 * len(units) + 0.8), layout="constrained")
    grid = figure.subplots(len(units), len(classes), sharex=True, sharey="row", squeeze=False)
    seconds = np.arange(windows.shape[2]) / rate
    for line, (unit, channels) in zip(grid, units.items(), strict=True):
        for axes, window in zip(line, windows, strict=True):
            for channel, number in channels:
                axes.plot(seconds, window[number], linewidth=0.8, label=channel)
            axes.grid(color="0.92", linewidth=0.7)
        line[0].set_ylabel(unit)
        line[-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize="x-small", frameon=False)
    for axes, name in zip(grid[0], classes, strict=True):
        axes.set_title(name, fontsize="small")
    figure.supxlabel("seconds", fontsize="medium")
    figure.suptitle(title, fontsize="medium")
    _save(figure, path, dpi=150)


def _checked(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ValueError(f"figure {path.name!r} came, one of {', '.join(FORMATS)} is wanted")
    return path


def _save(figure: "Figure", path: Path, *, dpi: int) -> None:
    """Write, then rename; what the file system refuses names the file that was meant."""
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        figure.savefig(part, dpi=dpi)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _shape(panels: int) -> tuple[int, int]:
    """Lines and columns of a grid of panels."""
    columns = min(COLUMNS, panels)
    return math.ceil(panels / columns), columns


def _panels(figure: "Figure", count: int, *, sharey: bool) -> "list[Axes]":
    """Panels that share their x axis, labelled under the lowest of each column; what is over in the grid is hidden."""
    lines, columns = _shape(count)
    grid = figure.subplots(lines, columns, sharex=True, sharey=sharey, squeeze=False)
    for number, axes in enumerate(grid.flat):
        axes.set_visible(number < count)
        axes.tick_params(labelbottom=number + columns >= count)
    return list(grid.flat)[:count]


def _panel(axes: "Axes", table: Table, block: int, colors: Mapping[str, Any]) -> None:
    import pandas
    import seaborn

    scores = [row.scores[block] for row in table.methods]
    points = pandas.DataFrame(
        [
            (row.label, row.kind, 100 * difference)
            for row, score in zip(table.methods, scores, strict=True)
            if score.complete
            for difference in score.differences.values()
        ],
        columns=["method", "kind", "gain"],
    )
    shared: dict[str, Any] = {"data": points, "x": "gain", "y": "method", "hue": "kind", "palette": colors}
    shared |= {"order": [row.label for row in table.methods], "legend": False, "ax": axes}
    seaborn.pointplot(**shared, **MEAN, errorbar=None, linestyle="none")
    seaborn.stripplot(**shared, jitter=False, size=SEED["markersize"], alpha=SEED["alpha"], linewidth=0)
    axes.axvline(0, color="0.3", linewidth=1, zorder=1)
    for y, score in enumerate(scores):
        missing = score.state or (None if score.differences else "no student alone")
        if missing:
            where, back = axes.get_yaxis_transform(), {"facecolor": "white", "linewidth": 0, "pad": 1}
            text = axes.text(0.98, y, shorten(missing, 40), transform=where, va="center", ha="right", bbox=back)
            text.set(color="0.4", style="italic", fontsize="small")
    axes.set_title(f"{table.blocks[block].dataset}\n{table.blocks[block].pair}", fontsize="medium")
    axes.set(xlabel="", ylabel="")
    axes.grid(color="0.92", linewidth=0.7)
    seaborn.despine(ax=axes, left=True)

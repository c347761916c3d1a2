"""How much every method gains over the student alone."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from kdbench.results.figures.panels import (
    WIDTH,
    Look,
    checked,
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
from kdbench.results.tables.model import Block, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEAN = {"marker": "|", "markersize": 13, "markeredgewidth": 2.5}
SEED = {"marker": "o", "markersize": 4, "alpha": 0.55}


def gain_figure(table: Table, path: str | Path, title: str | None = None) -> None:
    """Draw every method's gain over student alone and save it in the format of the path's suffix.

    One panel per block. A bar is the mean over seeds, dots are the seeds, the colour is the method's kind. In place of
    an incomplete method stands what is missing. pyplot's global state is left alone.

    Raises ``ValueError`` on another suffix than .pdf, .png or .svg, or on a table without methods.
    """
    path = checked(path)
    if not table.methods:
        raise ValueError("a figure of gains wants a table with methods, none came")
    load()
    import seaborn
    from matplotlib.figure import Figure

    kinds = list(dict.fromkeys(row.kind for row in table.methods))
    colors = dict(zip(kinds, seaborn.color_palette("colorblind", len(kinds)), strict=True))
    lines, columns = shape(len(table.blocks))
    with style():
        title = wrapped(title, 20 * (1 + columns)) if title else None
        height = 1.4 + sum(0.3 + extra(_label(row.label)) for row in table.methods)
        height += max(extra(_title(block)) for block in table.blocks) - extra("\n")
        size = 2.2 + 3.2 * columns, lines * height + extra(title)
        figure = Figure(figsize=size, layout="constrained")
        for block, axes in enumerate(grid_of_panels(figure, len(table.blocks), sharey=True)):
            _panel(axes, table, block, colors)
        figure.supxlabel(f"gain in {metric_title(table.metric)} over student alone (points)", fontsize="medium")
        looks: dict[str, Look] = {kind: {"marker": "s", "color": colors[kind]} for kind in kinds}
        looks |= {"mean": {**MEAN, "color": "0.4"}, "one seed": {**SEED, "color": "0.4"}}
        legend(figure, looks, loc="outside right upper")
        if title:
            figure.suptitle(title, fontsize="large")
        save(figure, path, dpi=200)


def _label(text: str) -> str:
    return wrapped(text, WIDTH)


def _title(block: Block) -> str:
    return f"{wrapped(block.dataset, WIDTH)}\n{wrapped(block.pair, WIDTH)}"


def _panel(axes: "Axes", table: Table, block: int, colors: Mapping[str, Any]) -> None:
    import pandas
    import seaborn

    scores = [row.scores[block] for row in table.methods]
    points = pandas.DataFrame(
        [
            (_label(row.label), row.kind, 100 * difference)
            for row, score in zip(table.methods, scores, strict=True)
            if score.complete
            for difference in score.differences.values()
        ],
        columns=["method", "kind", "gain"],
    )
    shared: dict[str, Any] = {"data": points, "x": "gain", "y": "method", "hue": "kind", "palette": colors}
    shared |= {"order": [_label(row.label) for row in table.methods], "legend": False, "ax": axes}
    seaborn.pointplot(**shared, **MEAN, errorbar=None, linestyle="none")
    seaborn.stripplot(**shared, jitter=False, size=SEED["markersize"], alpha=SEED["alpha"], linewidth=0)
    axes.axvline(0, color="0.3", linewidth=1, zorder=1)
    for y, score in enumerate(scores):
        missing = score.state or (None if score.differences else "no student alone")
        if missing:
            where, back = axes.get_yaxis_transform(), {"facecolor": "white", "linewidth": 0, "pad": 1}
            text = axes.text(0.98, y, shorten(missing, 40), transform=where, va="center", ha="right", bbox=back)
            text.set(color="0.4", style="italic", fontsize="small")
    axes.set_title(_title(table.blocks[block]), fontsize="medium")
    axes.set(xlabel="", ylabel="")
    axes.grid(color="0.92", linewidth=0.7)
    seaborn.despine(ax=axes, left=True)

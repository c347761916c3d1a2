"""Figures of a table; plotting libraries are imported on use."""

import math
import os
from pathlib import Path
from textwrap import shorten

from kdbench.results.metrics import title as metric_title
from kdbench.results.table import Table

FORMATS = (".pdf", ".png", ".svg")
COLUMNS = 3


def gain_figure(table: Table, path: str | Path, title: str | None = None) -> None:
    """Draw every method's gain over student alone and save it in the format of the path's suffix.

    One panel per block. A diamond is the mean over seeds, dots are the seeds, the colour is the method's kind. In place
    of an incomplete method stands what is missing. pyplot's global state is left alone.

    Raises ``ValueError`` on another suffix than .pdf, .png or .svg, or on a table without methods.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ValueError(f"figure {path.name!r} came, one of {', '.join(FORMATS)} is wanted")
    if not table.methods:
        raise ValueError("a figure of gains wants a table with methods, none came")
    import pandas
    import seaborn  # type: ignore[import-untyped]
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    labels = [row.label for row in table.methods]
    kinds = list(dict.fromkeys(row.kind for row in table.methods))
    colors = dict(zip(kinds, seaborn.color_palette("colorblind", len(kinds)), strict=True))
    columns = min(COLUMNS, len(table.blocks))
    lines = math.ceil(len(table.blocks) / columns)
    with seaborn.axes_style("whitegrid"), seaborn.plotting_context("paper"):
        figure = Figure(figsize=(2.2 + 3.2 * columns, lines * (1.4 + 0.3 * len(labels))), layout="constrained")
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for unused in grid.flat[len(table.blocks) :]:
            unused.set_visible(False)
        for block, (name, axes) in enumerate(zip(table.blocks, grid.flat, strict=False)):
            scores = {row.label: (row.kind, row.scores[block]) for row in table.methods}
            points = pandas.DataFrame(
                [
                    (label, kind, 100 * difference)
                    for label, (kind, score) in scores.items()
                    if score.complete
                    for difference in score.differences.values()
                ],
                columns=["method", "kind", "gain"],
            )
            shared = dict(data=points, x="gain", y="method", hue="kind", order=labels, palette=colors, legend=False)
            axes.axvline(0, color="0.3", linewidth=1, zorder=1)
            seaborn.stripplot(**shared, jitter=False, size=4, alpha=0.5, linewidth=0, ax=axes)
            seaborn.pointplot(
                **shared, errorbar=None, linestyle="none", markers="D", markersize=5, markeredgecolor="0.2", ax=axes
            )
            for y, (_, score) in enumerate(scores.values()):
                missing = score.state or (None if score.differences else "no student alone")
                if missing:
                    axes.text(0.5, y, shorten(missing, 40), transform=axes.get_yaxis_transform(), va="center",
                              ha="center", color="0.4", style="italic", bbox={"facecolor": "white", "linewidth": 0})  # fmt: skip
            axes.set(title=f"{name.dataset}\n{name.pair}", xlabel="", ylabel="")
            axes.grid(axis="y", color="0.92")
        figure.supxlabel(f"gain in {metric_title(table.metric)} over student alone (points)")
        handles = [Line2D([], [], color=colors[kind], marker="D", linestyle="none", label=kind) for kind in kinds]
        figure.legend(handles=handles, loc="outside right upper", frameon=False, title="kind")
        if title:
            figure.suptitle(title)
        part = path.with_name(f".{path.stem}.part{path.suffix}")
        figure.savefig(part, dpi=200)
        os.replace(part, path)

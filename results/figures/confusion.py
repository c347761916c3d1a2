"""Which classes are taken for which: teacher, student alone, and the method of the highest value."""

from typing import TYPE_CHECKING

import numpy as np

from kdbench.results.figures._looks import block_title, columns_of, left_out, lines_of, on_a_page
from kdbench.results.figures.panels import wrapped
from kdbench.results.seen import Seen
from kdbench.results.tables.confusion import Counts, confusion
from kdbench.results.tables.model import Block

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLOCKS = 6
NARROW = 2
"""One column of a page has room for student alone and a method."""
LONGEST = 22
WRITTEN = 8
"""With more classes a field has no room for its number."""


def draw(seen: Seen, width: float) -> "Figure":
    """Panels for each of the first blocks: true class by predicted class, in percent of the true class's windows.

    Raises:
        ValueError: if no run recorded it.
    """
    from matplotlib.figure import Figure

    columns = columns_of(width, 3, least=2.0)
    panels = _panels(seen, most=3 if columns > 1 else NARROW)
    if not panels:
        raise ValueError("no confusion to draw: no run recorded it")
    lines = _lines(panels, columns)
    titles = {panel: f"{wrapped(panel[1], 34)}\n{block_title(panel[0], width / columns)}" for panel in _keys(panels)}
    height = width / columns * 0.8 + 0.13 * max(map(lines_of, titles.values())) + 0.3
    lines = lines[: on_a_page([height] * len(lines), 0.4)]
    figure = Figure(figsize=(width, height * len(lines)), layout="constrained")
    grid = figure.subplots(len(lines), columns, squeeze=False)
    for axes_line, line in zip(grid, lines, strict=True):
        for axes in axes_line[len(line) :]:
            axes.set_visible(False)
        for number, (axes, (block, label, counts)) in enumerate(zip(axes_line, line, strict=False)):
            names = [wrapped(each.replace("_", " "), LONGEST) for each in seen.names(block, len(counts))]
            _panel(axes, counts, names, first=number == 0)
            axes.set_title(titles[block, label], fontsize=7)
    said = left_out(len(panels) - sum(map(len, lines)), "panel")
    figure.supxlabel("\n".join(filter(None, ["predicted class (% of the true class's windows)", said])), fontsize=8)
    figure.supylabel("true class", fontsize=8)
    return figure


def _panels(seen: Seen, most: int) -> list[tuple[Block, str, Counts]]:
    """Of each of the first blocks the last rows that are shown: a method stands behind what it is set beside."""
    panels: list[tuple[Block, str, Counts]] = []
    for block in seen.table.blocks[:BLOCKS]:
        known = [(row.label, confusion(seen.found.get((block, row.label), ()))) for row in seen.shown(block)]
        there = [(block, label, counts) for label, counts in known if counts is not None]
        panels += there if seen.rows else there[-most:]
    return panels


def _keys(panels: list[tuple[Block, str, Counts]]) -> list[tuple[Block, str]]:
    return [(block, label) for block, label, _ in panels]


def _lines(panels: list[tuple[Block, str, Counts]], columns: int) -> list[list[tuple[Block, str, Counts]]]:
    """Panels line by line; each block begins a new one."""
    lines: list[list[tuple[Block, str, Counts]]] = []
    for panel in panels:
        if not lines or len(lines[-1]) == columns or lines[-1][0][0] != panel[0]:
            lines.append([])
        lines[-1].append(panel)
    return lines


def _panel(axes: "Axes", counts: Counts, names: list[str], *, first: bool) -> None:
    import seaborn

    windows = counts.sum(axis=1, keepdims=True)
    shares = 100 * counts / np.where(windows, windows, np.nan)
    written = len(counts) <= WRITTEN
    texts = np.array([["" if not value >= 0.5 else f"{value:.0f}" for value in line] for line in shares])
    seaborn.heatmap(
        shares, ax=axes, annot=texts if written else False, fmt="", cmap="Blues", vmin=0, vmax=100, cbar=False,
        square=True, linewidths=0.3, linecolor="0.9", xticklabels=names, yticklabels=names if first else False,
        annot_kws={"fontsize": 6},
    )  # fmt: skip
    size = 6 if len(counts) <= 12 else 4.5
    axes.tick_params(labelsize=size, length=0)
    axes.tick_params(axis="x", rotation=90)
    axes.tick_params(axis="y", rotation=0)

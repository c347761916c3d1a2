"""Gains of all methods in all blocks, as a map."""

from typing import TYPE_CHECKING

import numpy as np

from kdbench.results.figures._looks import CHARACTER, LINE, lines_of
from kdbench.results.figures.gain import gain_of
from kdbench.results.figures.panels import wrapped
from kdbench.results.metrics import title as metric_title
from kdbench.results.seen import Seen
from kdbench.results.tables.model import Score
from kdbench.results.words.numbers import points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LONGEST = 30


def draw(seen: Seen, width: float) -> "Figure":
    """Methods by blocks, sorted by the average gain, which is the last column; the number stands in each field.

    Raises:
        ValueError: if no method has a gain.
    """
    import seaborn
    from matplotlib.figure import Figure

    rows = sorted(seen.table.methods, key=gain_of, reverse=True)
    blocks = seen.table.blocks
    gains = np.array([[_gain(score) for score in row.scores] for row in rows]).reshape(len(rows), len(blocks))
    if not np.isfinite(gains).any():
        raise ValueError("a map of gains wants a method that is complete beside student alone, none is")
    several = len(blocks) > 1
    if several:
        means = [row.average.gain if row.average and row.average.gain is not None else np.nan for row in rows]
        gains = np.column_stack([gains, means])
    same_pair = len({block.pair for block in blocks}) == 1
    heads = [block.dataset if same_pair else f"{block.dataset}\n{block.pair}" for block in blocks]
    labels = [wrapped(row.label, LONGEST) for row in rows]
    heads = [wrapped(head, LONGEST) for head in [*heads, *(["average"] if several else [])]]
    margin = 0.4 + CHARACTER * max(len(line) for label in labels for line in label.splitlines())
    field = (width - margin) / len(heads)
    upright = field < CHARACTER * max(len(line) for head in heads for line in head.splitlines())
    top = (
        max(CHARACTER * max(len(line) for head in heads for line in head.splitlines()), 0.2)
        if upright
        else (LINE * max(map(lines_of, heads)))
    )
    height = sum(0.22 + LINE * (lines_of(label) - 1) for label in labels) + top + 0.9
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    limit = float(np.nanmax(np.abs(gains))) or 1.0
    texts = np.array([[points(value) if np.isfinite(value) else "–" for value in line] for line in gains])
    seaborn.heatmap(
        100 * gains, ax=axes, annot=texts, fmt="", cmap="vlag_r", vmin=-100 * limit, vmax=100 * limit,
        xticklabels=heads, yticklabels=labels, linewidths=0.5, linecolor="white",
        annot_kws={"fontsize": min(7.0, 60 * field / 5)},
        cbar_kws={"label": "points", "orientation": "horizontal", "shrink": 0.6, "aspect": 30, "pad": 0.03},
    )  # fmt: skip
    _furnish(axes, upright=upright, average=len(blocks) if several else None)
    over = f"gain in {metric_title(seen.metric)} over student alone, as in the table: of all windows together"
    over += f"; {blocks[0].pair}" if same_pair else ""
    figure.supxlabel(wrapped(over, width / CHARACTER), fontsize=8)
    return figure


def _furnish(axes: "Axes", *, upright: bool, average: int | None) -> None:
    """Headings above, a line before the average, and a small scale."""
    axes.set_facecolor("0.9")
    axes.xaxis.tick_top()
    axes.tick_params(labelsize=7, length=0, rotation=0)
    axes.tick_params(axis="x", rotation=90 if upright else 0)
    if average is not None:
        axes.axvline(average, color="black", linewidth=1)
    bar = axes.collections[0].colorbar
    if bar is not None:
        bar.ax.tick_params(labelsize=7)
        bar.set_label("points", fontsize=7)


def _gain(score: Score) -> float:
    return score.gain if score.complete and score.gain is not None else float("nan")

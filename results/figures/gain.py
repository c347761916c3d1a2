"""What each method gains over student alone: interval, people and seeds."""

import math
from collections.abc import Iterable, Sequence
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from kdbench.results.figures._looks import (
    CHARACTER,
    LINE,
    block_title,
    columns_of,
    gain_label,
    kind_of,
    kinds_legend,
    lines_of,
    look_of,
)
from kdbench.results.figures.panels import Look, despine, wrapped
from kdbench.results.seen import Seen
from kdbench.results.tables.family import Family
from kdbench.results.tables.model import Row, Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LONGEST = 26
"""Characters in a line of a method's label."""
PERSON: Look = {
    "marker": ".",
    "color": "0.45",
    "linestyle": "none",
    "markersize": 4,
    "alpha": 0.6,
    "markeredgewidth": 0,
}
SEED: Look = {
    **{"marker": "o", "color": "0.2", "linestyle": "none", "markersize": 3},
    **{"markerfacecolor": "none", "markeredgewidth": 0.6},
}


def draw(seen: Seen, width: float) -> "Figure":
    """One panel per block, methods sorted by what they gain on average.

    Large signs are means, lines their 95 % intervals over people and seeds, dots people below and circles seeds above.
    In place of an incomplete method stands what is missing.

    Raises:
        ValueError: if there are no methods.
    """
    if not seen.table.methods:
        raise ValueError("a figure of gains wants a table with methods, none came")
    from matplotlib.figure import Figure

    rows = sorted(seen.table.methods, key=gain_of, reverse=True)
    labels = [wrapped(row.label, LONGEST) for row in rows]
    margin = 0.3 + CHARACTER * max(len(line) for label in labels for line in label.splitlines())
    blocks = seen.table.blocks
    columns = columns_of(width - margin, len(blocks), least=1.8)
    lines = -(-len(blocks) // columns)
    panel = (width - margin) / columns
    titles = [block_title(block, panel) for block in blocks]
    height = sum(0.28 + LINE * (lines_of(label) - 1) for label in labels) + LINE * max(map(lines_of, titles)) + 0.3
    figure = Figure(figsize=(width, lines * height + 0.75), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)  # blocks may differ tenfold in what is gained
    for number, axes in enumerate(grid.flat):
        axes.set_visible(number < len(blocks))
        axes.tick_params(labelsize=7, length=0)
    for number, (axes, heading) in enumerate(zip(grid.flat, titles, strict=False)):
        _panel(axes, seen, number, rows)
        # Not shared by matplotlib, whose work grows with the square of the axes that share something.
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks(*((range(len(rows)), labels) if number % columns == 0 else ([],)))
        axes.set_title(heading, fontsize=7, y=1.0)  # else ticks are laid out again to find it
    over_people = any(isinstance(found, Family) for found in seen.families)
    figure.supxlabel(gain_label(seen.metric, over_people=over_people), fontsize=8)
    others: dict[str, Any] = {"a person": PERSON, "a seed": SEED}
    others["mean, 95 % interval"] = {"marker": "|", "color": "0.2", "linewidth": 1.5, "markersize": 7}
    kinds_legend(figure, dict.fromkeys(kind_of(row) for row in rows), others, width)
    return figure


def gain_of(row: Row) -> float:
    """The mean gain over the blocks in which a row is complete; the least of all where there is none."""
    gains = [score.gain for score in row.scores if score.complete and score.gain is not None]
    return sum(gains) / len(gains) if gains else float("-inf")


def _panel(axes: "Axes", seen: Seen, number: int, rows: Sequence[Row]) -> None:
    axes.axvline(0, color="0.3", linewidth=0.8, zorder=1)
    there = []
    for y, row in enumerate(rows):
        score = row.scores[number]
        missing = score.state or (None if score.differences else "no student alone")
        if missing:
            text = shorten(missing, 34)
            where, back = axes.get_yaxis_transform(), {"facecolor": "white", "linewidth": 0, "pad": 1}
            said = axes.text(0.98, y, text, transform=where, va="center", ha="right", bbox=back, fontsize=6)
            said.set(color="0.4", style="italic")
        else:
            there.append((y, row, score))
    _rows(axes, there, seen.families[number])
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color="0.92", linewidth=0.6)
    despine(axes, "left")


def _rows(axes: "Axes", rows: Sequence[tuple[int, Row, Score]], found: Family | str) -> None:
    """Each thing of all rows at once, since an artist takes longer than what it draws."""
    seeds, people, intervals = _Points(), _Points(), _Points()
    means: dict[str, _Points] = {}
    for y, row, score in rows:
        seeds.add([100 * value for value in score.differences.values()], y - 0.24)
        mean = 100 * (score.gain or 0.0)
        each = found.gain(row.label) if isinstance(found, Family) else None
        if each is not None:
            there = each.among.weights > 0
            people.add(100 * each.parts[there] / each.among.weights[there], y + 0.24)
            mean = 100 * each.mean
            if each.interval.bounded:
                intervals.add([100 * each.interval.low, 100 * each.interval.high, math.nan], y)
        means.setdefault(kind_of(row), _Points()).add([mean], y)
    axes.plot(seeds.x, seeds.y, **SEED)
    axes.plot(people.x, people.y, **PERSON)
    axes.plot(intervals.x, intervals.y, color="0.2", linewidth=1.5, zorder=3)
    for kind, points in means.items():
        look = {**look_of(kind), "markeredgewidth": 0.5}
        axes.plot(points.x, points.y, linestyle="none", zorder=4, **look)


class _Points:
    """Places of what is drawn at once; a line is broken where one is NaN."""

    def __init__(self) -> None:
        self.x: list[float] = []
        self.y: list[float] = []

    def add(self, values: Iterable[float], y: float) -> None:
        self.x.extend(map(float, values))
        self.y += [y] * (len(self.x) - len(self.y))

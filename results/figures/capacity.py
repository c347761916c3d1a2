"""What a method gains over student alone against the student's size: a line joins one network's widths."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kdbench.results.figures._looks import (
    CHARACTER,
    LINE,
    columns_of,
    gain_label,
    left_out,
    legend_above,
    lines_of,
    looks_of,
    on_a_page,
)
from kdbench.results.figures.panels import Look, despine, wrapped
from kdbench.results.place import RowRole
from kdbench.results.seen import Seen
from kdbench.results.statistics.intervals import Interval
from kdbench.results.tables.costs import tabulate_costs
from kdbench.results.tables.family import Family
from kdbench.results.tables.model import Block

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST = 1.7
"""Inches of a panel's width."""
COST = "parameters"


class Point(NamedTuple):
    """A student that a method taught."""

    row: str
    dataset: str
    line: str
    """The network without its settings; with its teacher where there are several."""
    share: float
    """Parameters of what is deployed per parameter of the teacher, in percent."""
    gain: float
    over_people: bool
    """Whether that is a mean over people; else it is of all windows."""
    interval: Interval | None
    """Where it has bounds."""


def draw(seen: Seen, width: float) -> "Figure":
    """A panel for each method and dataset: points are students, with the 95 % interval over people and seeds.

    An interval is cut, which an arrow says, where it would press all points into a line.

    Raises:
        ValueError: if no network was taught in two sizes.
    """
    from matplotlib.figure import Figure

    points = _points(seen)
    if not any(len(shares) > 1 for shares in _sizes(points)):
        planned = any(len(networks) > 1 for networks in _planned(seen))
        wanted = "a figure of capacity wants a network that one teacher taught in two sizes"
        raise ValueError(f"{wanted}; no method is complete in two yet" if planned else f"{wanted}, none came")
    panels = list(dict.fromkeys((point.row, point.dataset) for point in points))
    columns = _columns(width, len(panels), len({dataset for _, dataset in panels}))
    titles = [_title(row, dataset, width / columns - 0.5) for row, dataset in panels]
    height = 1.5 + LINE * max(map(lines_of, titles))
    count = columns * on_a_page([height] * -(-len(panels) // columns), 0.8)
    shown = panels[:count]
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(width, lines * height + 0.8), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    looks = looks_of(dict.fromkeys(point.line for point in points))
    for number, axes in enumerate(grid.flat):
        axes.set_visible(number < len(shown))
    for axes, panel, title in zip(grid.flat, shown, titles, strict=False):
        _panel(axes, [point for point in points if (point.row, point.dataset) == panel], looks)
        axes.set_title(title, fontsize=7, y=1.0)
    figure.supxlabel("parameters of what is deployed, in percent of the teacher's", fontsize=8)
    label = gain_label(seen.metric, over_people=any(point.over_people for point in points))
    figure.supylabel(wrapped(label, lines * height / CHARACTER), fontsize=8)
    legend: dict[str, Look] = {line: {"linewidth": 0.8, **look} for line, look in looks.items()}
    if any(point.interval is not None for point in points):
        legend["95 % interval"] = {"color": "0.4", "marker": "|", "markersize": 9, "linestyle": "none"}
    if any(point.over_people and point.interval is None for point in points):
        legend["no bar: no bounds"] = {"linestyle": "none"}
    if len(panels) > count:
        legend[left_out(len(panels) - count, "panel")] = {"linestyle": "none"}
    legend_above(figure, legend, width)
    return figure


def _columns(width: float, panels: int, datasets: int) -> int:
    """As many as there is room for, whole groups of datasets if that is possible."""
    fitting = columns_of(width, panels, least=LEAST)
    return fitting // datasets * datasets or fitting


def _title(row: str, dataset: str, width: float) -> str:
    return "\n".join(wrapped(each, max(12, width / CHARACTER)) for each in (row, dataset))


def _planned(seen: Seen) -> list[set[str]]:
    """Which networks each teacher is to teach, by what they are without their settings."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for place in (entry.place for entry in seen.entries):
        if place.role is RowRole.METHOD:
            found.setdefault((place.dataset, place.teacher, _kind(place.network)), set()).add(place.network)
    return list(found.values())


def _kind(network: str) -> str:
    return network.partition("(")[0]


def _points(seen: Seen) -> list[Point]:
    """Of methods that are complete, in the order of the table."""
    sizes = {(Block(row.dataset, row.pair), row.label): row for row in tabulate_costs(seen.entries)}
    teachers = {Block(row.dataset, row.pair): row for row in sizes.values() if row.role is RowRole.TEACHER}
    several = len({row.network for row in teachers.values()}) > 1
    found = []
    for row in seen.table.methods:
        for block, score, family in zip(seen.table.blocks, row.scores, seen.families, strict=True):
            size, teacher = sizes.get((block, row.label)), teachers.get(block)
            if size is None or teacher is None or not score.complete or score.gain is None:
                continue
            whole = teacher.costs.get(COST)
            if not whole or COST not in size.costs:
                continue
            student = _kind(size.network)
            line = f"{student}, taught by {teacher.network}" if several else student
            gain = family.gain(row.label) if isinstance(family, Family) else None
            mean = score.gain if gain is None else gain.mean
            interval = gain.interval if gain is not None and gain.interval.bounded else None
            share = 100 * size.costs[COST] / whole
            found.append(Point(row.label, block.dataset, line, share, 100 * mean, gain is not None, interval))
    return found


def _sizes(points: Iterable[Point]) -> list[set[float]]:
    """How large the students of each line are."""
    sizes: dict[tuple[str, str, str], set[float]] = {}
    for point in points:
        sizes.setdefault((point.row, point.dataset, point.line), set()).add(point.share)
    return list(sizes.values())


def _panel(axes: "Axes", points: Sequence[Point], looks: "dict[str, Look]") -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.axhline(0, color="0.3", linewidth=0.8, zorder=1)
    bottom, top = _limits(points)
    axes.set_ylim(bottom, top)
    for line, look in looks.items():
        mine = sorted((point for point in points if point.line == line), key=lambda point: point.share)
        thin: Look = {"color": look["color"], "linewidth": 1.2, "alpha": 0.6, "zorder": 2}
        for point in mine:
            if point.interval is not None:
                ends = 100 * point.interval.low, 100 * point.interval.high
                axes.plot([point.share] * 2, np.clip(ends, bottom, top), **thin)
                for end, limit, sign in ((ends[0], bottom, "v"), (ends[1], top, "^")):
                    if not bottom <= end <= top:
                        axes.plot([point.share], [limit], marker=sign, markersize=4, clip_on=False, **thin)
        axes.plot([p.share for p in mine], [p.gain for p in mine], linewidth=0.8, zorder=3, **look)
    low, high = min(point.share for point in points), max(point.share for point in points)
    axes.set_xscale("log")
    axes.set_xlim(low / 1.6, high * 1.6)
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if high > 100 * low else (1, 2, 5), numticks=6))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(labelsize=7)
    axes.grid(color="0.92", linewidth=0.6)
    despine(axes)


def _limits(points: Sequence[Point]) -> tuple[float, float]:
    """The least and the most that is drawn: all points, and of intervals no more than as much again on each side."""
    low, high = min(0.0, *(point.gain for point in points)), max(0.0, *(point.gain for point in points))
    room = max(1.0, high - low)
    ends = [100 * end for p in points if p.interval is not None for end in (p.interval.low, p.interval.high)]
    bottom, top = max(low - room, min([low, *ends])), min(high + room, max([high, *ends]))
    return bottom - 0.05 * (top - bottom) - 0.1, top + 0.05 * (top - bottom) + 0.1

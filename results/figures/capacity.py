"""What a method gains over student alone against the student's size: a line joins one network's widths."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from kdbench.results.figures._looks import (
    LINE,
    columns_of,
    left_out,
    legend_above,
    lines_of,
    looks_of,
    on_a_page,
)
from kdbench.results.figures.panels import Look, despine, wrapped
from kdbench.results.metrics import title as metric_title
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
    interval: Interval | None


def draw(seen: Seen, width: float) -> "Figure":
    """A panel for each method and dataset: points are students, with the 95 % interval over people and seeds.

    Raises:
        ValueError: if no network was taught in two sizes.
    """
    from matplotlib.figure import Figure

    points = _points(seen)
    if not any(len(shares) > 1 for shares in _sizes(points)):
        raise ValueError("a figure of capacity wants a network that one teacher taught in two sizes, none came")
    panels = list(dict.fromkeys((point.row, point.dataset) for point in points))
    columns = columns_of(width, len(dict.fromkeys(dataset for _, dataset in panels)), least=LEAST)
    titles = [wrapped(f"{row}\n{dataset}", 30) for row, dataset in panels]
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
    figure.supxlabel("student's parameters, in percent of its teacher's", fontsize=8)
    figure.supylabel(f"gain in {metric_title(seen.metric)} over student alone (points)", fontsize=8)
    legend: dict[str, Look] = {line: {"linewidth": 0.8, **look} for line, look in looks.items()}
    if len(panels) > count:
        legend[left_out(len(panels) - count, "panel")] = {"linestyle": "none"}
    legend_above(figure, legend, width)
    return figure


def _points(seen: Seen) -> list[Point]:
    """Of methods that are complete, in the order of the table, from the smallest student on."""
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
            student = size.network.partition("(")[0]
            line = f"{student}, taught by {teacher.network}" if several else student
            gain = family.gain(row.label) if isinstance(family, Family) else None
            mean, interval = (score.gain, None) if gain is None else (gain.mean, gain.interval)
            share = 100 * size.costs[COST] / whole
            found.append(Point(row.label, block.dataset, line, share, 100 * mean, interval))
    return sorted(found, key=lambda point: point.share)


def _sizes(points: Iterable[Point]) -> list[set[float]]:
    """How large the students of each line are."""
    sizes: dict[tuple[str, str, str], set[float]] = {}
    for point in points:
        sizes.setdefault((point.row, point.dataset, point.line), set()).add(point.share)
    return list(sizes.values())


def _panel(axes: "Axes", points: Sequence[Point], looks: "dict[str, Look]") -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.axhline(0, color="0.3", linewidth=0.8, zorder=1)
    for line, look in looks.items():
        mine = [point for point in points if point.line == line]
        for point in mine:
            if point.interval is not None and point.interval.bounded:
                ends = [100 * point.interval.low, 100 * point.interval.high]
                axes.plot([point.share] * 2, ends, color=look["color"], linewidth=1.2, alpha=0.6, zorder=2)
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

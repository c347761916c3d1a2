"""A metric against what is deployed costs: parameters, multiply-adds, latency; who is on the front."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from kdbench.results.figures._looks import (
    CHARACTER,
    LINE,
    kind_of,
    kinds_legend,
    label_at_right,
    left_out,
    look_of,
    on_a_page,
    unbeaten,
)
from kdbench.results.figures.panels import Look, despine, wrapped
from kdbench.results.metrics import LOWER_IS_BETTER
from kdbench.results.metrics import title as metric_title
from kdbench.results.place import RowRole
from kdbench.results.seen import Seen
from kdbench.results.tables.costs import tabulate_costs
from kdbench.results.words.captions import capital
from kdbench.results.words.costs import HEADINGS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COSTS = ("parameters", "multiply_adds", "latency_ms")
NARROW = ("multiply_adds",)
"""Where there is room for one."""
MANY = 16
"""Of more rows only those on a front and both networks alone are labelled."""
LONGEST = 30
UNITS = {"latency_ms": "latency (ms)"}


class Point(NamedTuple):
    """A row of a block."""

    label: str
    kind: str
    alone: bool
    value: float
    costs: tuple[float, ...]


def draw(seen: Seen, width: float) -> "Figure":
    """Panels for each dataset that fits on a page, one a cost; the line joins what nothing beats at as little cost.

    One column of a page has room for one cost.

    Raises:
        ValueError: if nothing is complete.
    """
    from matplotlib.figure import Figure

    found = _points(seen)
    if not found:
        raise ValueError(f"a figure of costs wants a complete row with {seen.metric!r} and its costs, none came")
    shown = {dataset: _labelled(points, seen.metric) for dataset, points in found.items()}
    margin = 0.2 + CHARACTER * min(LONGEST, max(len(p.label) for each in shown.values() for p in each))
    costs = COSTS if (width - margin) / len(COSTS) >= 1.1 else NARROW
    heights = [max(1.7, LINE * (len(each) + 2)) for each in shown.values()]
    lines = on_a_page([each + 0.35 for each in heights], 1.0)
    kinds = dict.fromkeys(p.kind for each in found.values() for p in each)
    above = 0.35 + 0.25 * (1 if len(costs) > 1 else -(-(len(kinds) + 1) // 3))  # the legend, then a title
    height = sum(heights[:lines]) + 0.35 * lines + 0.4 + above
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(lines, len(costs), sharey="row", squeeze=False, height_ratios=heights[:lines])
    figure.subplots_adjust(left=0.6 / width, right=1 - margin / width, bottom=0.7 / height, top=1 - above / height)
    figure.subplots_adjust(wspace=0.12, hspace=0.5)
    panels = [(dataset, COSTS.index(cost)) for dataset in list(found)[:lines] for cost in costs]
    for axes, (dataset, number) in zip(grid.flat, panels, strict=True):
        _panel(axes, found[dataset], number, lower=seen.metric in LOWER_IS_BETTER)
        axes.set_title(dataset if COSTS[number] == costs[0] else "", fontsize=8, loc="left")
        if COSTS[number] == costs[-1]:
            points = shown[dataset]
            at = [(point.costs[number], 100 * point.value) for point in points]
            names = [wrapped(point.label, LONGEST).split("\n")[0] for point in points]
            label_at_right(axes, at, names, [look_of(point.kind)["color"] for point in points], size=6.5)
    figure.supylabel(f"{capital(metric_title(seen.metric))} (%)", fontsize=8, x=0.005)
    front: dict[str, Look] = {"the front": {"color": "0.6", "linewidth": 1}}
    if lines < len(found):
        front[left_out(len(found) - lines, "dataset")] = {"linestyle": "none"}
    kinds_legend(figure, kinds, front, width)
    return figure


def _points(seen: Seen) -> dict[str, list[Point]]:
    """Complete rows with all costs, by dataset; a network alone stands once, under its name."""
    kinds = {row.label: kind_of(row) for row in seen.table.rows}
    several = len({block.pair for block in seen.table.blocks}) > 1
    found: dict[str, dict[str, Point]] = {}
    for row in tabulate_costs(seen.entries, [seen.metric]):
        value = row.means[0]
        if value is None or any(key not in row.costs for key in COSTS):
            continue
        alone = row.role is not RowRole.METHOD
        role = "teacher" if row.role is RowRole.TEACHER else "student"
        label = f"{row.network} alone" if several and alone else f"{role} alone" if alone else row.label
        label += f", {row.network}" if several and not alone else ""
        costs = tuple(row.costs[key] for key in COSTS)
        point = Point(label, kinds[row.label], alone, value, costs)
        key = label if alone else f"{row.pair} {row.label}"
        found.setdefault(row.dataset, {}).setdefault(key, point)
    return {dataset: list(points.values()) for dataset, points in found.items()}


def _front(points: Sequence[Point], number: int, *, lower: bool) -> list[Point]:
    """Those that nothing beats, by cost."""
    sign = -1 if lower else 1
    return unbeaten(points, lambda point: point.costs[number], lambda point: sign * point.value)


def _labelled(points: Sequence[Point], metric: str) -> list[Point]:
    if len(points) <= MANY:
        return list(points)
    fronts = [p for number in range(len(COSTS)) for p in _front(points, number, lower=metric in LOWER_IS_BETTER)]
    return [point for point in points if point.alone or point in fronts]


def _panel(axes: "Axes", points: Sequence[Point], number: int, *, lower: bool) -> None:
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    front = _front(points, number, lower=lower)
    line: Look = {"color": "0.6", "linewidth": 1, "zorder": 1, "drawstyle": "steps-post"}
    axes.plot([p.costs[number] for p in front], [100 * p.value for p in front], **line)
    for point in points:
        look = {**look_of(point.kind), "markeredgewidth": 0.5}
        axes.plot([point.costs[number]], [100 * point.value], linestyle="none", **look)
    low, high = min(p.costs[number] for p in points), max(p.costs[number] for p in points)
    axes.set_xscale("log")
    axes.set_xlim(low / 1.6, high * 1.6)
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if high > 30 * low else (1, 2, 5), numticks=5))
    axes.xaxis.set_major_formatter("{x:g}" if COSTS[number] in UNITS else EngFormatter(sep=" "))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(UNITS.get(COSTS[number], HEADINGS[COSTS[number]]), fontsize=7)
    axes.tick_params(labelsize=7)
    axes.grid(color="0.92", linewidth=0.6)
    axes.margins(y=0.12)
    despine(axes)

"""Macro-F1 on the device against what the taken form costs there; who is on the front."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from kdbench.results.figures._looks import (
    CHARACTER,
    LINE,
    kinds_legend,
    label_at_right,
    left_out,
    look_of,
    on_a_page,
    unbeaten,
)
from kdbench.results.figures.panels import Look, style, wrapped
from kdbench.results.statistics.intervals import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MANY = 16
"""Of more rows only those on the front and networks alone are labelled."""
LONGEST = 34
ASIDE = 0.055
"""Inches between marks of one cost, which stand side by side."""
NEAR = 0.4
"""How far from its cost a mark may stand, as a share of the way to the next cost."""
AXES = {"size": "bytes of the file", "latency": "latency of one window on one thread (ms)"}
"""What the horizontal axis is called, by the cost."""
EIGHT, BOTH, WHOLE = "all in 8 bits", "8 bits, some 32", "all in 32 bits"


class Mark(NamedTuple):
    """A row with its network, over the cells that were taken."""

    label: str
    kind: str
    cost: float
    """Mean of the forms."""
    costs: tuple[float, float]
    """The least and the most of a form."""
    value: float
    """Macro-F1 on the device, in percent."""
    interval: Interval | None
    """Of that, in percent, where it is known."""
    bits: tuple[int, ...]
    """Of the weights of the forms, 8 or 32 or both."""
    level: bool = True
    """Whether it is of the same seeds and folds as most, so that it may be on the front."""


def deploy_figure(found: Mapping[str, Sequence[Mark]], cost: str, width: float, warning: str = "") -> "Figure":
    """A panel for each dataset that fits on a page; the line joins what nothing beats at as little cost.

    Args:
        found: the marks of each dataset, at least one each.
        cost: what ``AXES`` has.
        width: inches.
        warning: of the protocol, written below.
    """
    with style():
        return _drawn(found, cost, width, warning)


def _drawn(found: Mapping[str, Sequence[Mark]], cost: str, width: float, warning: str) -> "Figure":
    from matplotlib.figure import Figure

    shown = {dataset: _labelled(marks) for dataset, marks in found.items()}
    names = {dataset: [_short(mark.label) for mark in each] for dataset, each in shown.items()}
    longest = CHARACTER * max(len(name) for each in names.values() for name in each)
    margin = (0.06 * (width - 0.6) + 0.1 + longest) / 1.06  # labels begin at 1.06 times the width of the axes
    heights = [max(2.0, LINE * (len(each) + 2)) for each in shown.values()]
    kinds = dict.fromkeys(mark.kind for each in found.values() for mark in each)
    others = _others([mark for each in found.values() for mark in each])
    said = [AXES[cost], *([wrapped(warning, width / CHARACTER)] if warning else [])]
    words = [*kinds, *others]
    above = 0.4 + 0.15 * -(-len(words) // max(1, int(width / (0.45 + CHARACTER * max(map(len, words))))))
    below = 0.52 + LINE * "\n".join(said).count("\n")
    lines = on_a_page([each + 0.45 for each in heights], above + below)
    if more := left_out(len(found) - lines, "dataset"):
        said.append(more)
    height = sum(heights[:lines]) + 0.45 * (lines - 1) + above + below
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(lines, 1, squeeze=False, height_ratios=heights[:lines])
    figure.subplots_adjust(left=0.6 / width, right=1 - margin / width, bottom=below / height, top=1 - above / height)
    figure.subplots_adjust(hspace=0.45 * lines / sum(heights[:lines]))
    for axes, (dataset, marks) in zip(grid.flat, found.items(), strict=False):
        places = _panel(axes, marks, cost)
        axes.set_title(_short(dataset), fontsize=8, loc="left")
        at = [(places[mark], mark.value) for mark in shown[dataset]]
        colours = [look_of(mark.kind)["color"] for mark in shown[dataset]]
        label_at_right(axes, at, names[dataset], colours, size=6.5, relpos=(0, 0.5))
    figure.supylabel("macro-F1 on the device (%)", fontsize=8, x=0.005)
    figure.supxlabel("\n".join(said), fontsize=8)
    kinds_legend(figure, kinds, others, width)
    return figure


def _short(label: str) -> str:
    """A label in one line; a long one keeps its beginning and its end, which names the network."""
    text = " ".join(label.split())
    half = LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[: LONGEST - half - 1]}…{text[-half:]}"


def _front(marks: Sequence[Mark]) -> list[Mark]:
    """Costs that are read as the same are the same; what is of other seeds or folds is set beside nobody."""
    return unbeaten([mark for mark in marks if mark.level], lambda mark: read(mark.cost), lambda mark: mark.value)


def read(cost: float) -> float:
    """A cost in the three digits that tables show of it: files of one network differ by single bytes."""
    return float(f"{cost:.3g}")


def _labelled(marks: Sequence[Mark]) -> list[Mark]:
    if len(marks) <= MANY:
        return list(marks)
    there = _front(marks)
    return [mark for mark in marks if mark.kind == "reference" or mark in there]


def _others(marks: Sequence[Mark]) -> dict[str, Look]:
    """What the legend says beside the kinds."""
    words = dict.fromkeys(_bits(mark) for mark in marks)
    looks: dict[str, Look] = {
        word: {"color": "0.35", "marker": "o", "markersize": 6, "linestyle": "none", **_filling(word, "0.35")}
        for word in (EIGHT, BOTH, WHOLE)
        if word in words
    }
    if BOTH in words:
        looks["from seed to seed"] = {"color": "0.35", "linewidth": 0.8, "linestyle": ":"}
    looks["the front"] = {"color": "0.6", "linewidth": 1}
    if any(mark.interval for mark in marks):
        looks["95 % over people"] = {"color": "0.6", "marker": "|", "markersize": 9, "linestyle": "none"}
    return looks


def _bits(mark: Mark) -> str:
    return EIGHT if mark.bits == (8,) else WHOLE if mark.bits == (32,) else BOTH


def _filling(word: str, colour: str) -> Look:
    """A full sign for 8 bits, an empty one for 32, a half one where they are mixed."""
    if word == EIGHT:
        return {"markeredgecolor": "white", "markeredgewidth": 0.5}
    style = {"fillstyle": "left"} if word == BOTH else {"markerfacecolor": "white"}
    return {"markeredgecolor": colour, "markeredgewidth": 1.0, "markerfacecoloralt": "white", **style}


def _panel(axes: "Axes", marks: Sequence[Mark], cost: str) -> dict[Mark, float]:
    """Draw a panel; where each mark stands."""
    _scale(axes, marks, cost)
    there, places = _front(marks), _places(axes, marks)
    line: Look = {"color": "0.6", "linewidth": 1, "zorder": 1, "drawstyle": "steps-post"}
    axes.plot([mark.cost for mark in there], [mark.value for mark in there], **line)
    for mark, at in places.items():
        look = {**look_of(mark.kind), **_filling(_bits(mark), look_of(mark.kind)["color"])}
        look["markersize"] = 0.8 * look["markersize"]
        if mark.interval is not None:
            thin: Look = {"color": look["color"], "linewidth": 0.8, "alpha": 0.5, "zorder": 1.5}
            axes.plot([at, at], [mark.interval.low, mark.interval.high], **thin)
        if len(mark.bits) > 1:
            axes.plot(mark.costs, [mark.value] * 2, color=look["color"], linewidth=0.8, linestyle=":", zorder=1.5)
        axes.plot([at], [mark.value], linestyle="none", **look)
    return places


def _scale(axes: "Axes", marks: Sequence[Mark], cost: str) -> None:
    import seaborn
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    low, high = min(mark.costs[0] for mark in marks), max(mark.costs[1] for mark in marks)
    few = axes.get_window_extent().width / axes.figure.dpi < 3
    axes.set_xscale("log")
    axes.set_xlim(low / (1.4 if few else 1.15), high * 1.15)
    subs = (1,) if high > 30 * low else (1, 2, 5) if few else (1, 2, 3, 5, 7)
    axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=8))
    axes.xaxis.set_major_formatter("{x:g}" if cost == "latency" else EngFormatter(unit="B", sep=" "))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(labelsize=7)
    axes.grid(color="0.92", linewidth=0.6)
    axes.margins(y=0.06)
    seaborn.despine(ax=axes)


def _places(axes: "Axes", marks: Sequence[Mark]) -> dict[Mark, float]:
    """Where marks stand on a logarithmic axis: at their cost, those of one cost side by side around it.

    They keep nearer to their own cost than to the next one, however many they are, and the axis has room for all.
    """
    low, high = axes.get_xlim()
    inch = math.log(high / low) * axes.figure.dpi / axes.get_window_extent().width
    groups: dict[float, list[Mark]] = {}
    for mark in sorted(marks, key=lambda each: read(each.cost)):
        groups.setdefault(read(mark.cost), []).append(mark)
    gaps = [math.inf, *(math.log(more / less) for less, more in pairwise(groups)), math.inf]
    found: dict[Mark, float] = {}
    for number, same in enumerate(groups.values()):
        room = NEAR * 2 * min(gaps[number], gaps[number + 1]) / max(1, len(same) - 1)
        for place, mark in enumerate(same):
            found[mark] = mark.cost * math.exp(min(ASIDE * inch, room) * (place - (len(same) - 1) / 2))
    edge = math.exp(ASIDE * inch)
    axes.set_xlim(min(low, min(found.values()) / edge), max(high, max(found.values()) * edge))
    return found

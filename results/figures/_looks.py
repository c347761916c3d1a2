"""How figures of a matrix look: widths, colours and signs of kinds, labels that keep clear of each other."""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, TypeVar

from kdbench.kinds import KINDS
from kdbench.results.figures.panels import WIDTH, Look, name, wrapped
from kdbench.results.metrics import LOWER_IS_BETTER, title
from kdbench.results.place import RowRole
from kdbench.results.tables.model import Block, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

T = TypeVar("T")

ONE, TWO = 3.5, 7.2
"""Inches of one and of two columns of a page."""
PAGE = 9.5
"""Inches of a page's height."""
CHARACTER = 0.062
"""Inches that a character of a label takes, on average."""
LINE = 0.13
"""Inches between two lines of a label."""

_COLOURS = {
    "reference": ("0.35", "s"),
    "logit": ("#0173b2", "o"),
    "feature": ("#de8f05", "D"),
    "relation": ("#029e73", "^"),
    "contrastive": ("#cc78bc", "v"),
    "mutual": ("#56b4e9", "P"),
    "self": ("#949494", "X"),
    "ours": ("#d55e00", "*"),
}
_OTHERS = (("#ca9161", "<"), ("#fbafe4", ">"), ("#ece133", "p"), ("0.2", "h"))
assert _COLOURS.keys() == set(KINDS)


def look_of(kind: str) -> Look:
    """The colour and the sign of a kind of method, the same in every figure; signs are told apart in grey too."""
    colour, sign = _COLOURS.get(kind) or _OTHERS[sum(map(ord, kind)) % len(_OTHERS)]
    return {"color": colour, "marker": sign, "markersize": 9 if sign == "*" else 6, "markeredgecolor": "white"}


def looks_of(names: Iterable[str]) -> dict[str, Look]:
    """A colour and a sign for each of a few names that are no kinds of methods."""
    known = [*_COLOURS.values(), *_OTHERS][1:]  # grey is for what others are compared with
    signs = zip(names, cycle(known))
    return {name: {"color": colour, "marker": sign, "markersize": 5} for name, (colour, sign) in signs}


def kind_of(row: Row) -> str:
    """A row's kind; that of both networks alone is reference."""
    return row.kind if row.role is RowRole.METHOD else "reference"


def columns_of(width: float, panels: int, *, least: float) -> int:
    """How many panels stand side by side, each ``least`` inches wide or more."""
    return max(1, min(panels, int(width // least)))


def on_a_page(heights: Sequence[float], room: float) -> int:
    """How many of the first lines of panels fit on a page with so many inches beside them; at least one."""
    fitting = (number for number in range(len(heights), 0, -1) if sum(heights[:number]) + room <= PAGE)
    return next(fitting, 1)


def left_out(count: int, what: str) -> str:
    """What a figure says of panels that it has no room for; empty where it has."""
    return f"{count} more {what}{'s' if count > 1 else ''} not drawn" if count else ""


def gain_label(metric: str, *, over_people: bool) -> str:
    """What an axis of gains over student alone is called."""
    said = ["points", *(["mean over people"] if over_people else [])]
    said += ["below 0 is better"] if metric in LOWER_IS_BETTER else []
    return f"gain in {title(metric)} over student alone ({', '.join(said)})"


def block_title(block: Block, width: float) -> str:
    """A block in lines that fit into so many inches."""
    fits = max(12, width / CHARACTER)
    return f"{wrapped(block.dataset, fits)}\n{wrapped(block.pair, fits)}"


def lines_of(text: str) -> int:
    """How many lines a text has."""
    return text.count("\n") + 1


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Places near the wanted ones, in their order, at least ``gap`` apart."""
    order = sorted(range(len(wanted)), key=lambda number: wanted[number])
    groups: list[list[float]] = []  # [sum of (place - offset), how many]
    for place, number in enumerate(order):
        groups.append([wanted[number] - place * gap, 1])
        while len(groups) > 1 and groups[-2][0] / groups[-2][1] >= groups[-1][0] / groups[-1][1]:
            total, count = groups.pop()
            groups[-1][0] += total
            groups[-1][1] += count
    placed, at = [0.0] * len(wanted), 0
    for total, count in groups:
        for _ in range(int(count)):
            placed[order[at]] = total / count + at * gap
            at += 1
    return placed


def label_at_right(
    axes: "Axes",
    points: Sequence[tuple[float, float]],
    labels: Sequence[str],
    colours: Sequence[Any],
    *,
    size: float,
    **arrow: Any,
) -> None:
    """Write labels outside at the right, each at the height of its point, moved where they would collide.

    A thin line leads from a label to its point; ``arrow`` says more of it, as matplotlib does. The axes must have its
    final limits and height.
    """
    low, high = axes.get_ylim()
    inches = axes.get_window_extent().height / axes.figure.dpi
    places = spread([y for _, y in points], (high - low) * LINE * (size / 7) / max(0.1, inches))
    transform = axes.get_yaxis_transform()
    for (x, y), at, label, colour in zip(points, places, labels, colours, strict=True):
        axes.annotate(
            label,
            xy=(x, y),
            xytext=(1.06, at),
            textcoords=transform,
            va="center",
            ha="left",
            fontsize=size,
            color=colour,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": "0.75", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2, **arrow},
        )


def kinds_legend(figure: "Figure", kinds: Iterable[str], others: "dict[str, Look]", width: float) -> None:
    """Say above the panels what colours and signs mean; below them is what the axes mean."""
    looks: dict[str, Look] = {kind: {"linestyle": "none", **look_of(kind)} for kind in kinds}
    looks |= others
    legend_above(figure, looks, width)


def legend_above(figure: "Figure", looks: "dict[str, Look]", width: float) -> None:
    """A legend in as many columns as there is room for."""
    from matplotlib.lines import Line2D

    longest = max(map(len, looks))
    columns = max(1, min(len(looks), int(width / (0.45 + CHARACTER * longest))))
    handles = [Line2D([], [], **look) for look in looks.values()]
    words = [text if len(text) <= WIDTH else wrapped(text, WIDTH) for text in looks]
    # The legend is laid out with words as long as those that are written then, which may begin with an underscore.
    sized = [re.sub(r"^_", "x", word).replace("$", "S") for word in words]
    made = figure.legend(
        handles, sized, loc="outside upper center", ncols=columns, frameon=False, fontsize=7, handletextpad=0.4
    )
    name(made, looks)


def unbeaten(points: Iterable[T], cost: Callable[[T], float], value: Callable[[T], float]) -> list[T]:
    """Those that nothing beats at as little cost, by cost; of several that are alike the first."""
    kept: list[T] = []
    for point in sorted(points, key=lambda each: (cost(each), -value(each))):
        if not kept or value(point) > value(kept[-1]):
            kept.append(point)
    return kept

"""Average ranks over blocks, from five groups of people on."""

from typing import TYPE_CHECKING

from kdbench.results.figures._looks import CHARACTER, kind_of, kinds_legend, look_of
from kdbench.results.figures.panels import despine, wrapped
from kdbench.results.metrics import title as metric_title
from kdbench.results.seen import Seen
from kdbench.results.statistics.ranks import WITNESSES
from kdbench.results.tables.family import Family
from kdbench.text import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST = 28


def draw(seen: Seen, width: float) -> "Figure":
    """A line for each row, the best first, with the interval of its rank; bars join rows that are not told apart.

    Raises:
        ValueError: below five groups of people, or without a comparison over people.
    """
    from matplotlib.figure import Figure

    found = seen.judged.overall
    if found is None:
        raise ValueError(f"no ranks to draw: {seen.judged.reason}")
    if found.panel.witnesses < WITNESSES:
        groups = counted(found.panel.witnesses, "group")
        raise ValueError(f"no diagram of ranks: {groups} of people, {WITNESSES} are wanted")
    places, spans = found.places, found.place_intervals
    order = sorted(range(len(found.rows)), key=lambda m: float(places[m]))
    labels = [wrapped(found.rows[m].label, LONGEST) for m in order]
    figure = Figure(figsize=(width, 1.1 + 0.24 * len(order)), layout="constrained")
    axes = figure.subplots()
    for y, m in enumerate(order):
        axes.plot([spans[m].low, spans[m].high], [y, y], color="0.3", linewidth=1.5)
        axes.plot([places[m]], [y], linestyle="none", **look_of(kind_of(found.rows[m])))
    last = float(len(order))
    for number, (first, end) in enumerate(_groups(found, order)):
        x = last + 0.35 + 0.18 * number
        axes.plot([x, x], [first - 0.25, end + 0.25], color="0.1", linewidth=2.5, solid_capstyle="butt")
    axes.set_yticks(range(len(order)), labels)
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set_xticks(range(1, len(order) + 1))
    axes.tick_params(labelsize=7, length=0)
    axes.grid(axis="y", visible=False)
    despine(axes, "left")
    said = f"average rank by {metric_title(seen.metric)} over blocks, 95 % interval; bars: not told apart"
    figure.supxlabel(wrapped(said, width / CHARACTER), fontsize=7)
    kinds_legend(figure, dict.fromkeys(kind_of(found.rows[m]) for m in order), {}, width)
    return figure


def _groups(found: Family, order: list[int]) -> list[tuple[int, int]]:
    """Longest runs of rows, in their order, of which none is shown better than another; first and last of each."""
    labels = [found.rows[m].label for m in order]
    runs: list[tuple[int, int]] = []
    for first in range(len(labels)):
        last = first
        while last + 1 < len(labels) and not any(
            found.shown(label, labels[last + 1]) for label in labels[first : last + 1]
        ):
            last += 1
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs

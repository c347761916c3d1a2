"""Who gains and who is harmed: every person from student alone to a method."""

from typing import TYPE_CHECKING, Any

from kdbench.results.figures._looks import LINE, block_title, columns_of, legend_above, lines_of, spread
from kdbench.results.figures.panels import Look, despine, wrapped
from kdbench.results.metrics import title as metric_title
from kdbench.results.place import RowRole
from kdbench.results.seen import Seen
from kdbench.results.tables.people import Panel, arranged
from kdbench.results.words.answers import EQUIVALENT, ROUNDING
from kdbench.results.words.captions import capital

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS: dict[str, dict[str, Any]] = {
    "gains": {"color": "#0173b2", "linestyle": "-", "linewidth": 1.2},
    "about the same": {"color": "0.6", "linestyle": ":", "linewidth": 1.0},
    "harmed": {"color": "#d55e00", "linestyle": "--", "linewidth": 1.5},
}


def draw(seen: Seen, width: float) -> "Figure":
    """A panel for each block and method (the one of the highest value unless rows are named), a line a person.

    Raises:
        ValueError: if nothing is known of single people, with the reason.
    """
    from matplotlib.figure import Figure

    panels, reason = _panels(seen)
    if not panels:
        raise ValueError(f"no people to draw: {reason}")
    columns = columns_of(width, len(panels), least=1.7)
    lines = -(-len(panels) // columns)
    titles = [f"{wrapped(each.rows[1].label, 30)}\n{block_title(each.blocks[0], width / columns)}" for each in panels]
    most = max(len(each.people) for each in panels)
    height = max(2.2, 0.11 * most) + LINE * max(map(lines_of, titles))
    figure = Figure(figsize=(width, lines * height + 0.5), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    for number, axes in enumerate(grid.flat):
        axes.set_visible(number < len(panels))
    for axes, heading, each in zip(grid.flat, titles, panels, strict=False):
        _panel(axes, each, height)
        axes.set_title(heading, fontsize=7, y=1.0)
    figure.supylabel(f"{capital(metric_title(seen.metric))} of each person (%)", fontsize=8)
    _legend(figure, width)
    return figure


def _panels(seen: Seen) -> tuple[list[Panel], str]:
    """Student alone with each row that is shown, block by block; and why there is none, where there is none."""
    student, reason = seen.table.student, "there is no student alone"
    found: list[Panel] = []
    for number, block in enumerate(seen.table.blocks if student else ()):
        for row in seen.shown(block):
            if row.role is RowRole.METHOD and student is not None:
                complete = row.scores[number].complete and student.scores[number].complete
                both: Panel | str = "a row is incomplete"
                if complete:
                    both = arranged(seen.people, seen.table, [student, row], [block])
                if isinstance(both, str):
                    reason = both
                else:
                    found.append(both)
    return found, reason if student is None or seen.table.methods else "there are no methods"


def _panel(axes: "Axes", found: Panel, height: float) -> None:
    before, after = (100 * found.by_person[m, 0] for m in (0, 1))
    low, high = min(before.min(), after.min()), max(before.max(), after.max())
    room = max(1.0, 0.05 * (high - low))
    axes.set_ylim(low - room, high + room)
    for one, other in zip(before, after, strict=True):
        axes.plot([0, 1], [one, other], marker="o", markersize=3, **LOOKS[_kind(other - one)])
    gap = (high - low + 2 * room) * 0.1 / height
    places = spread([float(value) for value in after], gap)
    for person, one, other, at in zip(found.people, before, after, places, strict=True):
        colour = LOOKS[_kind(other - one)]["color"]
        colour = "0.4" if colour == "0.6" else colour
        axes.annotate(
            person[:12], xy=(1, other), xytext=(1.12, at), fontsize=6, va="center", color=colour, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": "0.8", "linewidth": 0.4, "shrinkA": 0, "shrinkB": 2},
        )  # fmt: skip
    axes.set_xlim(-0.1, 1.35)
    axes.set_xticks([0, 1], ["student\nalone", "with the\nmethod"])
    axes.tick_params(labelsize=7, length=0)
    axes.grid(axis="x", visible=False)
    axes.grid(axis="y", color="0.92", linewidth=0.6)
    despine(axes, "bottom")


def _kind(change: float) -> str:
    limit = 100 * EQUIVALENT + ROUNDING
    return "gains" if change > limit else "harmed" if change < -limit else "about the same"


def _legend(figure: "Figure", width: float) -> None:
    words = [
        f"gains more than {100 * EQUIVALENT:g} points",
        "about the same",
        f"harmed: loses more than {100 * EQUIVALENT:g}",
    ]
    looks: dict[str, Look] = {
        word: {"marker": "o", "markersize": 3, **look} for word, look in zip(words, LOOKS.values(), strict=True)
    }
    legend_above(figure, looks, width)

"""Which stages a merge of stages reads: the weight of each, as methods report it."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kdbench.results.figures._looks import CHARACTER, LINE, columns_of, left_out, legend_above, lines_of
from kdbench.results.figures.panels import Look, despine, wrapped
from kdbench.results.seen import Seen
from kdbench.results.statistics import mean
from kdbench.results.tables.model import Block

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = 24
"""More than that fit on no page."""
FACT = re.compile(r"stage_weight_(student|teacher)_(\d+)")
LOOKS = {"teacher": ("0.35", "s", "-0.12"), "student": ("#d55e00", "o", "0.12")}
Weights = Mapping[str, Mapping[int, Sequence[float]]]
"""By side and stage: of each run."""


def draw(seen: Seen, width: float) -> "Figure":
    """A panel for each row of each block that reports them: runs as small signs, means joined by a line.

    Raises:
        ValueError: if no method reports them.
    """
    from matplotlib.figure import Figure

    found: dict[str, Weights] = {}
    for block in seen.table.blocks:
        for row in seen.table.methods:
            if seen.rows and row.label not in seen.rows:
                continue
            weights = _weights(seen, (block, row.label))
            if weights:
                found[f"{row.label}\n{block.dataset}\n{block.pair}"] = weights
    if not found:
        raise ValueError("no weights of stages to draw: no method of this matrix reports them")
    more = max(0, len(found) - PANELS)
    found = dict(list(found.items())[:PANELS])
    columns = columns_of(width, len(found), least=1.7)
    lines = -(-len(found) // columns)
    titles = [wrapped(title, width / columns / CHARACTER) for title in found]
    height = 1.3 + LINE * max(map(lines_of, titles))
    figure = Figure(figsize=(width, lines * height + 0.6), layout="constrained")
    grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
    for number, axes in enumerate(grid.flat):
        axes.set_visible(number < len(found))
    for axes, heading, weights in zip(grid.flat, titles, found.values(), strict=False):
        _panel(axes, weights)
        axes.set_title(heading, fontsize=7, y=1.0)
    grid.flat[0].set_ylim(bottom=0)  # of all, whose highest is known only now
    figure.supxlabel("stage, shallow to deep", fontsize=8)
    figure.supylabel("weight", fontsize=8)
    _legend(figure, width, more)
    return figure


def _weights(seen: Seen, where: tuple[Block, str]) -> Weights:
    sides: dict[str, dict[int, list[float]]] = {}
    for run in seen.found.get(where, ()):
        for fact, value in run.record.facts.items() if run.record else ():
            match = FACT.fullmatch(fact)
            if match:
                sides.setdefault(match[1], {}).setdefault(int(match[2]), []).append(value)
    return sides


def _panel(axes: "Axes", weights: Weights) -> None:
    most = max(max(stages) for stages in weights.values())
    for side, stages in weights.items():
        colour, sign, aside = LOOKS[side]
        for stage, values in stages.items():
            places = [stage + float(aside)] * len(values)
            axes.plot(places, values, sign, color=colour, markersize=3, alpha=0.5, markeredgewidth=0)
        means = [mean(stages[stage]) for stage in sorted(stages)]
        places = [stage + float(aside) for stage in sorted(stages)]
        axes.plot(places, means, marker=sign, color=colour, linewidth=1.2, markersize=5, markeredgecolor="white")
    axes.set_xticks(range(1, most + 1))
    axes.tick_params(labelsize=7)
    axes.grid(axis="x", visible=False)
    axes.grid(axis="y", color="0.92", linewidth=0.6)
    despine(axes)


def _legend(figure: "Figure", width: float, more: int) -> None:
    looks: dict[str, Look] = {
        f"of the {side}'s stages": {"color": colour, "marker": sign, "markersize": 5}
        for side, (colour, sign, _) in LOOKS.items()
    }
    if more:
        looks[left_out(more, "panel")] = {"linestyle": "none"}
    legend_above(figure, looks, width)

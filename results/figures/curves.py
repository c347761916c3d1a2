"""Learning curves: how far each row learnt its training windows, beside what it got right on others."""

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from kdbench.results.epochs import Curve, curves
from kdbench.results.figures._looks import CHARACTER, LINE, columns_of, left_out, legend_above, lines_of, on_a_page
from kdbench.results.figures.panels import Look, despine, wrapped
from kdbench.results.record import TRAIN_ACCURACY
from kdbench.results.seen import Seen
from kdbench.results.statistics import mean
from kdbench.results.tables.model import Block
from kdbench.results.tables.scores import scalar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLOCKS = 6
"""More blocks than that cannot be told apart in one panel."""
RING: Look = {"marker": "o", "markersize": 5, "markerfacecolor": "white"}
STYLES = ("-", "--", "-.", ":")


def draw(seen: Seen, width: float) -> "Figure":
    """A panel for each row, a line for each block: mean over runs, from the lowest to the highest shaded.

    Where no training accuracy was recorded it is the sum of the losses, as a share of what it was after the first
    epoch. A ring at the end is the accuracy on the windows that were judged.

    Raises:
        ValueError: if no run has a curve.
    """
    from matplotlib.figure import Figure

    blocks = seen.table.blocks[:BLOCKS]
    found = {row.label: [curves(seen, block, row.label) for block in blocks] for row in seen.table.rows}
    found = {label: each for label, each in found.items() if any(each)}
    if not found:
        raise ValueError("no learning curves to draw: no run has one")
    accuracy = all(TRAIN_ACCURACY in run.extra for each in found.values() for runs in each for run in runs)
    columns = columns_of(width, len(found), least=1.6)
    fits = width / columns / CHARACTER
    height = 1.3 + LINE * max(lines_of(wrapped(label, fits)) for label in found)
    lines = on_a_page([height] * -(-len(found) // columns), 0.5 + LINE * len(blocks))
    more = max(0, len(found) - lines * columns)
    found = dict(list(found.items())[: lines * columns])
    titles = [wrapped(label, fits) for label in found]
    figure = Figure(figsize=(width, lines * height + 0.5 + LINE * len(blocks)), layout="constrained")
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    looks = _looks(blocks)
    for number, axes in enumerate(grid.flat):
        axes.set_visible(number < len(found))
        axes.tick_params(labelbottom=number + columns >= len(found), labelsize=7)
    for axes, heading, (label, each) in zip(grid.flat, titles, found.items(), strict=False):
        for block, runs in zip(blocks, each, strict=True):
            if runs:
                _line(axes, seen, block, label, runs, looks[block], accuracy=accuracy)
        _furnish(axes, heading)
    if not accuracy:
        grid.flat[0].set_ylim(bottom=0)  # of all, whose highest is known only now
    figure.supxlabel("\n".join(filter(None, ["epoch", left_out(more, "row")])), fontsize=8)
    said = "accuracy (%)" if accuracy else "loss (share of the first)"
    figure.supylabel(said, fontsize=8)
    _legend(figure, looks, width, accuracy=accuracy, more=len(seen.table.blocks) - len(blocks))
    return figure


def _looks(blocks: Sequence[Block]) -> dict[Block, dict[str, Any]]:
    import seaborn

    palette = seaborn.color_palette("colorblind", max(1, len(blocks)))
    return {
        block: {"color": colour, "linestyle": style}
        for block, colour, style in zip(blocks, palette, cycle(STYLES), strict=False)
    }


def _line(
    axes: "Axes", seen: Seen, block: Block, label: str, runs: Sequence[Curve], look: dict[str, Any], *, accuracy: bool
) -> None:
    shortest = min(len(run.loss) for run in runs)
    values = np.array(
        [
            [100 * value for value in run.extra[TRAIN_ACCURACY][:shortest]]
            if accuracy
            else [loss / run.loss[0] if run.loss[0] else np.nan for loss in run.loss[:shortest]]
            for run in runs
        ]
    )
    epochs = np.arange(1, shortest + 1)
    middle = values.mean(axis=0)
    axes.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=look["color"], alpha=0.2, linewidth=0)
    axes.plot(epochs, middle, linewidth=1.2, **look, marker="." if shortest == 1 else "")
    if accuracy:
        scores = [scalar(run.record, "accuracy") for run in seen.found[block, label]]
        test = [100 * score for score in scores if score is not None]
        if test:
            ring = {**RING, "color": look["color"], "linestyle": "none"}
            axes.plot([shortest], [mean(test)], clip_on=False, zorder=5, **ring)


def _furnish(axes: "Axes", heading: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(heading, fontsize=7, y=1.0)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.grid(color="0.92", linewidth=0.6)
    despine(axes)


def _legend(figure: "Figure", looks: dict[Block, dict[str, Any]], width: float, *, accuracy: bool, more: int) -> None:
    same_pair = len({block.pair for block in looks}) == 1
    said: dict[str, Look] = {
        (block.dataset if same_pair else f"{block.dataset}, {block.pair}"): {"linewidth": 1.2, **look}
        for block, look in looks.items()
    }
    if accuracy:
        said["on judged windows, at the end"] = {**RING, "color": "0.3", "linestyle": "none"}
    if more:
        said[left_out(more, "block")] = {"linestyle": "none"}
    legend_above(figure, said, width)

"""How training went: losses and accuracy on training windows, and whether it was still going on at the end."""

from collections.abc import Sequence

import numpy as np

from kdbench.results.epochs import Curve, curves
from kdbench.results.record import TRAIN_ACCURACY
from kdbench.results.seen import Seen
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.tables.model import Block
from kdbench.results.tables.scores import scalar
from kdbench.results.views._parts import gained, number, page_of, percent
from kdbench.results.words.looks import not_there


def page(seen: Seen) -> Page:
    """A sheet for each block with a line for each row: how it went, mean over runs."""
    parts: list[Sheet | str] = []
    for block in seen.table.blocks:
        found = {row.label: curves(seen, block, row.label) for row in seen.table.rows}
        known = {label: each for label, each in found.items() if each}
        if known:
            lines = tuple(_line(seen, block, label, each) for label, each in known.items())
            parts.append(Sheet(COLUMNS, lines, f"{block.dataset}, {block.pair}"))
        parts.append(not_there(block, [label for label in found if label not in known]))
    legend = (
        "Loss: sum of a method's losses, to be compared within a row alone. Still falling: how much of all that it "
        "fell, it fell in the last tenth of the epochs. Train: accuracy of what is deployed on training windows after "
        "the last epoch, where it was recorded; test: on those that were judged. A training accuracy that is low, or "
        "still rising, says that the recipe is too short for this network. Means over runs."
    )
    return page_of(seen, "learning curves", [*parts, legend])


COLUMNS = (
    Column("method", numeric=False),
    *(Column("epochs"), Column("loss, first", "loss_first"), Column("half way", "loss_half")),
    *(Column("last", "loss_last"), Column("still falling", "falling")),
    *(Column("train, half way", "train_half"), Column("train, last", "train_last"), Column("test", "test")),
    Column("train - test", "gap"),
)


def _line(seen: Seen, block: Block, label: str, found: Sequence[Curve]) -> tuple[Cell, ...]:
    epochs = max(len(each.loss) for each in found)
    first, half, last = (_mean([each.at(each.loss, share) for each in found]) for share in (0, 0.5, 1))
    falling = _mean([each.falling for each in found])
    train = [_mean([each.at(each.extra.get(TRAIN_ACCURACY, ()), share) for each in found]) for share in (0.5, 1)]
    values = [scalar(run.record, "accuracy") for run in seen.found[block, label]]
    test = _mean([value for value in values if value is not None])
    losses = [number(value, f"{value:.3g}") for value in (first, half, last)]
    return (
        *(Cell(label), Cell(epochs), *losses, number(falling, f"{100 * falling:.0f} %")),
        *(percent(train[0]), percent(train[1]), percent(test), gained(train[1] - test)),
    )


def _mean(values: Sequence[float]) -> float:
    kept = [value for value in values if np.isfinite(value)]
    return float(np.mean(kept)) if kept else float("nan")

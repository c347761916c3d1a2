"""F1 of every class, of every row."""

from collections.abc import Sequence

import numpy as np

from kdbench.results.entry import Entry
from kdbench.results.seen import Seen
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.tables.confusion import confusion, f1
from kdbench.results.tables.model import Block
from kdbench.results.views._parts import abreast, page_of, percent
from kdbench.results.words.looks import not_there, one_class


def page(seen: Seen) -> Page:
    """A sheet for each block: F1 by class, averaged over seeds, of what all folds of a seed predict together."""
    parts: list[Sheet | str] = []
    for block in seen.table.blocks:
        scores = {row.label: _by_class(seen.found.get((block, row.label), ())) for row in seen.table.rows}
        known = {label: each for label, each in scores.items() if each is not None}
        parts += _sheets(seen, block, known)
        parts.append(not_there(block, [label for label in scores if label not in known]))
    legend = (
        "F1 in percent of each class, mean over seeds; in brackets the class's share of the windows that were judged. "
        "A class that was never predicted has 0; – is one that nobody has and nothing predicts."
    )
    return page_of(seen, "F1 by class", [*parts, legend, *one_class(seen)])


def _by_class(runs: Sequence[Entry]) -> "np.typing.NDArray[np.float64] | None":
    """(K,) F1 averaged over seeds, below it (K,) windows by true class."""
    seeds = dict.fromkeys(run.place.seed for run in runs)
    counts = [confusion([run for run in runs if run.place.seed == seed]) for seed in seeds]
    whole = [each for each in counts if each is not None]
    if not whole or len(whole) < len(counts) or len({each.shape for each in whole}) > 1:
        return None
    return np.stack([np.mean([f1(each) for each in whole], axis=0), whole[0].sum(axis=1)])


def _sheets(seen: Seen, block: Block, known: "dict[str, np.typing.NDArray[np.float64]]") -> list[Sheet | str]:
    if not known:
        return []
    windows = next(iter(known.values()))[1]
    names = seen.names(block, len(windows))
    sheets: list[Sheet | str] = []
    for which, group in abreast(range(len(names))):
        shares = [f"{names[k]} ({100 * windows[k] / windows.sum():.0f} %)" for k in group]
        columns = (
            Column("method", numeric=False),
            *(Column(heading, names[k]) for k, heading in zip(group, shares, strict=True)),
        )
        lines = tuple((Cell(label), *(percent(float(scores[0][k])) for k in group)) for label, scores in known.items())
        sheets.append(Sheet(columns, lines, f"{block.dataset}, {block.pair}{which}"))
    return sheets

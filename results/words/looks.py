"""What views, figures and reports say of a matrix: sentences that several of them share."""

from collections.abc import Sequence

from kdbench.results.seen import Seen
from kdbench.results.tables.confusion import collapsed
from kdbench.results.tables.model import Block
from kdbench.results.words.captions import as_asked, searched
from kdbench.results.words.numbers import listed
from kdbench.text import counted


def conditions(seen: Seen) -> str:
    """Under which conditions the numbers hold, in one sentence."""
    table, asked = seen.table, seen.asked
    side = f"{table.side} split" if table.side else "no runs yet"
    seeds = f"seed {table.seeds[0]}" if len(table.seeds) == 1 else f"{len(table.seeds)} seeds"
    return f"{'; '.join([side, *as_asked(asked), seeds, *searched(asked), f'kdbench {seen.version}'])}."


def one_class(seen: Seen) -> list[str]:
    """A warning for each row with runs that predict one class for every window."""
    said = []
    for each in collapsed(seen.entries):
        names = seen.classes.get(each.dataset, ())
        runs = [
            f"{seed}: {names[number] if number < len(names) else f'class {number}'}"
            for seed, number in each.seeds.items()
        ]
        said.append(
            f"Warning: {each.row} on {each.dataset}, {each.pair}, predicts one class for every window "
            f"(seed {listed(runs)})."
        )
    return said


def not_there(block: Block, labels: Sequence[str]) -> str:
    """Which rows have nothing to show in a block; empty where each has."""
    return f"Nothing to show on {block.dataset}, {block.pair}, of {listed(labels)}." if labels else ""


def runs_of(seen: Seen, block: Block, label: str) -> str:
    """``6 seeds``, ``6 seeds and 10 folds``; how much a line of a view rests on."""
    runs = seen.found.get((block, label), ())
    seeds, folds = {run.place.seed for run in runs}, {run.place.fold for run in runs}
    return counted(len(seeds), "seed") + (f" and {counted(len(folds), 'fold')}" if len(folds) > 1 else "")

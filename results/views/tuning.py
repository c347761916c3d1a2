"""What a search found for each row, and where none was made."""

import json
from collections.abc import Sequence

from kdbench.results.entry import Entry
from kdbench.results.place import UNTUNED
from kdbench.results.seen import Seen
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.tables.model import Block
from kdbench.results.tables.scores import TUNED
from kdbench.results.views._parts import page_of
from kdbench.results.words.costs import NOTHING

WIDTH = 60
"""Characters of settings on a line; more become another one."""


def page(seen: Seen) -> Page:
    """The budget, then for each block what each row was trained with that a search found."""
    if not seen.asked.preset:
        said = (
            "No search: hyper-parameters are defaults where a row does not say otherwise. `kdbench tune` searches with "
            "one budget for every row and writes a preset; `kdbench run --preset FILE` uses it, and "
            "`kdbench table --preset FILE --beside-default` tells what it changed."
        )
        return page_of(seen, "tuning", [said])
    parts: list[Sheet | str] = [f"Settings are from {seen.asked.preset}."]
    for block in seen.table.blocks:
        lines = [
            line
            for row in seen.table.rows
            if (runs := _runs(seen, block, row.label))
            for line in _lines(row.label, runs)
        ]
        columns = tuple(Column(name, numeric=False) for name in ("row", "searched", "trained with"))
        if lines:
            parts.append(Sheet(columns, tuple(lines), f"{block.dataset}, {block.pair}"))
    legend = (
        "Searched: on which data and networks the settings of a row were found; what is from elsewhere was found for "
        "another block. A row that is untuned has the recipe's own. Where methods are tuned and student alone is not, "
        "gains are of tuning as well."
    )
    return page_of(seen, "tuning", [*parts, legend])


def _runs(seen: Seen, block: Block, label: str) -> list[Entry]:
    """Of a row in a block, those of a reference left out: it is not searched."""
    return [
        entry
        for entry in seen.entries
        if (entry.place.dataset, entry.place.pair, entry.place.row) == (block.dataset, block.pair, label)
        and entry.place.tuned
    ]


def _lines(label: str, runs: Sequence[Entry]) -> list[tuple[Cell, ...]]:
    """The first line says who and whether; settings go on below where they are many."""
    cell = next((run.record.cell for run in runs if run.record), None)
    if cell is None:
        said = ["not run yet"]
    else:
        recipe, method = cell.get("recipe", {}), cell.get("method", {})
        known = {key: recipe[key] for key in TUNED if key in recipe} | method.get("settings", {})
        said = _wrapped([f"{key} {_plain(value)}" for key, value in known.items()]) or [NOTHING]
    note = runs[0].place.tuned
    first = (Cell(label), Cell("no" if note == UNTUNED else note), Cell(said[0]))
    return [first, *((Cell(""), Cell(""), Cell(text)) for text in said[1:])]


def _plain(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def _wrapped(words: Sequence[str]) -> list[str]:
    found: list[str] = []
    for word in words:
        if found and len(found[-1]) + len(word) + 2 <= WIDTH:
            found[-1] += f", {word}"
        else:
            found.append(word)
    return found

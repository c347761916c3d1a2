"""One sheet a dataset: every method on every pair."""

from collections.abc import Sequence

from kdbench.results.metrics import title
from kdbench.results.pages.cells import HEAD, gain_cell, head, judged_cells, score_cell
from kdbench.results.place import RowRole
from kdbench.results.sheet import Cell, Column, Sheet
from kdbench.results.tables.family import Judged
from kdbench.results.tables.model import Row
from kdbench.results.words.captions import capital

WIDEST = 160
"""Signs in a line that can still be read."""
BESIDE = 3
"""More pairs than these stand below each other."""


def dataset_sheets(judged: Judged) -> list[Sheet]:
    """A sheet for each dataset of a table: pairs beside each other, or as rows where they are many or too wide."""
    blocks = judged.table.blocks
    return [
        _dataset_sheet(judged, dataset, [number for number, block in enumerate(blocks) if block.dataset == dataset])
        for dataset in dict.fromkeys(block.dataset for block in blocks)
    ]


def _dataset_sheet(judged: Judged, dataset: str, numbers: Sequence[int]) -> Sheet:
    names, shared = short_pairs([judged.table.blocks[number].pair for number in numbers])
    silent = {found.silent: None for number in numbers if (found := judged.families[number]) and found.silent}
    said = [shared, *(f"no interval and no tier: {reason}" for reason in silent)]
    about = (
        f"{capital(title(judged.table.metric))} on {dataset}",
        " ".join(f"{capital(each)}." for each in said if each),
    )
    if len(numbers) <= BESIDE:
        told = any(found is not None and not found.silent for found in map(judged.families.__getitem__, numbers))
        for intervals in (True, False) if told else (False,):
            sheet = Sheet(*_beside(judged, numbers, names, intervals=intervals), *about)
            if width(sheet) <= WIDEST:
                return sheet
    return Sheet(*_below(judged, numbers, names), *about)


def short_pairs(pairs: Sequence[str]) -> tuple[list[str], str]:
    """Pairs as headings, and the words that they share: ``["mlp", "cnn"]`` and ``teacher resnet``."""
    if len(pairs) == 1:
        return ["score"], f"pair {pairs[0]}"
    teachers, _, students = zip(*(pair.partition(":") for pair in pairs), strict=True)
    if len(set(teachers)) == 1 and all(students):
        return list(students), f"teacher {teachers[0]}, each heading or line a student"
    if len(set(students)) == 1 and all(students):
        return list(teachers), f"student {students[0]}, each heading or line a teacher"
    return list(pairs), ""


def _beside(
    judged: Judged, numbers: Sequence[int], names: Sequence[str], *, intervals: bool
) -> tuple[tuple[Column, ...], tuple[tuple[Cell, ...], ...]]:
    """A line for each row of the table, columns for each pair."""
    columns = list(HEAD)
    for number, name in zip(numbers, names, strict=True):
        block = judged.table.blocks[number]
        key = f"{block.dataset} {block.pair}"
        columns += [Column(name, f"{key} mean"), Column("gain", f"{key} gain")]
        columns += [Column("95 %", f"{key} interval")] * intervals
    lines = []
    for row in judged.table.rows:
        line = list(head(row))
        for number in numbers:
            line += _cells(judged, row, number)[: 3 if intervals else 2]
        lines.append(tuple(line))
    return tuple(columns), tuple(lines)


def _below(
    judged: Judged, numbers: Sequence[int], names: Sequence[str]
) -> tuple[tuple[Column, ...], tuple[tuple[Cell, ...], ...]]:
    """A line for each pair and row."""
    columns = (
        *(Column("pair", numeric=False), *HEAD, Column("score", "mean"), Column("gain")),
        *(Column("95 %", "interval"), Column("adjusted p", "p_adjusted")),
    )
    lines = tuple(
        (Cell(judged.table.blocks[number].pair, name), *head(row), *_cells(judged, row, number))
        for number, name in zip(numbers, names, strict=True)
        for row in judged.table.rows
    )
    return columns, lines


def _cells(judged: Judged, row: Row, number: int) -> list[Cell]:
    """Score, gain, the gain's interval and its adjusted p-value."""
    score = row.scores[number]
    untaught = row.role is RowRole.TEACHER and judged.table.blocks[number] in judged.table.untaught
    return [score_cell(score, untaught=untaught), gain_cell(score), *judged_cells(row, judged.families[number])]


def width(sheet: Sheet) -> int:
    """Signs in a line of a sheet as Markdown has it, bold and marks included."""
    cells = [[len(column.heading), *map(_length, cells)] for column, cells in _columns(sheet)]
    return 1 + sum(3 + max(lengths) for lengths in cells)


def _columns(sheet: Sheet) -> list[tuple[Column, list[Cell]]]:
    return [(column, [row[number] for row in sheet.rows]) for number, column in enumerate(sheet.columns)]


def _length(cell: Cell) -> int:
    bold = 4 if cell.standing else 0
    return len(cell.body) + bold + (len(cell.note) + 3 if cell.note else 0) + (len(cell.marks) + 1 if cell.marks else 0)

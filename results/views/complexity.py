"""How large and how fast what each row deploys is, beside how well it does."""

from kdbench.results.metrics import title
from kdbench.results.seen import Seen
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.tables.costs import COMPARED, CostRow, tabulate_costs
from kdbench.results.views._parts import page_of, percent
from kdbench.results.words.costs import ADDED, HEADINGS, NOTHING, ratio, shown


def page(seen: Seen) -> Page:
    """A sheet for each block with a line for each row, in the table's order."""
    rows = tabulate_costs(seen.entries, [seen.metric])
    columns = (
        *(Column("method", numeric=False), Column(title(seen.metric), seen.metric)),
        *(Column(HEADINGS[key], key) for key in COMPARED),
        Column("training adds", ADDED),
    )
    parts: list[Sheet | str] = []
    for block in seen.table.blocks:
        here = {row.label: row for row in rows if (row.dataset, row.pair) == (block.dataset, block.pair)}
        lines = [_line(here[row.label]) for row in seen.table.rows if row.label in here]
        parts.append(Sheet(columns, tuple(lines), f"{block.dataset}, {block.pair}"))
    legend = (
        "Of what is deployed, for one window; in brackets: how many times less than the teacher, below 1 more. "
        "Multiply-adds: convolutions and matrix products. Activations: peak of what is live at once; file: weights "
        "and buffers; both in float32. Latency: one window on one CPU thread, timed where it was trained, beside "
        "whatever else that machine did. Training adds: parameters that the method trains beside the student's, "
        "dropped afterwards. – was not recorded: a reference has neither layers nor parameters."
    )
    return page_of(seen, "complexity", [*parts, legend])


def _line(row: CostRow) -> tuple[Cell, ...]:
    return (
        Cell(row.label),
        percent(row.means[0]) if row.means[0] is not None else Cell(None, row.state or NOTHING),
        *(_cost(row, key) for key in (*COMPARED, ADDED)),
    )


def _cost(row: CostRow, key: str) -> Cell:
    value, less = row.costs.get(key), row.ratios.get(key)
    return Cell(value, shown(key, value), note="" if less is None else ratio(less))

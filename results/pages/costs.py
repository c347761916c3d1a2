"""Costs for readers: the page of networks alone and of what each method deploys."""

from collections.abc import Mapping, Sequence

from kdbench.results.entry import Asked, Entry
from kdbench.results.metrics import title
from kdbench.results.pages.cells import score_cell, state_cell
from kdbench.results.place import RowRole
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.tables.alone import NetworkRow, alone, tabulate_networks
from kdbench.results.tables.costs import COMPARED, CostRow, tabulate_costs
from kdbench.results.tables.model import Standing
from kdbench.results.tables.scores import tabulate
from kdbench.results.words.captions import caption, reasons
from kdbench.results.words.costs import ADDED, HEADINGS, NOTHING, ratio, shown

LEGEND = (
    "Costs are of what is deployed, for one window. Multiply-adds: "
    "convolutions and matrix products; activations: peak of what is live at once, in float32; file: weights and "
    "buffers in float32; latency: batch 1 on one CPU thread, median within a run and over runs, timed where the "
    "run was trained, beside whatever else that machine did, once for each worker process and network, so rows "
    "may share it"
)
PAIRS_LEGEND = (
    "; in brackets: how many times less than the teacher, below 1 more; training adds: parameters that the method "
    "trains beside the student's"
)


def costs_page(
    entries: Sequence[Entry],
    metrics: Sequence[str] = ("macro_f1", "accuracy"),
    *,
    asked: Asked,
    version: str,
) -> Page:
    """Every network alone with its scores, then what each method deploys against the teacher.

    ``version`` is that of kdbench.

    Raises:
        ValueError: as `tabulate` does, or without metrics.
    """
    if not metrics:
        raise ValueError("costs_page: no metrics came")
    parts: list[Sheet | str] = [*_networks(entries, metrics, asked, version)]
    legend = LEGEND
    methods = [entry for entry in entries if entry.place.role is RowRole.METHOD]
    if methods:
        parts += _pair_sheets(tabulate_costs(entries, metrics[:1]))
        legend = ". ".join([legend + PAIRS_LEGEND, *reasons(methods)])
    return Page("kdbench: costs", (*parts, f"{legend}. kdbench {version}."))


def _networks(entries: Sequence[Entry], metrics: Sequence[str], asked: Asked, version: str) -> list[Sheet | str]:
    """A sheet for each dataset, and a caption."""
    rows = tabulate_networks(entries, metrics)
    if not rows:
        return []
    sheets = [
        _network_sheet(dataset, [row for row in rows if row.dataset == dataset], metrics)
        for dataset in dict.fromkeys(row.dataset for row in rows)
    ]
    runs = alone(entries)
    conditions = caption(runs, tabulate(runs, metrics[0]), asked, version, metrics=metrics)
    bold = f"Bold: none does better in {title(metrics[0])} with as many multiply-adds, or as well with fewer."
    return [*sheets, f"{conditions} {bold}"]


def _network_sheet(dataset: str, rows: Sequence[NetworkRow], metrics: Sequence[str]) -> Sheet:
    columns = [Column("network", numeric=False), *(Column(title(metric), metric) for metric in metrics)]
    lines = [
        (
            Cell(row.network, standing=Standing.BEST if row.front else None),
            *map(score_cell, row.scores),
            *(_cost(row.costs, key) for key in COMPARED),
        )
        for row in rows
    ]
    return Sheet((*columns, *_cost_columns()), tuple(lines), f"Networks alone on {dataset}")


def _pair_sheets(rows: Sequence[CostRow]) -> list[Sheet]:
    """A sheet for each dataset and pair."""
    columns = (Column("method", numeric=False), *_cost_columns(), Column("training adds", ADDED))
    return [
        Sheet(columns, tuple(_line(row) for row in rows if (row.dataset, row.pair) == block), ", ".join(block))
        for block in dict.fromkeys((row.dataset, row.pair) for row in rows)
    ]


def _line(row: CostRow) -> tuple[Cell, ...]:
    if not row.costs:
        return Cell(row.label), state_cell(row.state), *[Cell(None, NOTHING)] * len(COMPARED)
    less = {key: ratio(value) for key, value in row.ratios.items()}
    compared = [_cost(row.costs, key, less.get(key, "")) for key in COMPARED]
    return Cell(row.label), *compared, _cost(row.costs, ADDED)


def _cost(costs: Mapping[str, float], key: str, less: str = "") -> Cell:
    value = costs.get(key)
    return Cell(value, shown(key, value), note=less)


def _cost_columns() -> list[Column]:
    return [Column(HEADINGS[key], key) for key in COMPARED]

"""What the networks of a matrix cost: from records to a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from kdbench.results.render import NOTHING, csv_text, pipe_table
from kdbench.results.table import Block, Entry, Role

HEADINGS = {
    "parameters": "parameters",
    "multiply_adds": "multiply-adds",
    "elementwise": "element-wise",
    "activation_memory": "activations",
    "file_size": "file",
    "latency_ms": "latency",
    "latency_p95_ms": "p95",
    "throughput": "windows/s",
}
"""What a cost is called, in the order of the columns."""

COMPARED = ("parameters", "multiply_adds", "activation_memory", "file_size", "latency_ms")
"""Costs of which a student has less than its teacher."""

ADDED = "method_parameters"


@dataclass(frozen=True)
class CostRow:
    """What the model that a row deploys costs, each number the median over the row's runs."""

    dataset: str
    pair: str
    label: str
    role: Role
    costs: Mapping[str, float]
    ratios: Mapping[str, float]
    """How many times less than the teacher's, by cost; empty for the teacher itself."""


def tabulate_costs(entries: Sequence[Entry]) -> list[CostRow]:
    """A row for each row of each block, in the order of the entries; costs that no run recorded are left out."""
    blocks: dict[Block, dict[tuple[str, Role], list[Mapping[str, float]]]] = {}
    for entry in entries:
        rows = blocks.setdefault(Block(entry.dataset, entry.pair), {})
        recorded = rows.setdefault((entry.row, entry.role), [])
        if entry.status == "done" and entry.record is not None:
            recorded.append(entry.record.costs)
    found = []
    for block, rows in blocks.items():
        costs = {head: _medians(recorded) for head, recorded in rows.items()}
        teacher = next((costs[head] for head in rows if head[1] == "teacher"), {})
        for (label, role), cost in costs.items():
            ratios = {} if role == "teacher" else compression(teacher, cost)
            found.append(CostRow(block.dataset, block.pair, label, role, cost, ratios))
    return found


def compression(teacher: Mapping[str, float], student: Mapping[str, float]) -> dict[str, float]:
    """How many times less than the teacher the student costs."""
    return {key: teacher[key] / student[key] for key in COMPARED if key in teacher and student.get(key)}


def costs_report(entries: Sequence[Entry], *, version: str) -> str:
    """A Markdown page with a table for each dataset and pair; ``version`` is that of kdbench."""
    parts = ["# kdbench: costs"]
    found = tabulate_costs(entries)
    for dataset, pair in dict.fromkeys((row.dataset, row.pair) for row in found):
        header = ["method", *(HEADINGS[key] for key in COMPARED), "training adds"]
        lines = [
            [row.label, *(_cell(row, key) for key in COMPARED), shown(ADDED, row.costs.get(ADDED))]
            for row in found
            if (row.dataset, row.pair) == (dataset, pair)
        ]
        parts += [f"## {dataset}, {pair}", pipe_table([header, *lines], left=1)]
    caption = (
        "What is deployed costs this for one window; in brackets how many times less than the teacher. Multiply-adds: "
        "convolutions and matrix products; activations: peak of what is live at once, in float32; file: weights and "
        "buffers in float32; latency: batch 1 on one CPU thread, median within a run and over runs, timed where the "
        "run was trained, beside whatever else that machine did, once for each worker process and network, so rows "
        "may share it; training adds: parameters that the method trains "
        f"beside the student's. kdbench {version}."
    )
    return "\n\n".join([*parts, caption]) + "\n"


def costs_csv(entries: Sequence[Entry]) -> str:
    """One line per dataset, pair and row, with every cost and ratio in full precision."""
    header = ["dataset", "pair", "row", "role", *HEADINGS, ADDED, *(f"{key}_ratio" for key in COMPARED)]
    lines: list[list[object]] = [[*header]]
    for row in tabulate_costs(entries):
        costs = [row.costs.get(key) for key in (*HEADINGS, ADDED)]
        lines.append(
            [row.dataset, row.pair, row.label, row.role, *costs, *(row.ratios.get(key) for key in COMPARED)],
        )
    return csv_text(lines)


def shown(key: str, value: float | None) -> str:
    """A cost as people read it: ``2,975,622``, ``261 M``, ``6.61 kB``, ``1.2 ms``."""
    if value is None:
        return NOTHING
    if key.endswith("parameters"):
        return f"{value:,.0f}"
    if key.endswith("_ms"):
        return f"{value:.3g} ms" if value < 999.5 else f"{value:,.0f} ms"
    return _scaled(value, "B" if key in ("activation_memory", "file_size") else "")


def ratio(value: float) -> str:
    """A compression ratio: ``36×``."""
    return f"{value:.3g}×" if value < 999.5 else f"{value:,.0f}×"


def _scaled(value: float, unit: str) -> str:
    """Three digits and a decimal prefix."""
    for prefix in ("", "k", "M", "G"):
        if value < 999.5:
            return f"{value:.3g} {prefix}{unit}".rstrip()
        value /= 1000
    return f"{value:.3g} T{unit}"


def _cell(row: CostRow, key: str) -> str:
    text = shown(key, row.costs.get(key))
    return f"{text} ({ratio(row.ratios[key])})" if key in row.ratios else text


def _medians(recorded: Sequence[Mapping[str, float]]) -> dict[str, float]:
    keys = dict.fromkeys(key for costs in recorded for key in costs)
    return {key: median(costs[key] for costs in recorded if key in costs) for key in keys}

"""What the networks of a matrix cost: from records to a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kdbench.results.aggregate import tabulate
from kdbench.results.captions import caption, reasons
from kdbench.results.metrics import title
from kdbench.results.networks import alone, median_costs, tabulate_networks
from kdbench.results.render import NOTHING, csv_text, pipe_table, score_text, state_text
from kdbench.results.table import Block, Entry, Role, Score

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
    network: str
    costs: Mapping[str, float]
    ratios: Mapping[str, float]
    """How many times less than the teacher's, by cost; empty for the teacher itself."""
    means: tuple[float | None, ...]
    """Of each metric over the row's runs; None unless it is complete."""
    state: str | None
    """What is missing of the first metric, in words; None where nothing is, or no metric was asked for."""


def tabulate_costs(entries: Sequence[Entry], metrics: Sequence[str] = ()) -> list[CostRow]:
    """A row for each row of each block, in the order of the entries; costs that no run recorded are left out.

    Raises:
        ValueError: as `tabulate` does.
    """
    scores: dict[tuple[Block, str], list[Score]] = {}
    for table in (tabulate(entries, metric) for metric in metrics):
        for row in table.rows:
            for block, score in zip(table.blocks, row.scores, strict=True):
                scores.setdefault((block, row.label), []).append(score)
    costs = median_costs(entries, lambda e: (Block(e.dataset, e.pair), e.row, e.role, e.network))
    teachers = {block: cost for (block, _, role, _), cost in costs.items() if role == "teacher"}
    found = []
    for (block, label, role, network), cost in costs.items():
        ratios = {} if role == "teacher" else compression(teachers.get(block, {}), cost)
        those = scores.get((block, label), [])
        means = tuple(score.mean if score.complete else None for score in those)
        state = those[0].state if those else None
        found.append(CostRow(block.dataset, block.pair, label, role, network, cost, ratios, means, state))
    return found


def compression(teacher: Mapping[str, float], student: Mapping[str, float]) -> dict[str, float]:
    """How many times less than the teacher the student costs."""
    return {key: teacher[key] / student[key] for key in COMPARED if key in teacher and student.get(key)}


def costs_report(
    entries: Sequence[Entry],
    metrics: Sequence[str] = ("macro_f1", "accuracy"),
    *,
    version: str,
    warning: str = "",
) -> str:
    """A Markdown page: every network alone with its scores, then what each method deploys against the teacher.

    ``version`` is that of kdbench, ``warning`` what must be said against the protocol.

    Raises:
        ValueError: as `tabulate` does, or without metrics.
    """
    if not metrics:
        raise ValueError("costs_report: no metrics came")
    parts = ["# kdbench: costs", *_networks(entries, metrics, version, warning)]
    legend = (
        "Costs are of what is deployed, for one window. Multiply-adds: "
        "convolutions and matrix products; activations: peak of what is live at once, in float32; file: weights and "
        "buffers in float32; latency: batch 1 on one CPU thread, median within a run and over runs, timed where the "
        "run was trained, beside whatever else that machine did, once for each worker process and network, so rows "
        "may share it"
    )
    methods = [entry for entry in entries if entry.role == "method"]
    if methods:
        parts += _pairs(tabulate_costs(entries, metrics[:1]))
        legend += (
            "; in brackets: how many times less than the teacher; training adds: parameters that the method trains "
            "beside the student's"
        )
        legend = ". ".join([legend, *reasons(methods)])
    return "\n\n".join([*parts, f"{legend}. kdbench {version}."]) + "\n"


def _networks(entries: Sequence[Entry], metrics: Sequence[str], version: str, warning: str) -> list[str]:
    """A table for each dataset, and a caption."""
    rows, parts = tabulate_networks(entries, metrics), []
    for dataset in dict.fromkeys(row.dataset for row in rows):
        header = ["network", *map(title, metrics), *(HEADINGS[key] for key in COMPARED)]
        lines = [
            [f"**{row.network}**" if row.front else row.network]
            + [score_text(score) for score in row.scores]
            + [shown(key, row.costs.get(key)) for key in COMPARED]
            for row in rows
            if row.dataset == dataset
        ]
        parts += [f"## Networks alone on {dataset}", pipe_table([header, *lines], left=1)]
    if not parts:
        return []
    runs = alone(entries)
    conditions = caption(runs, tabulate(runs, metrics[0], warning=warning), version, metrics=metrics)
    bold = f"Bold: none does better in {title(metrics[0])} with as many multiply-adds, or as well with fewer."
    return [*parts, f"{conditions} {bold}"]


def _pairs(rows: Sequence[CostRow]) -> list[str]:
    """A table for each dataset and pair."""
    parts = []
    for dataset, pair in dict.fromkeys((row.dataset, row.pair) for row in rows):
        header = ["method", *(HEADINGS[key] for key in COMPARED), "training adds"]
        lines = [
            [row.label, *(_cell(row, key) for key in COMPARED), shown(ADDED, row.costs.get(ADDED))]
            if row.costs
            else [row.label, state_text(row.state), *[NOTHING] * len(COMPARED)]
            for row in rows
            if (row.dataset, row.pair) == (dataset, pair)
        ]
        parts += [f"## {dataset}, {pair}", pipe_table([header, *lines], left=1)]
    return parts


def costs_csv(entries: Sequence[Entry], metrics: Sequence[str] = ("macro_f1", "accuracy")) -> str:
    """One line per dataset, pair and row: metrics, every cost and ratio, in full precision.

    A metric is the mean over runs, as a fraction, and empty where a run is missing; ``state`` says what is. ``front``
    is that of `NetworkRow`, of the networks alone.

    Raises:
        ValueError: as `tabulate` does.
    """
    fronts = {(row.dataset, row.network): row.front for row in tabulate_networks(entries, metrics)}
    header = ["dataset", "pair", "row", "role", "network", "state", "front", *metrics, *HEADINGS, ADDED]
    lines: list[list[object]] = [[*header, *(f"{key}_ratio" for key in COMPARED)]]
    for row in tabulate_costs(entries, metrics):
        front = None if row.role == "method" else fronts[row.dataset, row.network]
        line: list[object] = [row.dataset, row.pair, row.label, row.role, row.network, row.state or "complete", front]
        line += row.means
        line += [row.costs.get(key) for key in (*HEADINGS, ADDED)]
        lines.append([*line, *(row.ratios.get(key) for key in COMPARED)])
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

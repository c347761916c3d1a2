"""What the model that each row deploys costs, beside the teacher's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kdbench.results.entry import Entry
from kdbench.results.place import RowRole
from kdbench.results.tables.alone import median_costs
from kdbench.results.tables.model import Block, Score
from kdbench.results.tables.scores import tabulate

COMPARED = ("parameters", "multiply_adds", "activation_memory", "file_size", "latency_ms")
"""Costs of which a student has less than its teacher."""


@dataclass(frozen=True)
class CostRow:
    """What the model that a row deploys costs, each number the median over the row's runs."""

    dataset: str
    pair: str
    label: str
    role: RowRole
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
    costs = median_costs(entries, _deployed)
    teachers = {block: cost for (block, _, role, _), cost in costs.items() if role is RowRole.TEACHER}
    found = []
    for (block, label, role, network), cost in costs.items():
        ratios = {} if role is RowRole.TEACHER else compression(teachers.get(block, {}), cost)
        those = scores.get((block, label), [])
        means = tuple(score.mean if score.complete else None for score in those)
        state = those[0].state if those else None
        found.append(CostRow(block.dataset, block.pair, label, role, network, cost, ratios, means, state))
    return found


def _deployed(entry: Entry) -> tuple[Block, str, RowRole, str]:
    place = entry.place
    return Block(place.dataset, place.pair), place.row, place.role, place.network


def compression(teacher: Mapping[str, float], student: Mapping[str, float]) -> dict[str, float]:
    """How many times less than the teacher the student costs."""
    return {key: teacher[key] / student[key] for key in COMPARED if key in teacher and student.get(key)}

"""How long a cell will take, from how long cells like it took."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from itertools import islice

import torch

from kdbench.commands.pace import finished_cells
from kdbench.costs.estimate import Estimate
from kdbench.errors import KdbenchError
from kdbench.machine import Runtime
from kdbench.plan.model import Plan, origin_of
from kdbench.provenance.environment import device_name
from kdbench.spec.cell import Cell
from kdbench.store.records import Store

ENOUGH = 200
"""How many finished cells are asked beside those of the plan."""


class Forecast:
    """Seconds of cells, by the work of their networks and what that took before, method by method.

    Args:
        plan: what is to be run; only cells on its windows are asked.
        where: store and device.
    """

    def __init__(self, plan: Plan, where: Runtime) -> None:
        self._plan, self._estimate = plan, Estimate(where)
        worked: dict[str, float] = defaultdict(float)
        took: dict[str, float] = defaultdict(float)
        known = finished_cells(plan, Store(where.store), device_name(torch.device(where.device)))
        for record in islice(known, len(plan.cells) + ENOUGH):
            cell = Cell.from_plain(record.cell)
            with suppress(KdbenchError):  # of a network that is not here
                worked[cell.method.name] += self.work(cell)
                took[cell.method.name] += record.seconds
        self._rates = {name: took[name] / worked[name] for name in worked if worked[name]}
        whole = sum(worked.values())
        self._rate = sum(took.values()) / whole if whole else None

    @property
    def known(self) -> bool:
        """Whether anything was run before."""
        return self._rate is not None

    def work(self, cell: Cell) -> float:
        """What only compares cells of one method with each other."""
        return self._estimate(cell, self._plan.origins[origin_of(cell)])

    def __call__(self, cell: Cell) -> float:
        """Seconds, where ``known``; else what compares cells with each other."""
        return self.work(cell) * self._rates.get(cell.method.name, 1.0 if self._rate is None else self._rate)

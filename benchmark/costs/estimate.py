"""A guess at how long a cell trains, in multiply-adds: right enough to compare cells with each other."""

from __future__ import annotations

from functools import cache

import torch

from kdbench.catalog.build import load_data, make_network
from kdbench.catalog.find import NETWORKS
from kdbench.costs.counting import multiply_adds, parameters
from kdbench.data import Description
from kdbench.machine import Runtime
from kdbench.spec.cell import Cell, Part

FITTED = 3e7
"""What fitting a reference counts for each window: about as long as a small network needs for an epoch or two."""


class Estimate:
    """Guesses for the cells of one run.

    Args:
        where: where their data are.
    """

    def __init__(self, where: Runtime) -> None:
        self.where = where
        self._data = cache(self._read)
        self._network = cache(_network_work)

    def __call__(self, cell: Cell, dataset: Part) -> float:
        """A cell's work, trained on a dataset's windows; only ratios between cells matter."""
        windows, about = self._data(dataset)
        if cell.fitted:
            return FITTED * windows
        learning = [cell.student] + ([cell.teacher] if cell.teacher and cell.role.learns else [])
        once = 0.0
        for part in learning:
            counted, size = self._network(part, about)
            # Forward and backward pass; an optimiser step that reads and writes each parameter; a fixed overhead.
            once += 3 * counted * cell.recipe.batch_size + 125 * size + 2e7
        return once * max(1, windows // cell.recipe.batch_size) * cell.recipe.epochs

    def _read(self, dataset: Part) -> tuple[int, Description]:
        data = load_data(dataset, self.where)
        return len(data.windows.y), data.description


def _network_work(part: Part, about: Description) -> tuple[int, int]:
    """Multiply-adds per window, and parameters."""
    with torch.random.fork_rng(devices=[]):
        network = make_network(NETWORKS.get(part.name), part, about)
    return multiply_adds(network, len(about.channels), about.length), parameters(network)

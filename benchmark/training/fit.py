"""One cell without epochs: a reference, fitted to training windows at once. Where things are kept is no business of
this file, as with `kdbench.training.work`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kdbench.catalog.channels import seen
from kdbench.catalog.schema import CHANNELS
from kdbench.data import Normalisation, Prepared, Protocol
from kdbench.references import Reference
from kdbench.results.metrics import score
from kdbench.seeds import derive
from kdbench.spec.cell import Cell
from kdbench.training.work import Result

LEAST = 1e-6
"""What a probability of 0 counts as where its logarithm is asked for."""


class Fit:
    """A cell of a reference with everything that it needs.

    Args:
        cell: what is fitted, with the dataset, protocol, fold and seed of the networks that it stands beside.
        data: the dataset's windows.
        protocol: divides them.
        model: the class that the cell names.
    """

    def __init__(self, cell: Cell, data: Prepared, protocol: Protocol, model: type[Reference]) -> None:
        self.cell, self.data = cell, data
        self.split = protocol.split(data.windows, dataset=cell.dataset_name, seed=cell.seed, fold=cell.fold)
        settings = {key: value for key, value in cell.student.settings if key != CHANNELS.name}
        self.model = model(derive("fit", cell.student.name, cell.seed), **settings)

    def run(self) -> Result:
        """Fit, and judge on the evaluation windows, which are opened here and only here."""
        windows, about = self.data.windows, self.data.description
        channels = list(seen(self.cell.student, [channel.name for channel in about.channels]))
        train, rows = self.split.train, self.split.evaluation
        normalisation = Normalisation.fit(windows.x[train])
        x = normalisation.apply(windows.x[train])[:, channels]
        self.model.fit(x, windows.y[train], rate=about.rate, classes=len(about.classes))
        found = self.model.probabilities(normalisation.apply(windows.x[rows])[:, channels])
        logits = np.log(np.maximum(found, LEAST)).astype(np.float32)  # their softmax is what it says, or nearly so
        y, person = windows.y[rows], windows.person[rows]
        predictions: dict[str, npt.NDArray[Any]] = {"logits": logits, "y": y, "person": person, "row": rows}
        metrics = {"student": score(logits, y, person)}
        return Result(metrics, self.model.facts(), predictions, weights={})

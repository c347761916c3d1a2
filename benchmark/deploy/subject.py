"""A finished cell taken out of the store: its model with the weights, its people, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from kdbench.architectures import Backbone, Outputs
from kdbench.catalog.find import METHODS, NETWORKS
from kdbench.data import Normalisation, Prepared, Split, protocol, sealed
from kdbench.errors import KdbenchError
from kdbench.results.record import Record
from kdbench.spec.cell import Cell
from kdbench.store.artefacts import read_weights
from kdbench.store.records import AGAIN, Store
from kdbench.store.use import Use, read_use, use_of
from kdbench.text import first_line
from kdbench.training.evaluate import CHUNK
from kdbench.training.work import Given, Work

CALIBRATED = 256
"""Training windows that ranges of activations are read from."""

CHECKED = 1024
"""Other training windows, by which one way to quantise is chosen over another."""

FITTED = 2048
"""Training windows that the rounding of weights is fitted on; none of those by which is chosen."""

AS_RECORDED = 0.999
"""Share of windows to which the model must give the label that the record has for it: another processor may round."""

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


class Whole(nn.Module):
    """Raw windows (B, C, T) of the channels that the model sees in, probabilities (B, K) out.

    Args:
        network: gives `Outputs` for normalised windows.
        mean: (C,) what is subtracted from each channel.
        deviation: (C,) what it is divided by.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, mean: Floats, deviation: Floats) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.from_numpy(mean)[:, None])
        self.register_buffer("deviation", torch.from_numpy(deviation)[:, None])

    def forward(self, x: Tensor) -> Tensor:
        outputs: Outputs = self.network((x - self.mean) / self.deviation)
        return outputs.logits.float().softmax(dim=1)


@dataclass(frozen=True, eq=False)
class Subject:
    """What is taken.

    Args:
        record: of the cell, done.
        cell: what was trained.
        data: the windows that it was trained and judged on.
        split: which of them are which.
        use: what the model is used with.
        fitted_again: whether that had to be worked out again, since the record is of an older kdbench.
        sees: numbers of the channels that the model sees.
        model: raw windows of these to probabilities, in evaluation mode on one CPU.
    """

    record: Record
    cell: Cell
    data: Prepared
    split: Split
    use: Use
    fitted_again: bool
    sees: tuple[int, ...]
    model: Whole

    def windows(self, rows: Rows) -> Floats:
        """Raw windows (N, C, T) of the channels that the model sees."""
        x = self.data.windows.x[rows]
        return np.ascontiguousarray(x[:, list(self.sees)] if len(self.sees) < x.shape[1] else x)

    @cached_property
    def labels(self) -> npt.NDArray[np.int64]:
        """(N,) of the windows that are judged."""
        return np.asarray(self.data.windows.y[self.split.evaluation])

    @cached_property
    def people(self) -> npt.NDArray[np.int64]:
        """(N,) who each of these is from."""
        return np.asarray(self.data.windows.person[self.split.evaluation])

    @cached_property
    def calibration(self) -> Rows:
        """Training windows, evenly spaced, from which ranges of activations are read."""
        return _spread(self.split.train, CALIBRATED)

    @cached_property
    def check(self) -> Rows:
        """Other training windows, evenly spaced; where there are few, the same."""
        rest = np.setdiff1d(self.split.train, self.calibration)
        return _spread(rest if len(rest) else self.split.train, CHECKED)

    @cached_property
    def fit(self) -> Rows:
        """Training windows, evenly spaced, none of `check` unless there are no others."""
        rest = np.setdiff1d(self.split.train, self.check)
        return _spread(rest if len(rest) else self.split.train, FITTED)

    @cached_property
    def probabilities(self) -> Floats:
        """(N, K) of the judged windows, as torch says them."""
        return probabilities(self.model, self.windows(self.split.evaluation))

    def on_both_sides(self) -> list[int]:
        """People who are judged and of whom there are windows to calibrate on; none but under a protocol that leaks."""
        person = self.data.windows.person
        return sorted({*person[self.calibration].tolist()} & {*person[self.split.evaluation].tolist()})


def take(store: Store, digest: str, data: Prepared) -> Subject:
    """A finished cell with its model.

    Args:
        store: that has it.
        digest: of the cell.
        data: the windows that it was trained on.

    Raises:
        KdbenchError: if it is not done, its files are damaged, or today's code makes another model of its weights.
    """
    record = store.record(digest)
    if record is None or record.status != "done":
        raise KdbenchError(f"{digest} is not done: {record.reason if record else 'it has no record'}")
    cell = Cell.from_plain(record.cell)
    work = _work(cell, data)
    network = _deployed(store, digest, work)
    sees = _sees(network, len(data.description.channels))
    kept = read_use(store, digest)
    use = kept or use_of(data, work.split.train, Normalisation.fit(data.windows.x[work.split.train]))
    mean, deviation = (np.array(each, np.float32)[list(sees)] for each in (use.mean, use.deviation))
    model = Whole(network, mean, deviation).eval().requires_grad_(False)
    subject = Subject(record, cell, data, work.split, use, kept is None, sees, model)
    same = subject.probabilities.argmax(axis=1) == store.predictions(digest)["logits"].argmax(axis=1)
    if same.mean() < AS_RECORDED:
        raise KdbenchError(
            f"{digest}: its weights give {100 * (1 - same.mean()):.1f} % of the windows another label than its record "
            f"has; the code of a network or method is another one by now; {AGAIN}"
        )
    return subject


def probabilities(model: nn.Module, x: Floats) -> Floats:
    """(N, K) of windows x (N, C, T), in the chunks that every evaluation uses."""
    with torch.inference_mode():
        parts = [model(torch.from_numpy(x[first : first + CHUNK])) for first in range(0, len(x), CHUNK)]
    found: Floats = torch.cat(parts).numpy()
    return found


def _work(cell: Cell, data: Prepared) -> Work:
    """The networks and the method, made as they were for training, whatever weights they begin with.

    Raises:
        KdbenchError: if the windows are not those of the cell, or a network or method is not here.
    """
    if data.digest != cell.data:
        raise KdbenchError(f"the windows of {cell.dataset_name} here are not those that the cell was trained on")
    chosen = protocol(cell.protocol)
    given = Given(
        data=sealed(data) if chosen.side == "validation" else data,
        protocol=chosen,
        method=METHODS.get(cell.method.name),
        student=NETWORKS.get(cell.student.name),
        teacher=None if cell.teacher is None else NETWORKS.get(cell.teacher.name),
        taught=None,
        device=torch.device("cpu"),
    )
    with torch.random.fork_rng(devices=[]):
        work = Work(cell, given)
        work.build()
    return work


def _deployed(store: Store, digest: str, work: Work) -> nn.Module:
    network = work.deployed()
    try:
        network.load_state_dict(read_weights(store, digest, torch.device("cpu")))
    except RuntimeError as error:
        raise KdbenchError(
            f"{digest}: its weights do not fit the model that its method deploys by now ({first_line(error)}); {AGAIN}"
        ) from None
    return network.eval()


def _sees(network: nn.Module, channels: int) -> tuple[int, ...]:
    """Which channels a model sees; it is then given them alone, as a device has no others."""
    inside = [module for module in network.modules() if isinstance(module, Backbone)]
    seen = {module.sees for module in inside}
    if len(seen) != 1 or None in seen:
        return tuple(range(channels))
    for module in inside:
        module.sees = None
    (only,) = seen
    return only or ()


def _spread(rows: Rows, count: int) -> Rows:
    """At most so many rows, evenly spaced."""
    if len(rows) <= count:
        return rows
    return rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)]

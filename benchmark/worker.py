"""Running one job: from windows on disk to a record in the store. All that happens in a worker process."""

from __future__ import annotations

import csv
import io
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdbench.account import metrics_of, numbers, record_of, warned
from kdbench.catalog.build import load_data
from kdbench.catalog.find import METHODS, NETWORKS
from kdbench.costs.counting import parameters
from kdbench.costs.timing import costs
from kdbench.data import Prepared, kept, protocol, sealed
from kdbench.errors import KdbenchError, MachineError
from kdbench.files import Refused
from kdbench.fitting import run_fitted
from kdbench.machine import Runtime
from kdbench.provenance.sources import sources
from kdbench.results.record import TRAIN_ACCURACY, Record
from kdbench.schedule.jobs import Job
from kdbench.spec.cell import Cell, Part
from kdbench.store.artefacts import read_checkpoint, read_import, read_weights, write_checkpoint, write_weights
from kdbench.store.claims import claimed
from kdbench.store.plugins import look_in
from kdbench.store.records import Store
from kdbench.store.use import use_of, write_use
from kdbench.text import first_line, printable
from kdbench.training.determinism import reproducible
from kdbench.training.evaluate import predict
from kdbench.training.loop import Diverged, Learner, Training
from kdbench.training.precision import learning_in
from kdbench.training.work import Given, Result, Taught, Work

TIMED = 0.1
"""Seconds for which a network's latency, and its throughput, are timed for the record."""

LEARNT_FROM = 512
"""Training windows whose accuracy is written down after each epoch: a few hundredths of an epoch's work."""

_worker_data = lru_cache(maxsize=2)(load_data)  # a worker's cells often share a dataset
_costs: dict[tuple[Part, int, int, int], dict[str, float]] = {}


def run_job(
    job: Job, runtime: Runtime, on_epoch: Callable[[], None] = lambda: None, *, contained: bool = False
) -> Record:
    """Run a cell from its checkpoint, or from the start, and keep its result.

    What goes wrong in training, such as a loss that is not finite, makes a failed record. A fault of the machine's
    files, or data that are not those of the plan, are raised and leave the cell unfinished.

    Args:
        job: what to run; the cell of its teacher must be done.
        runtime: where.
        on_epoch: called after each epoch.
        contained: whether this process is there for jobs alone, so that Ctrl-C is none of its business and a
            ``KeyboardInterrupt`` comes from the method.

    Raises:
        Elsewhere: if another process has the cell, or has just finished it.
        Refused: if files of the store or the cache cannot be written.
        KdbenchError: if the data are not those of the plan, or the teacher's files are damaged.
    """
    store = Store(runtime.store)
    look_in(store)
    with claimed(store, job.digest, replaces=job.replaces):
        return _run_claimed(job, store, runtime, on_epoch, contained)


def _run_claimed(job: Job, store: Store, runtime: Runtime, on_epoch: Callable[[], None], contained: bool) -> Record:
    cell = job.cell
    if cell.fitted:
        return run_fitted(cell, _data(job, runtime), store)
    with reproducible(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        device = torch.device(runtime.device)
        taught_by = None if cell.teacher_cell is None else store.weights_hash(cell.teacher_cell)
        brought = read_import(store, cell.imported) if cell.imported else None
        attempt = _Attempt(Work(cell, _given(job, store, runtime, device)), store, runtime, contained, brought)
        reason = attempt.run(on_epoch)
    record = record_of(
        cell,
        reason,
        attempt.work.split.side,
        device,
        metrics={} if attempt.result is None else metrics_of(attempt.result),
        facts={} if attempt.result is None else attempt.result.facts,
        costs=attempt.costs,
        warnings=warned(each.message for each in caught),
        seconds=attempt.seconds,
        teacher_weights=taught_by,
        failure=attempt.failure if reason else "",
    )
    if attempt.result is not None:
        write_weights(store, cell.digest, attempt.result.weights)
        work = attempt.work
        write_use(store, cell.digest, use_of(work.given.data, work.split.train, work.normalisation))
    predictions = None if attempt.result is None else attempt.result.predictions
    return store.finish(record, curve=_csv(attempt.curve), predictions=predictions)


def warm_up() -> None:
    """Load what torch loads at the first training, so that copies of this process need not."""
    with reproducible():
        torch.optim.Adam([nn.Parameter(torch.zeros(1))], fused=True)


def lost(job: Job, runtime: Runtime, reason: str, failure: str) -> Record:
    """Keep that a cell failed whose process ended before it could say so itself.

    Raises:
        Elsewhere: if another process has taken the cell since.
        Refused: if files of the store cannot be written.
    """
    store = Store(runtime.store)
    with claimed(store, job.digest, replaces=job.replaces):
        side, device = protocol(job.cell.protocol).side, torch.device(runtime.device)
        record = record_of(job.cell, reason, side, device, failure=failure)
        return store.finish(record, curve="")


def windows(job: Job, runtime: Runtime) -> Prepared:
    """The windows that a job's cell is planned on, all of them.

    Raises:
        KdbenchError: if the data are not those of the plan.
    """
    data = _brought(runtime.prepared / job.cell.data) if runtime.prepared else _worker_data(job.dataset, runtime)
    if data.digest != job.cell.data:
        raise KdbenchError(f"{job.cell.dataset_name} changed since the plan was made; plan again")
    return data


def _data(job: Job, runtime: Runtime) -> Prepared:
    """The windows of a job, but for what its protocol must not see.

    Raises:
        KdbenchError: if the data are not those of the plan.
    """
    data = windows(job, runtime)
    # A search must not even be able to know the test people.
    return sealed(data) if protocol(job.cell.protocol).side == "validation" else data


@lru_cache(maxsize=2)
def _brought(folder: Path) -> Prepared:
    """Windows that were brought to this machine.

    Raises:
        MachineError: if they are not there whole.
    """
    data = kept(folder)
    if data is None:
        raise MachineError(f"{folder} is damaged: not the windows that were brought here")
    return data


def _given(job: Job, store: Store, runtime: Runtime, device: torch.device) -> Given:
    """What the cell starts from.

    Raises:
        KdbenchError: if the data are not those of the plan, or the teacher's files cannot be read.
    """
    cell, data, chosen = job.cell, _data(job, runtime), protocol(job.cell.protocol)
    taught = None
    if cell.teacher_cell is not None:
        logits = store.predictions(cell.teacher_cell)["logits"]
        served = _teacher_folder(cell, cell.teacher_cell, store, runtime, device)
        taught = Taught(read_weights(store, cell.teacher_cell, device), logits, served)
    return Given(
        data=data,
        protocol=chosen,
        method=METHODS.get(cell.method.name),
        student=NETWORKS.get(cell.student.name),
        teacher=None if cell.teacher is None else NETWORKS.get(cell.teacher.name),
        taught=taught,
        device=device,
    )


def _teacher_folder(cell: Cell, teacher_cell: str, store: Store, runtime: Runtime, device: torch.device) -> Path:
    """Where the frozen teacher's outputs are kept: the name holds all that they depend on."""
    code = sources(cell)
    made_from = [teacher_cell, store.weights_hash(teacher_cell)[:16], code["teacher"], code["loop"]]
    return runtime.cache / "teachers" / "-".join([*made_from, device.type, torch.__version__])


class _Outside(BaseException):
    """Carries what whoever watches raised past what is blamed on the method."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


@dataclass
class _Attempt:
    """A training that goes on from its checkpoint, writes checkpoints, and ends with a result or a reason.

    Args:
        work: what is trained.
        store, runtime: where checkpoints are, and how often they are written.
        contained: whether a ``KeyboardInterrupt`` is the method's.
        brought: weights that take the place of training; None where it is trained.
        result, failure: what came of it, or how it failed.
    """

    work: Work
    store: Store
    runtime: Runtime
    contained: bool
    brought: dict[str, torch.Tensor] | None
    result: Result | None = None
    failure: str = "failed"
    costs: dict[str, float] = field(default_factory=dict)
    _earlier: float = 0.0
    _started: float = field(default_factory=time.monotonic)

    @property
    def curve(self) -> list[dict[str, float]]:
        """Losses and facts by epoch; empty where not even the networks could be made."""
        training: Training | None = getattr(self.work, "training", None)
        return [] if training is None else training.curve

    @property
    def seconds(self) -> float:
        """Wall-clock time worked on the cell, stopped runs' checkpointed time included."""
        return self._earlier + time.monotonic() - self._started

    def run(self, on_epoch: Callable[[], None]) -> str | None:
        """Train and evaluate; why that failed, or None."""
        try:
            self.work.build()
            if self.brought is not None:
                self.work.student.network.load_state_dict(self.brought)
            else:
                self._train(on_epoch)
            result = self.work.evaluate()
            self.result = replace(result, facts=numbers(result.facts))
            self.costs = _costs_of_run(self.work)
        except Refused:
            raise
        except _Outside as outside:
            raise outside.error from None
        except Diverged as error:
            reason = str(error)
        except (MemoryError, torch.OutOfMemoryError) as error:
            reason, self.failure = f"out of memory: {first_line(error)}", "out-of-memory"
        except BaseException as error:  # whatever a method raises, SystemExit included, is its own
            if isinstance(error, KeyboardInterrupt) and not self.contained:
                raise
            where = traceback.extract_tb(error.__traceback__)[-1]
            said = f"{type(error).__name__}: {first_line(error)} ({Path(where.filename).name}, line {where.lineno})"
            reason = " ".join(printable(said).split("\n"))
            self.store.write_traceback(self.work.cell.digest, traceback.format_exc())
        else:
            return None
        self.result = None
        return reason

    def _train(self, on_epoch: Callable[[], None]) -> None:
        """Train from the checkpoint, if there is one, to the recipe's end."""
        cell, store, made_from = self.work.cell, self.store, sources(self.work.cell)
        checkpoint = read_checkpoint(store, cell.digest, self.work.device)
        if checkpoint and checkpoint["sources"] == made_from:
            self.work.training.load_state(checkpoint["training"])
            self._earlier = checkpoint["seconds"]
        last, begun = time.monotonic(), self.work.training.epoch

        def observe(training: Training) -> None:
            nonlocal last
            training.curve[-1] = {**numbers(training.curve[-1]), TRAIN_ACCURACY: _train_accuracy(self.work)}
            if training.epoch < cell.recipe.epochs and time.monotonic() - last >= self.runtime.checkpoint_seconds:
                state = {"training": training.state(), "sources": made_from, "seconds": self.seconds}
                write_checkpoint(store, cell.digest, state)
                last = time.monotonic()
            store.write_epoch(cell.digest, training.epoch, begun)
            try:
                on_epoch()
            except Exception as error:
                raise _Outside(error) from error

        store.write_epoch(cell.digest, begun, begun)
        sides = self.work.student, self.work.teacher
        learners = [side.network for side in sides if isinstance(side, Learner)]
        with learning_in(cell.recipe.precision, learners):
            self.work.train(observe)


def _train_accuracy(work: Work) -> float:
    """Share of evenly spaced training windows that what is deployed gets right, in evaluation mode."""
    few = slice(None, None, -(-len(work.x) // LEARNT_FROM))
    guessed = predict(work.deployed(), work.x[few]).argmax(dim=1)
    return float((guessed == work.y[few]).double().mean())


def _costs_of_run(work: Work) -> dict[str, float]:
    """What the deployed model costs, what the method added for training, and what the teacher costs."""
    model = work.deployed()
    found = _costs_of(work, work.cell.student if model is work.student.network else None, model)
    found["method_parameters"] = float(parameters(work.method))
    if work.teacher is not None:
        taught = _costs_of(work, work.cell.teacher, work.teacher.network)
        found |= {f"teacher_{key}": value for key, value in taught.items()}
    return found


def _costs_of(work: Work, part: Part | None, network: nn.Module) -> dict[str, float]:
    """Costs of a network, measured once by a process where it is a known ``part``: they depend on sizes alone."""
    channels, length = work.x.shape[1:]
    if part is None:
        return costs(network, channels, length, seconds=TIMED)
    key = (part, channels, length, len(work.about.classes))
    if key not in _costs:
        _costs[key] = costs(network, channels, length, seconds=TIMED)
    return dict(_costs[key])


def _csv(curve: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    columns = dict.fromkeys(key for row in curve for key in row)  # a loss may appear only in a later epoch
    writer = csv.DictWriter(buffer, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(curve)
    return buffer.getvalue()

"""Running one cell: from windows on disk to a record in the store. All that happens in a worker process."""

from __future__ import annotations

import csv
import io
import os
import platform
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kdbench.architectures import parameters
from kdbench.catalog import DATASETS, METHODS, NETWORKS, code_hash
from kdbench.costs import costs
from kdbench.data import Normalisation, Prepared, Split, prepare, split
from kdbench.errors import KdbenchError
from kdbench.evaluate import predict
from kdbench.methods import Method, Setup
from kdbench.plan import TEACHER_METHOD, build_network, network_shapes
from kdbench.results import SCHEMA, Record, metrics, score
from kdbench.seeds import derive
from kdbench.spec import Cell, Part, Spec
from kdbench.store import Store
from kdbench.teachers import FrozenTeacher
from kdbench.train import Diverged, Learner, Training

LOOP = ("train.py", "evaluate.py", "seeds.py", "teachers.py", "cells.py", "data/_normalise.py", "data/_protocols.py")
"""Files that every cell's numbers come from, beside those of what it names."""

TIMED = 0.1
"""Seconds for which a network's latency, and its throughput, are timed for the record."""


@dataclass(frozen=True)
class Runtime:
    """Where and how cells run; none of it changes their numbers on one machine and device.

    Args:
        store: folder of the run store.
        cache: folder of parsed data and teachers' outputs.
        data_dir: folder of original archives, or None.
        device: torch's name of the device.
        checkpoint_seconds: least time between two checkpoints of a cell.
    """

    store: Path
    cache: Path
    data_dir: Path | None = None
    device: str = "cpu"
    checkpoint_seconds: float = 10.0


def load_data(dataset: Part | Spec, runtime: Runtime, *, download: bool = False) -> Prepared:
    """A dataset's windows, from the cache, the data folder or, if allowed, its distributor."""
    return prepare(
        DATASETS.get(dataset.name)(**dict(dataset.settings)),
        data_dir=runtime.data_dir,
        cache=runtime.cache,
        download=download,
    )


_costs: dict[tuple[Part, int, int, int], dict[str, float]] = {}
_worker_data = lru_cache(maxsize=2)(load_data)  # a worker's cells often share a dataset


def run_cell(cell: Cell, runtime: Runtime, on_epoch: Callable[[], None] = lambda: None) -> Record:
    """Run a cell from its checkpoint, or from the start, and keep its result.

    What goes wrong in training, such as a loss that is not finite, makes a failed record. A fault of the machine's
    files, or data that are not those of the plan, are raised and leave the cell unfinished.

    Args:
        cell: what to run; the cell of its teacher must be done.
        runtime: where.
        on_epoch: called after each epoch.
    """
    store = Store(runtime.store)
    device = torch.device(runtime.device)
    with reproducible(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        run = _Run(cell, runtime, store, device)
        reason, result = None, _Result({}, {}, {}, None, None)
        try:
            run.build()
            run.train(on_epoch)
            result = run.evaluate()
        except (OSError, KdbenchError):
            raise
        except Diverged as error:
            reason = str(error)
        except (MemoryError, torch.OutOfMemoryError) as error:
            reason = f"out of memory: {_first_line(error)}"
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{type(error).__name__}: {_first_line(error)} ({Path(where.filename).name}, line {where.lineno})"
            store.write_traceback(cell.digest, traceback.format_exc())
    record = Record(
        schema=SCHEMA,
        digest=cell.digest,
        cell=cell.plain,
        kind=METHODS.get(cell.method.name).kind,
        status="failed" if reason else "done",
        reason=reason,
        side=run.split.side,
        metrics=result.metrics,
        facts=result.facts,
        costs=result.costs,
        warnings=sorted({str(w.message) for w in caught}),
        seconds=run.seconds(),
        peak_memory=_peak_memory(device),
        device=_device_name(device),
        versions={
            "kdbench": version("kdbench"),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": version("numpy"),
        },
        sources=sources(cell),
        commit=_commit(),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    store.finish(record, curve=_csv(run.curve), weights=result.weights, predictions=result.predictions)
    return record


@dataclass(frozen=True)
class _Result:
    """What a finished training leaves."""

    metrics: dict[str, dict[str, Any]]
    facts: dict[str, float]
    costs: dict[str, float]
    predictions: dict[str, Any] | None
    weights: dict[str, Tensor] | None


class _Run:
    """A cell with everything that its training needs."""

    def __init__(self, cell: Cell, runtime: Runtime, store: Store, device: torch.device) -> None:
        self.cell, self.runtime, self.store, self.device = cell, runtime, store, device
        self.data = _worker_data(cell.dataset, runtime)
        if self.data.digest != cell.data:
            raise KdbenchError(f"{cell.dataset.name} changed since the plan was made; plan again")
        self.split: Split = split(
            cell.protocol, self.data.windows, dataset=cell.dataset.name, seed=cell.seed, fold=cell.fold
        )
        windows = self.data.windows
        self.normalisation = Normalisation.fit(windows.x[self.split.train])
        self.x = self._windows(self.split.train)
        self.y = torch.from_numpy(windows.y[self.split.train]).to(device)
        self.curve: list[dict[str, float]] = []
        self._earlier = 0.0
        self._started = time.monotonic()

    def build(self) -> None:
        """Make the networks and the method, each from its own random stream."""
        cell = self.cell
        self.student = self._learner(cell.student, peer=False)
        self.teacher = self._teacher()
        self.method = self._method()
        self.training = Training(
            self.student,
            self.teacher,
            self.method,
            method_name=cell.method.name,
            recipe=cell.recipe,
            seed=cell.seed,
            dataset=cell.dataset.name,
        )
        self.curve = self.training.curve

    def _windows(self, rows: Any) -> Tensor:
        return torch.from_numpy(self.normalisation.apply(self.data.windows.x[rows])).to(self.device)

    def _learner(self, part: Part, *, peer: bool) -> Learner:
        """A network at its own initialisation; a peer of the student's own kind gets another one."""
        name = str(NETWORKS.short(Spec(part.name, dict(part.settings))))
        stream = f"{name}/peer" if peer else name
        torch.manual_seed(derive("init", stream, self.cell.seed))
        return Learner(build_network(part, self.data).to(self.device), stream)

    def _teacher(self) -> Learner | FrozenTeacher | None:
        cell = self.cell
        if cell.teacher is None:
            return None
        learner = self._learner(cell.teacher, peer=cell.teacher == cell.student)
        if cell.teacher_cell is None:
            return learner
        learner.network.load_state_dict(self.store.weights(cell.teacher_cell, self.device))
        if cell.role == "tuned":
            return learner
        return FrozenTeacher(learner.network, self.x, self._teacher_folder(cell.teacher_cell))

    def _teacher_folder(self, teacher_cell: str) -> Path:
        """Where the frozen teacher's outputs are kept: the name holds all that they depend on."""
        code = sources(self.cell)
        made_from = [teacher_cell, self.store.weights_hash(teacher_cell), code["teacher"], code["loop"]]
        return self.runtime.cache / "teachers" / "-".join([*made_from, self.device.type, torch.__version__])

    def _method(self) -> Method:
        cell = self.cell
        student = network_shapes(cell.student, self.data)
        setup = Setup(
            classes=student.classes,
            labels=self.y,
            student=student,
            role=cell.role,  # type: ignore[arg-type]
            teacher=None if cell.teacher is None else network_shapes(cell.teacher, self.data),
        )
        torch.manual_seed(derive("method", cell.method.name, cell.seed))
        return METHODS.get(cell.method.name)(setup, **dict(cell.method.settings)).to(self.device)

    def train(self, on_epoch: Callable[[], None]) -> None:
        """Train from the checkpoint, if there is one, to the recipe's end."""
        digest, made_from = self.cell.digest, sources(self.cell)
        checkpoint = self.store.checkpoint(digest, self.device)
        if checkpoint and checkpoint["sources"] == made_from:
            self.training.load_state(checkpoint["training"])
            self.curve = self.training.curve
            self._earlier = checkpoint["seconds"]
        last = time.monotonic()

        def observe(training: Training) -> None:
            nonlocal last
            if training.epoch < self.cell.recipe.epochs and time.monotonic() - last >= self.runtime.checkpoint_seconds:
                state = {"training": training.state(), "sources": made_from, "seconds": self.seconds()}
                self.store.write_checkpoint(digest, state)
                last = time.monotonic()
            self.store.write_epoch(digest, training.epoch)
            on_epoch()

        self.store.write_epoch(digest, self.training.epoch)
        self.training.run(self.x, self.y, observe)

    def evaluate(self) -> _Result:
        """What is deployed, judged on the evaluation windows, which are opened here and only here."""
        rows = self.split.evaluation
        windows = self.data.windows
        x, y, person = self._windows(rows), windows.y[rows], windows.person[rows]
        model = self.deployed()
        logits = predict(model, x).float().cpu().numpy()
        predictions = {"logits": logits, "y": y, "person": person, "row": rows}
        if isinstance(self.teacher, Learner):
            predictions["teacher_logits"] = predict(self.teacher.network, x).float().cpu().numpy()
        elif self.cell.teacher_cell is not None:
            predictions["teacher_logits"] = self.store.predictions(self.cell.teacher_cell)["logits"]
        taught = predictions.get("teacher_logits")
        metrics = {"student": score(logits, y, person, taught)}
        if isinstance(self.teacher, Learner) and taught is not None:
            metrics["teacher"] = score(taught, y, person)
        weights = {key: value.cpu() for key, value in model.state_dict().items()}
        return _Result(metrics, self.method.facts(), self.costs(model), predictions, weights)

    def deployed(self) -> nn.Module:
        """The model that is judged and kept."""
        head = None if self.teacher is None else self.teacher.network.head
        return self.method.deployed(self.student.network, head)

    def costs(self, model: nn.Module) -> dict[str, float]:
        """What the deployed model costs, what the method added for training, and what the teacher costs."""
        found = self._costs_of(self.cell.student if model is self.student.network else None, model)
        found["method_parameters"] = float(parameters(self.method))
        if self.teacher is not None:
            taught = self._costs_of(self.cell.teacher, self.teacher.network)
            found |= {f"teacher_{key}": value for key, value in taught.items()}
        return found

    def _costs_of(self, part: Part | None, network: nn.Module) -> dict[str, float]:
        """Costs of a network, measured once by a process where it is a known ``part``: they depend on sizes alone."""
        channels, length = self.x.shape[1:]
        if part is None:
            return costs(network, channels, length, seconds=TIMED)
        key = (part, channels, length, len(self.data.description.classes))
        if key not in _costs:
            _costs[key] = costs(network, channels, length, seconds=TIMED)
        return dict(_costs[key])

    def seconds(self) -> float:
        """Wall-clock time worked on the cell, stopped runs' checkpointed time included."""
        return self._earlier + time.monotonic() - self._started


def sources(cell: Cell) -> dict[str, str]:
    """Hashes of the code that a cell's numbers come from, to tell when results are older than it."""
    here = Path(__file__).parent
    found = {
        "loop": code_hash(*(here / name for name in LOOP), Path(metrics.__file__)),
        "dataset": DATASETS.source(cell.dataset.name),
        "method": METHODS.source(cell.method.name),
        "student": NETWORKS.source(cell.student.name),
    }
    if cell.teacher is not None:
        found["teacher"] = NETWORKS.source(cell.teacher.name)
    if cell.teacher_cell is not None:
        found["teacher_method"] = METHODS.source(TEACHER_METHOD.name)
    return found


@contextmanager
def reproducible() -> Iterator[None]:
    """One thread and deterministic algorithms, as they were afterwards: two threads sum in another order than one."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.use_deterministic_algorithms(strict)
        torch.set_num_threads(threads)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or ["no message"])[0]


def _csv(curve: list[dict[str, float]]) -> str:
    buffer = io.StringIO()
    columns = dict.fromkeys(key for row in curve for key in row)  # a loss may appear only in a later epoch
    writer = csv.DictWriter(buffer, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(curve)
    return buffer.getvalue()


def _peak_memory(device: torch.device) -> int:
    """Peak memory in bytes: of the device for a GPU, else of this process so far (0 where the system does not tell)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


@cache
def _commit() -> str | None:
    """The commit of the checkout that this package runs from, if it does."""
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return None
    asked = subprocess.run(["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() if asked.returncode == 0 else None

"""What `teachers import` does: weights from a file, checked, kept, and measured as a teacher of the matrix."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from kdbench.catalog.build import load_data, make_network
from kdbench.catalog.channels import named
from kdbench.catalog.find import DATASETS, NETWORKS
from kdbench.errors import KdbenchError
from kdbench.executors import executor
from kdbench.machine import Runtime
from kdbench.plan.model import Plan
from kdbench.results.record import Record
from kdbench.schedule.jobs import job_of
from kdbench.schedule.observer import Observer
from kdbench.schedule.runner import run_jobs
from kdbench.spec.matrix import Matrix
from kdbench.spec.teachers import Imported
from kdbench.store.artefacts import write_import
from kdbench.store.records import Store
from kdbench.store.sweep import sharing
from kdbench.text import counted, first_line

WRAPPED = ("state_dict", "model_state_dict", "model")
"""Under which of these keys trainers keep the weights, among other things."""
SHOWN = 3
"""Differences that are named; of the others only how many there are."""
SCORES = {"macro_f1": "macro-F1", "accuracy": "accuracy"}
"""What is said of imported weights."""


def import_teacher(
    path: Path, matrix: Matrix, plan: Callable[[Matrix], Plan], where: Runtime, show: Callable[[str], None]
) -> Imported:
    """Take weights for the teacher of a matrix from a file, and measure them on the matrix's split.

    Args:
        path: a state dict, as ``torch.save`` or safetensors write it. Nothing in it is run.
        matrix: of one dataset, and pairs of one teacher; with the seeds for which the teacher is measured.
        plan: writes a matrix out.
        where: the store that keeps the weights.
        show: is told what it is known by, its score, and how to use it.

    Raises:
        KdbenchError: if the file is none of these, or its names, shapes or numbers are not such a teacher's.
    """
    teachers = list(dict.fromkeys(str(NETWORKS.short(teacher)) for teacher, _ in matrix.pairs))
    if len(teachers) != 1 or len(matrix.datasets) != 1:
        raise KdbenchError(
            f"weights are of one network for one dataset; {', '.join(teachers)} and "
            f"{', '.join(map(str, matrix.datasets))} came: name them with -p TEACHER:STUDENT and -d NAME"
        )
    data = load_data(DATASETS.close(matrix.datasets[0]), where, download=True)
    part = named(NETWORKS.close(matrix.pairs[0][0]), data.description)
    wanted = make_network(NETWORKS.get(part.name), part, data.description).state_dict()
    weights = fitting(_read(path), wanted, f"{path}: not a {teachers[0]} for {data.description.name}")
    store = Store(where.store)
    store.open_for_writing()
    with sharing(store):
        found = write_import(store, teachers[0], data.digest, weights)
        records = _measured(plan(replace(matrix, teachers=(found,))), store, where)
    scores = [f"{name} {100 * fmean(r.metrics['student'][key] for r in records):.1f}" for key, name in SCORES.items()]
    side = f"{records[0].side} split, protocol {matrix.protocol}, mean over {counted(len(records), 'run')}"
    show(f"{found.weights[:12]}: {teachers[0]} on {data.description.name}: {', '.join(scores)} ({side})")
    show(f"teach with it: kdbench run --teacher {found.weights[:12]} -p {shlex.quote(f'{teachers[0]}:STUDENT')} ...")
    return found


def fitting(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """Weights under the names, and of the kinds, that a network has.

    Raises:
        KdbenchError: if a name is missing or too many, or a shape is another; it begins with ``what``.
    """
    if given and all(key.startswith("module.") for key in given):  # of DataParallel
        given = {key.removeprefix("module."): tensor for key, tensor in given.items()}
    wrong = [f"{key} is missing{_near(key, given.keys() - wanted.keys())}" for key in wanted if key not in given]
    wrong += [f"{key} is not the network's" for key in given if key not in wanted]
    wrong += [
        f"{key} is {tuple(given[key].shape)}, wanted {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in given and given[key].shape != tensor.shape
    ]
    if wrong:
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise KdbenchError(f"{what}: {'; '.join(wrong[:SHOWN])}{more}")
    for key in wanted:
        if not torch.isfinite(given[key]).all():
            raise KdbenchError(f"{what}: {key} has numbers that are not finite")
    return {key: given[key].to(tensor.dtype) for key, tensor in wanted.items()}


def _near(name: str, others: Iterable[str]) -> str:
    """Which of the names that nobody asked for may have been meant."""
    found = get_close_matches(name, sorted(others), n=1)
    return f" (did you mean {found[0]}?)" if found else ""


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, by name."""
    if not path.is_file():
        raise KdbenchError(f"{path} is no file; wanted a state dict, as torch.save or safetensors write it")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except ModuleNotFoundError:
        raise KdbenchError("a .safetensors file needs the package: pip install 'kdbench[safetensors]'") from None
    except Exception as error:  # torch and safetensors raise many kinds
        raise KdbenchError(
            f"{path} cannot be read as weights alone: {first_line(error)}; wanted what "
            "torch.save(model.state_dict(), FILE) writes, or safetensors"
        ) from None
    for key in WRAPPED:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(isinstance(each, Tensor) for each in loaded.values()):
        raise KdbenchError(f"{path} holds a {type(loaded).__name__}, wanted a state dict: tensors by name")
    return {str(key): tensor for key, tensor in loaded.items()}


def _measured(plan: Plan, store: Store, where: Runtime) -> list[Record]:
    """The teacher's records, of the cells of a plan that its weights fill."""
    cells = [digest for digest, cell in plan.cells.items() if cell.imported]
    todo = {digest: job_of(plan, digest, store.mark(digest)) for digest in cells if store.record(digest) is None}
    run_jobs(todo, plan, store, executor("serial", where, 1), Observer())
    records = [record for digest in cells if (record := store.record(digest)) is not None]
    for record in records:
        if record.status == "failed":
            raise KdbenchError(f"the teacher cannot be measured: {record.reason}")
    return records

"""Losses against numbers of independent public implementations: values and gradients, edge cases included.

A part of the numbers is in ``oracles/`` and always tested. The whole set is tested too where the environment variable
``KDBENCH_ORACLES`` names its folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kdbench.architectures import Outputs, Shapes
from kdbench.catalog import METHODS
from kdbench.methods import Batch, Setup
from kdbench.methods._functional import decoupled_divergence, soft_divergence

PART = Path(__file__).resolve().parent / "oracles"
WHOLE = Path(os.environ["KDBENCH_ORACLES"]) if os.environ.get("KDBENCH_ORACLES") else None
FEW_ROUNDINGS = 1e-6  # relative, of float32
Inputs = Mapping[str, Tensor]
Params = Mapping[str, Any]


def through(name: str, i: Inputs, role: str = "frozen", **settings: Any) -> dict[str, Tensor]:
    """Losses of a method that reads logits alone, in its last epoch."""
    classes = i["student"].shape[1]
    shapes = Shapes(classes, (), 1)
    setup = Setup(classes, i["labels"], shapes, role=role, teacher=shapes)  # type: ignore[arg-type]
    method = METHODS.get(name)(setup, **settings)
    method.start_epoch(2, 3)
    nothing = i["student"].new_zeros(len(i["labels"]), 1)
    batch = Batch(nothing[:, :, None], i["labels"], torch.arange(len(i["labels"])))
    return method.losses(batch, Outputs(i["student"], (), nothing), Outputs(i["teacher"], (), nothing))


OUTPUT_LAYERS = {"use_mid": False, "aux_weight": 0.0, "ramp": 0}  # of two networks that teach each other


def mutual(i: Inputs, p: Params, *sides: str, **settings: Any) -> Tensor:
    losses = through("hmkd", i, role="peer", temperature=float(p["T"]), **OUTPUT_LAYERS, **settings)
    return sum((losses[f"out_{side}"] for side in sides), start=torch.tensor(0.0))


def decoupled(i: Inputs, p: Params) -> Tensor:
    settings = {"temperature": p["T"], "dkd_alpha": p["alpha"], "dkd_beta": p["beta"], "out_weight": 2.0}
    return through("hmkd", i, out_loss="dkd", **OUTPUT_LAYERS, **settings)["out_student"] / 2


@dataclass(frozen=True)
class Loss:
    """A loss of ours and the reference that it must equal.

    Args:
        reference: name of the loss in the index.
        ours: what computes it.
        value: loss value from a case's inputs and hyper-parameters.
        expected: array of its value.
        gradients: input to the array of its gradient; a case without the array has its value tested alone.
        value_rtol: relative tolerance of the value in float64.
        gradient_rtol: of a gradient, as a part of its largest entry.
    """

    reference: str
    ours: str
    value: Callable[[Inputs, Params], Tensor]
    expected: str = "expected"
    gradients: Mapping[str, str] = field(default_factory=lambda: {"student": "grad_student"})
    value_rtol: float = 1e-9
    gradient_rtol: float = 1e-8


BOTH = {"student": "grad_student", "teacher": "grad_teacher"}
JOINT = {"student": "grad_student_joint", "teacher": "grad_teacher_joint"}
TO_STUDENT, TO_TEACHER = {"student": "grad_student"}, {"teacher": "grad_teacher"}

LOSSES = [
    Loss("kd", "function", lambda i, p: soft_divergence(i["student"], i["teacher"], p["T"])),
    Loss("kd", "method", lambda i, p: through("kd", i, temperature=p["T"], alpha=0.75)["soft"] / 0.75),
    Loss("dkd", "function", lambda i, p: decoupled_divergence(
        i["student"], i["teacher"], i["labels"], p["T"], alpha=p["alpha"], beta=p["beta"])),
    Loss("dkd", "hmkd", decoupled),
    Loss("dml", "hmkd", lambda i, p: mutual(i, p, "student", "teacher"), gradients=BOTH),
    Loss("dml", "hmkd-student", lambda i, p: mutual(i, p, "student"), "expected_student", TO_STUDENT),
    Loss("dml", "hmkd-teacher", lambda i, p: mutual(i, p, "teacher"), "expected_teacher", TO_TEACHER),
    Loss("dml", "hmkd-joint", lambda i, p: mutual(i, p, "student", "teacher", stop_grad=False), gradients=JOINT),
]  # fmt: skip


@cache
def index(folder: Path) -> dict[str, Any]:
    losses: dict[str, Any] = json.loads((folder / "index.json").read_text(encoding="utf-8"))["losses"]
    return losses


@cache
def arrays(folder: Path, loss: str) -> dict[str, np.ndarray]:
    with np.load(folder / index(folder)[loss]["file"], allow_pickle=False) as file:
        return dict(file)


@dataclass(frozen=True)
class Case:
    """One set of inputs and what must come out."""

    folder: Path
    loss: str
    about: Mapping[str, Any]

    def array(self, name: str) -> np.ndarray | None:
        return arrays(self.folder, self.loss).get(f"{self.about['id']}/{name}")

    def inputs(self, dtype: torch.dtype, learn: Mapping[str, str]) -> dict[str, Tensor]:
        found = {name: torch.from_numpy(self.array(name)) for name in self.about["shapes"]}
        found = {name: x.to(dtype) if x.is_floating_point() else x for name, x in found.items()}
        return {name: x.clone().requires_grad_(name in learn) for name, x in found.items()}


def cases() -> list[Any]:
    found = []
    for folder in filter(None, (PART, WHOLE)):
        for loss in LOSSES:
            entry = index(folder)[loss.reference]
            for about in [*entry["cases"], *entry.get("edge", [])]:
                where = "part" if folder == PART else "whole"
                name = f"{where}-{loss.reference}-{loss.ours}-{about['id']}"
                found.append(pytest.param(loss, Case(folder, loss.reference, about), id=name))
    return found


def compare(loss: Loss, case: Case, dtype: torch.dtype, value_rtol: float, gradient_rtol: float) -> None:
    inputs = case.inputs(dtype, loss.gradients)
    value = loss.value(inputs, case.about["params"])
    assert value.dtype == dtype
    expected = case.array(loss.expected)
    if expected is None:  # edge cases have the sum of both directions alone
        assert loss.expected != "expected"
        assert value.isfinite()
    else:
        assert value.item() == pytest.approx(float(expected), rel=value_rtol, abs=1e-12)
    got = torch.autograd.grad(value, [inputs[name] for name in loss.gradients])
    for gradient, key in zip(got, loss.gradients.values(), strict=True):
        assert gradient.isfinite().all()
        wanted = case.array(key)
        if wanted is None:
            continue
        compared = np.ones(wanted.shape, bool) if case.array(f"{key}_mask") is None else case.array(f"{key}_mask")
        difference = np.abs(gradient.numpy() - wanted)[compared]
        assert difference.max(initial=0) <= gradient_rtol * np.abs(wanted).max() + 1e-12


@pytest.mark.parametrize(("loss", "case"), cases())
def test_a_loss_equals_the_reference_in_float64(loss: Loss, case: Case) -> None:
    compare(loss, case, torch.float64, loss.value_rtol, loss.gradient_rtol)


@pytest.mark.parametrize(("loss", "case"), cases())
def test_a_loss_equals_the_reference_in_float32(loss: Loss, case: Case) -> None:
    deviation = case.about.get("float32_deviation", {"value": 0.0, "grad": 0.0})
    tolerances = [max(10 * deviation[key], FEW_ROUNDINGS) for key in ("value", "grad")]
    compare(loss, case, torch.float32, *tolerances)


@pytest.mark.skipif(WHOLE is None, reason="KDBENCH_ORACLES names no folder with the whole set of reference numbers")
def test_the_part_kept_here_is_a_part_of_the_whole_set() -> None:
    assert WHOLE is not None
    for loss in index(PART):
        whole = arrays(WHOLE, loss)
        for key, array in arrays(PART, loss).items():
            np.testing.assert_array_equal(array, whole[key])


def test_every_loss_kept_here_has_regular_and_edge_cases_and_is_tested() -> None:
    assert set(index(PART)) == {loss.reference for loss in LOSSES}
    for entry in index(PART).values():
        assert len(entry["cases"]) == 2
        assert entry["edge"]
        assert entry["references"]

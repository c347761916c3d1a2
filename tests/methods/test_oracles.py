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
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdbench.architectures import Outputs, Shapes
from kdbench.catalog.find import METHODS
from kdbench.methods import Batch, Nets, Setup
from kdbench.methods._functional import decoupled_divergence, soft_divergence

PART = Path(__file__).resolve().parent / "oracles"
WHOLE = Path(os.environ["KDBENCH_ORACLES"]) if os.environ.get("KDBENCH_ORACLES") else None
FEW_ROUNDINGS = 1e-6  # relative, of float32
Inputs = Mapping[str, Tensor]
Params = Mapping[str, Any]


def through(name: str, i: Inputs, role: str = "frozen", least: int = 2, **settings: Any) -> dict[str, Tensor]:
    """Losses of a method that reads logits alone, in its last epoch; made for as many classes as it takes at least."""
    classes = max(i["student"].shape[1], least)
    shapes = Shapes(classes, ((1, 1),), 1)
    setup = Setup(classes, i["labels"], shapes, role=role, teacher=shapes)  # type: ignore[arg-type]
    method = METHODS.get(name)(setup, **settings).to(i["student"].dtype)
    method.start_epoch(2, 3)
    nothing = i["student"].new_zeros(len(i["labels"]), 1)
    stages = (nothing[:, :, None],)
    batch = Batch(stages[0], i["labels"], torch.arange(len(i["labels"])))
    return method.losses(batch, Outputs(i["student"], stages, nothing), Outputs(i["teacher"], stages, nothing))


OUTPUT_LAYERS = {"use_mid": False, "aux_weight": 0.0, "ramp": 0}  # of two networks that teach each other


def mutual(i: Inputs, p: Params, *sides: str, **settings: Any) -> Tensor:
    losses = through("hmkd", i, role="peer", temperature=float(p["T"]), **OUTPUT_LAYERS, **settings)
    return sum((losses[f"out_{side}"] for side in sides), start=torch.tensor(0.0))


def decoupled(i: Inputs, p: Params) -> Tensor:
    settings = {"temperature": p["T"], "out_alpha": p["alpha"], "out_beta": p["beta"], "out_weight": 2.0}
    return through("hmkd", i, out_loss="decoupled", **OUTPUT_LAYERS, **settings)["out_student"] / 2


def correlations(i: Inputs, p: Params) -> Tensor:
    losses = through("dist", i, temperature=p["tau"], beta=p["beta"], gamma=p["gamma"])
    return losses["inter"] + losses["intra"]


def level(i: Inputs, p: Params, name: str) -> Tensor:
    """One level of MLKD, summed over temperatures that need not be next to each other."""
    settings = {"alpha": 0.5, "mask": False, "temperatures": 1}
    return sum((through("mlkd", i, temperature=float(t), **settings)[name] * 2 for t in p["temperatures"]),
               start=torch.zeros((), dtype=i["student"].dtype))  # fmt: skip


class Features(nn.Module):
    """A method on networks of one stage, which is their embedding too; no logits are compared.

    Args:
        name: of the method.
        i: the maps (B, C, T) or vectors (B, C) of student and teacher.
        settings: of the method.
    """

    def __init__(self, name: str, i: Inputs, **settings: Any) -> None:
        super().__init__()
        self.sides = [_as_map(i["student"]), _as_map(i["teacher"])]
        student, teacher = (Shapes(2, (tuple(x.shape[1:]),), x.shape[1]) for x in self.sides)
        labels = torch.zeros(len(i["student"]), dtype=torch.long)
        self.method = METHODS.get(name)(Setup(2, labels, student, "frozen", teacher), **settings).to(i["student"].dtype)
        self.method.start_epoch(2, 3)
        self.batch = Batch(torch.zeros(len(labels), 1, 1), labels, torch.arange(len(labels)))

    def forward(self, head: Callable[[Tensor], Tensor] = lambda embedding: embedding[:, :2]) -> dict[str, Tensor]:
        student, teacher = (Outputs(x.new_zeros(len(x), 2), (x,), x.mean(dim=2)) for x in self.sides)
        (losses,) = self.method.rounds(self.batch, Nets(lambda batch: student, lambda batch: teacher, head))
        return losses

    def with_parameters(self, **parameters: Tensor) -> dict[str, Tensor]:
        """Losses with these in place of the method's own, by name with dots as double underscores."""
        named = {f"method.{name.replace('__', '.')}": value for name, value in parameters.items()}
        losses: dict[str, Tensor] = torch.func.functional_call(self, named, ())
        return losses


def _as_map(x: Tensor) -> Tensor:
    return x if x.dim() == 3 else x[:, :, None]


class PassThrough(nn.Module):
    """A fusion that leaves the stage as it is."""

    def forward(self, stage: Tensor, deeper: None) -> tuple[Tensor, Tensor]:
        return stage, stage


def hint(i: Inputs, p: Params) -> Tensor:
    features = Features("fitnet", i, regressor="linear", over_time=True, weight=8.0)
    weight, bias = i["regressor_w"][:, :, None], i["regressor_b"]
    return features.with_parameters(regressor__0__weight=weight, regressor__0__bias=bias)["hint"] / 8


def likelihood(i: Inputs, p: Params) -> Tensor:
    features = Features("vid", i, over_time=True, weight=2.0, eps=p["eps"])
    means = {f"means__0__{2 * layer}__weight": i[f"w{layer + 1}"][:, :, None] for layer in range(3)}
    return features.with_parameters(**means, scales__0=i["log_scale"])["match"] / 2


def judged_by_the_teacher(i: Inputs, p: Params) -> Tensor:
    features = Features("srrl", i, feature_weight=p["alpha"], logit_weight=p["beta"])
    features.method.connector = nn.Identity()  # the student's features are connected already
    losses = features(lambda embedding: F.linear(embedding, i["classifier_w"], i["classifier_b"]))
    return losses["feature"] + losses["logit"]


def reviewed(i: Inputs, p: Params) -> Tensor:
    features = Features("reviewkd", i, weight=2.0)
    features.method.fusions = nn.ModuleList([PassThrough()])
    return features()["match"] / 2


def calibrated(i: Inputs, p: Params) -> Tensor:
    pairs = [[(k, j) for j in range(p["n_teacher"])] for k in range(p["n_student"])]
    values, targets = ([[i[f"{what}_{k}_{j}"] for k, j in row] for row in pairs] for what in ("value", "target"))
    return METHODS.get("semckd").distance(values, targets, i["weight"])  # type: ignore[attr-defined,no-any-return]


def in_both_directions(i: Inputs, p: Params, *sides: str) -> Tensor:
    losses = through("dml", i, role="peer", temperature=float(p["T"]), weight=3.0)
    return sum((losses[f"match_{side}"] / 3 for side in sides), start=torch.tensor(0.0))


def similar(i: Inputs, p: Params) -> Tensor:
    feature = "stage" if i["student"].dim() == 3 else "embedding"
    return Features("sp", i, feature=feature, weight=300.0)()["match"] / 300


def contrasted(i: Inputs, p: Params, *names: str) -> Tensor:
    """A step with the given banks, normalisers and choice of rows."""
    labels, width = torch.arange(p["n_data"]) % 2, i["bank_student"].shape[1]
    student, teacher = (Shapes(2, (), i[name].shape[1]) for name in ("student", "teacher"))
    settings = {"weight": 2.0, "temperature": p["T"], "momentum": p["momentum"], "width": width}
    method = METHODS.get("crd")(Setup(2, labels, student, "frozen", teacher), **settings).to(i["student"].dtype)
    views = []
    for name in ("student", "teacher"):
        side = method.get_submodule(name)
        side.bank = i[f"bank_{name}"]
        if p[f"z_{name}"] is not None:
            side.log_z.fill_(p[f"z_{name}"]).log_()
        given = {"project.weight": i.get(f"embed_{name}_w"), "project.bias": i.get(f"embed_{name}_b")}
        views.append(torch.func.functional_call(side, given, i[name]) if p["embed"] else i[name])
    losses = method.contrast(*views, i["contrast_index"])  # type: ignore[operator]
    return sum((losses[f"contrast_{name}"] / 2 for name in names), start=torch.zeros((), dtype=i["student"].dtype))


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
        float32_rtol: of both in float32, where the case does not say how far a reference is off there.
    """

    reference: str
    ours: str
    value: Callable[[Inputs, Params], Tensor]
    expected: str = "expected"
    gradients: Mapping[str, str] = field(default_factory=lambda: {"student": "grad_student"})
    value_rtol: float = 1e-9
    gradient_rtol: float = 1e-8
    float32_rtol: float = FEW_ROUNDINGS


BOTH = {"student": "grad_student", "teacher": "grad_teacher"}
JOINT = {"student": "grad_student_joint", "teacher": "grad_teacher_joint"}
TO_STUDENT, TO_TEACHER = {"student": "grad_student"}, {"teacher": "grad_teacher"}

REGRESSOR = {name: f"grad_{name}" for name in ("student", "regressor_w", "regressor_b")}
GAUSSIAN = {name: f"grad_{name}" for name in ("student", "w1", "w2", "w3", "log_scale")}
VIEW = {side: {name: f"grad_{name}" for name in (side, f"embed_{side}_w", f"embed_{side}_b")} for side in BOTH}
CALIBRATION = {name: f"grad_{name}" for name in ("weight", *(f"value_{k}_{j}" for k in range(4) for j in range(4)))}

LOSSES = [
    Loss("kd", "function", lambda i, p: soft_divergence(i["student"], i["teacher"], p["T"])),
    Loss("kd", "method", lambda i, p: through("kd", i, temperature=p["T"], alpha=0.75)["soft"] / 0.75),
    Loss("dkd", "function", lambda i, p: decoupled_divergence(
        i["student"], i["teacher"], i["labels"], p["T"], alpha=p["alpha"], beta=p["beta"])),
    Loss("dkd", "hmkd", decoupled),
    Loss("dkd", "method", lambda i, p: through(
        "dkd", i, temperature=p["T"], alpha=p["alpha"], beta=p["beta"])["soft"]),
    Loss("dist", "method", correlations),
    Loss("ofa", "method", lambda i, p: through("ofa", i, temperature=p["T"], eps=p["eps"], weight=2.0)["soft"] / 2),
    Loss("lskd", "method", lambda i, p: through("lskd", i, least=3, temperature=p["T"], weight=9.0)["soft"] / 9),
    Loss("wttm", "method", lambda i, p: through("wttm", i, power=p["power"], weight=4.0)["soft"] / 4),
    Loss("ttm", "method", lambda i, p: through("wttm", i, power=p["power"], weighted=False, weight=4.0)["soft"] / 4),
    Loss("wsld", "method", lambda i, p: through("wsld", i, temperature=p["T"], alpha=2.5)["soft"] / 2.5),
    Loss("mlkd_instance", "method", lambda i, p: level(i, p, "instance")),
    Loss("mlkd_batch", "method", lambda i, p: level(i, p, "batch"), float32_rtol=3e-6),  # squares cancel
    Loss("mlkd_class", "method", lambda i, p: level(i, p, "class")),
    Loss("dml", "hmkd", lambda i, p: mutual(i, p, "student", "teacher"), gradients=BOTH),
    Loss("dml", "hmkd-student", lambda i, p: mutual(i, p, "student"), "expected_student", TO_STUDENT),
    Loss("dml", "hmkd-teacher", lambda i, p: mutual(i, p, "teacher"), "expected_teacher", TO_TEACHER),
    Loss("dml", "hmkd-joint", lambda i, p: mutual(i, p, "student", "teacher", stop_grad=False), gradients=JOINT),
    Loss("dml", "method", lambda i, p: in_both_directions(i, p, *BOTH), gradients=BOTH),
    Loss("dml", "method-student", lambda i, p: in_both_directions(i, p, "student"), "expected_student", TO_STUDENT),
    Loss("dml", "method-teacher", lambda i, p: in_both_directions(i, p, "teacher"), "expected_teacher", TO_TEACHER),
    Loss("sp", "method", similar),
    Loss("rkd_distance", "method", lambda i, p: Features("rkd", i, distance_weight=5.0)()["distance"] / 5),
    Loss("rkd_angle", "method", lambda i, p: Features("rkd", i, angle_weight=5.0)()["angle"] / 5),
    Loss("pkt", "method", lambda i, p: Features("pkt", i, weight=300.0)()["match"] / 300,
         float32_rtol=3e-6),  # terms of both signs cancel
    Loss("cc", "method", lambda i, p: Features("cc", i, weight=3.0, gamma=p["gamma"], order=p["P"])()["match"] / 3),
    Loss("crd", "method", lambda i, p: contrasted(i, p, *BOTH), gradients=VIEW["student"] | VIEW["teacher"]),
    Loss("crd", "method-student", lambda i, p: contrasted(i, p, "student"), "expected_student", VIEW["student"]),
    Loss("crd", "method-teacher", lambda i, p: contrasted(i, p, "teacher"), "expected_teacher", VIEW["teacher"]),
    Loss("fitnet", "method", hint, gradients=REGRESSOR),
    Loss("vid", "method", likelihood, gradients=GAUSSIAN),
    Loss("srrl", "method", judged_by_the_teacher),
    Loss("at", "method", lambda i, p: Features("at", i, power=p["p"], weight=500.0)()["match"] / 500),
    Loss("at_paper", "method", lambda i, p: Features("at", i, form="paper", weight=0.5)()["match"] * 2),
    Loss("nst", "method", lambda i, p: Features("nst", i, weight=25.0)()["match"] / 25),
    Loss("reviewkd_hcl", "method", reviewed),
    Loss("semckd", "method", calibrated, gradients=CALIBRATION),
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
    learns = {name: key for name, key in loss.gradients.items() if name in case.about["shapes"]}
    inputs = case.inputs(dtype, learns)
    value = loss.value(inputs, case.about["params"])
    assert value.dtype == dtype
    expected = case.array(loss.expected)
    if expected is None:  # edge cases have the sum of both directions alone
        assert loss.expected != "expected"
        assert value.isfinite()
    else:
        assert value.item() == pytest.approx(float(expected), rel=value_rtol, abs=1e-12)
    # A gradient that is 0 but for an epsilon says how large it may be.
    vanishing = case.about.get("grad_tolerance_absolute", 1e-12)
    got = torch.autograd.grad(value, [inputs[name] for name in learns])
    for gradient, key in zip(got, learns.values(), strict=True):
        assert gradient.isfinite().all()
        wanted = case.array(key)
        if wanted is None:
            continue
        compared = np.ones(wanted.shape, bool) if case.array(f"{key}_mask") is None else case.array(f"{key}_mask")
        difference = np.abs(gradient.numpy() - wanted)[compared]
        assert difference.max(initial=0) <= gradient_rtol * np.abs(wanted).max() + vanishing


@pytest.mark.parametrize(("loss", "case"), cases())
def test_a_loss_equals_the_reference_in_float64(loss: Loss, case: Case) -> None:
    compare(loss, case, torch.float64, loss.value_rtol, loss.gradient_rtol)


@pytest.mark.parametrize(("loss", "case"), cases())
def test_a_loss_equals_the_reference_in_float32(loss: Loss, case: Case) -> None:
    deviation = case.about.get("float32_deviation", {"value": 0.0, "grad": 0.0})
    tolerances = [max(10 * deviation[key], loss.float32_rtol) for key in ("value", "grad")]
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
    for name, entry in index(PART).items():
        assert len(entry["cases"]) == 2
        assert entry["edge"] or name in ("fitnet", "semckd"), "plain means of squares alone have no edge"
        assert entry["references"]


@pytest.fixture(scope="module")
def compared() -> dict[str, set[str]]:
    """The references that each method's own code is compared with: whom a loss above asks the catalog for."""
    found: dict[str, set[str]] = {}
    get = METHODS.get
    for loss in LOSSES:
        about = index(PART)[loss.reference]["cases"][0]

        def note(name: str, reference: str = loss.reference) -> Any:
            found.setdefault(name, set()).add(reference)
            return get(name)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(METHODS, "get", note)
            loss.value(Case(PART, loss.reference, about).inputs(torch.float64, {}), about["params"])
    return found


@pytest.mark.parametrize("name", METHODS.names())
def test_a_method_claims_the_references_that_it_is_compared_with_and_no_others(
    name: str, compared: dict[str, set[str]]
) -> None:
    claimed = METHODS.get(name).checked_against
    assert sorted(claimed) == sorted(compared.get(name, ()))

"""Every loss teaches with few classes too, costs the same with more windows, and rows say what is not as elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from kdbench.architectures import Outputs, Shapes
from kdbench.catalog.find import METHODS
from kdbench.contract import COUNTS, Candidate, judge_few_classes, judge_scale, variants
from kdbench.methods import Batch, Losses, Method, NotApplicable, Role, Setup


def found() -> Iterator[Any]:
    """Every method in every role, with its defaults and with each switch turned."""
    for name in METHODS.names():
        for role in METHODS.get(name).roles:
            for settings in [{}, *variants(Candidate.find(name))]:
                shown = [f"{key}={value}" for key, value in settings.items()]
                yield pytest.param(name, role, settings, id="-".join([name, role, *shown]))


def make(name: str, classes: int = 2, role: Role | None = None, embedding: int = 5, **settings: Any) -> Method:
    cls = METHODS.get(name)
    used = role or Role(cls.roles[0])
    shapes = Shapes(classes, ((4, 6), (6, 3)), embedding)
    labels = torch.arange(12) % classes
    method: Method = cls(Setup(classes, labels, shapes, used, shapes if used.present else None), **settings)
    return method


def outputs(classes: int, seed: int, count: int = 6) -> Outputs:
    generator = torch.Generator().manual_seed(seed)
    logits, embedding = (
        torch.randn(count, n, dtype=torch.float64, generator=generator).requires_grad_() for n in (classes, 5)
    )
    return Outputs(logits, (), embedding)


def two_classes(name: str, **settings: Any) -> tuple[Losses, Outputs, Outputs]:
    student, teacher = outputs(2, 1), outputs(2, 2)
    on = Batch(torch.zeros(6, 1, 1), torch.arange(6) % 2, torch.arange(6))
    return make(name, **settings).losses(on, student, teacher), student, teacher


@pytest.mark.filterwarnings("ignore:.*close to constant")
@pytest.mark.parametrize("classes", COUNTS)
@pytest.mark.parametrize(("name", "role", "settings"), list(found()))
def test_every_loss_teaches_with_few_classes_or_the_row_says_that_it_does_not(
    name: str, role: str, settings: dict[str, Any], classes: int
) -> None:
    judge_few_classes(Candidate.find(name), role, settings, classes).settle()


@pytest.mark.parametrize("name", METHODS.names())
def test_a_step_costs_the_same_whatever_the_number_of_training_windows(name: str) -> None:
    for role in METHODS.get(name).roles:
        judge_scale(Candidate.find(name), role, {}).settle()


# Which rows say what.


def test_a_method_with_its_defaults_trains_as_the_student_alone_does_and_says_what_else_is_special() -> None:
    noted = {name: make(name, classes=4).notes() for name in METHODS.names()}
    assert {name: notes for name, notes in noted.items() if notes} == {
        "hmkd": (METHODS.get("hmkd").note,),
        "simkd": (METHODS.get("simkd").note,),
    }


@pytest.mark.parametrize(("name", "switch"), [("kdcl", "views"), ("mlkd", "second_view")])
def test_a_row_of_augmented_windows_says_so(name: str, switch: str) -> None:
    assert make(name, 4).notes() == ()
    assert make(name, 4, **{switch: True}).notes() == (
        "trained on augmented windows (jitter, scaling), which the student alone is not",
    )


NCKD = "with two classes the part on the classes beside the label (NCKD) is 0 whatever the student says"
INTER = "with two classes the correlation between a sample's classes has no gradient"


def test_a_term_of_several_that_two_classes_make_void_is_told() -> None:
    assert [make("dkd", k).notes() for k in (2, 3)] == [(NCKD,), ()]
    assert [make("dist", k).notes() for k in (2, 3)] == [(f"{INTER}, and is left out",), ()]
    ours = METHODS.get("hmkd").note
    assert make("hmkd", out_loss="decoupled").notes() == (ours, NCKD)
    assert make("hmkd", out_loss="decoupled", use_out=False).notes() == (ours,)
    assert make("hmkd", out_loss="decoupled", out_weight=0.0).notes() == (ours,)
    assert make("hmkd").notes() == make("hmkd", 3, out_loss="decoupled").notes() == (ours,)


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("lskd", {}, "two standardised logits only say which class wins"),
        ("dkd", {"alpha": 0.0}, NCKD.replace("(", r"\(").replace(")", r"\)")),
        ("dist", {"gamma": 0.0}, INTER),
        ("hmkd", {"out_loss": "decoupled", "out_alpha": 0.0}, "and out_alpha=0 leaves out"),
    ],
)
def test_a_method_whose_every_term_two_classes_make_void_is_refused(
    name: str, settings: dict[str, float], reason: str
) -> None:
    with pytest.raises(NotApplicable, match=reason):
        make(name, 2, **settings)
    make(name, 3, **settings)


@pytest.mark.parametrize("name", ["cc", "pkt"])
def test_cosines_of_single_numbers_are_refused(name: str) -> None:
    with pytest.raises(NotApplicable, match="cosine 1 or -1"):
        make(name, 4, embedding=1)


def test_angles_between_single_numbers_are_told_to_be_void() -> None:
    void = "the student's embedding is one number: the angles have no gradient"
    assert [make("rkd", 4, embedding=width).notes() for width in (1, 2)] == [(void,), ()]


@pytest.mark.parametrize(("name", "least"), [("hmkd", 3), ("student_aux", 3), ("crd", 2), ("semckd", 2)])
def test_a_width_that_normalisation_makes_void_is_no_legal_one(name: str, least: int) -> None:
    legal = Candidate.find(name).schema["width"].legal
    assert least in legal  # type: ignore[operator]
    assert least - 1 not in legal  # type: ignore[operator]


# What is left of them with two classes, in explicit loops.


def shares(row: list[float], t: float) -> list[float]:
    e = [math.exp(z / t) for z in row]
    return [v / sum(e) for v in e]


def correlation(a: list[float], b: list[float]) -> float:
    a, b = [v - sum(a) / len(a) for v in a], [v - sum(b) / len(b) for v in b]
    return sum(u * v for u, v in zip(a, b, strict=True)) / math.sqrt(sum(u * u for u in a) * sum(v * v for v in b))


def test_of_two_classes_only_the_relation_between_samples_is_left() -> None:
    losses, student, teacher = two_classes("dist", temperature=3.0, gamma=0.7)
    assert set(losses) == {"hard", "intra"}
    q, p = ([shares(row, 3.0) for row in side.logits.tolist()] for side in (student, teacher))
    assert {round(abs(correlation(a, b)), 9) for a, b in zip(q, p, strict=True)} == {1.0}, "why the other one is void"
    between = [correlation([row[k] for row in q], [row[k] for row in p]) for k in (0, 1)]
    assert losses["intra"].item() == pytest.approx(9 * 0.7 * (1 - sum(between) / 2), rel=1e-6)


def test_of_two_classes_the_decoupled_divergence_is_the_plain_one_times_alpha() -> None:
    losses, student, teacher = two_classes("dkd", temperature=2.0, alpha=1.5, beta=100.0)
    total = 0.0
    for z_s, z_t in zip(student.logits.tolist(), teacher.logits.tolist(), strict=True):
        total += sum(p * math.log(p / q) for p, q in zip(shares(z_t, 2.0), shares(z_s, 2.0), strict=True))
    assert losses["soft"].item() == pytest.approx(4 * 1.5 * total / 6, rel=1e-9)

"""Every method in the folder keeps the contract of `kdbench.contract`, whoever wrote it.

Every run has three steps of the real loop on fifteen small windows. A method knows networks by the sizes of their
outputs alone, so it is judged on every ordered pair of six unlike ones; what other networks need of the loop is seen
with one method. ``KDBENCH_ALL_PAIRS=1`` judges every method on every ordered pair.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from kdbench.catalog.find import METHODS, NETWORKS
from kdbench.contract import (
    Bench,
    Candidate,
    Case,
    all_pairs,
    for_role,
    judge,
    judge_description,
    judge_missing_teacher,
    judge_settings,
    judge_variant,
    variants,
)
from kdbench.training.loop import Learner

# Networks that have learnt nothing are often close to constant, which a method may warn of.
pytestmark = pytest.mark.filterwarnings("ignore:.*close to constant")

UNLIKE = ["mlp", "fcn", "lstm", "transformer", "conv_mixer", "resnet_lstman"]  # one of each family
CHEAP, BESIDE = "kd", "mlp"  # by which, and beside which, the other networks are seen


def pairs(method: str) -> list[tuple[str, str]]:
    """Ordered pairs of networks, teacher first."""
    if os.environ.get("KDBENCH_ALL_PAIRS"):
        return all_pairs()
    others = [name for name in NETWORKS.names() if name not in UNLIKE] if method == CHEAP else []
    both_ways = [pair for name in others for pair in ((name, BESIDE), (BESIDE, name))]
    return [*itertools.product(UNLIKE, UNLIKE), *both_ways]


def cases() -> Iterator[Any]:
    for name in METHODS.names():
        for role in METHODS.get(name).roles:
            for teacher, student in for_role(role, pairs(name)):
                yield pytest.param(name, role, teacher, student, id=f"{name}-{role}-{teacher}:{student}")


def turned() -> Iterator[Any]:
    for name in METHODS.names():
        for role in METHODS.get(name).roles:
            for settings in variants(Candidate.find(name)):
                shown = "-".join(f"{key}={value}" for key, value in settings.items())
                yield pytest.param(name, role, settings, id=f"{name}-{role}-{shown}")


@pytest.mark.parametrize(("name", "role", "teacher", "student"), list(cases()))
def test_a_method_keeps_the_contract_on_a_pair(
    shared_bench: Bench, name: str, role: str, teacher: str, student: str
) -> None:
    judge(shared_bench, Case(Candidate.find(name), role, teacher, student)).settle()


@pytest.mark.parametrize(("name", "role", "settings"), list(turned()))
def test_a_method_keeps_the_contract_with_a_switch_turned(
    shared_bench: Bench, name: str, role: str, settings: dict[str, Any]
) -> None:
    judge_variant(shared_bench, Candidate.find(name), role, settings).settle()


@pytest.mark.parametrize("name", METHODS.names())
def test_a_method_extends_to_some_pair_in_every_role(shared_bench: Bench, name: str) -> None:
    for role in METHODS.get(name).roles:
        assert not judge_variant(shared_bench, Candidate.find(name), role, {}).not_applicable


def test_the_unlike_networks_are_one_of_every_family() -> None:
    assert sorted(NETWORKS.get(name).family for name in UNLIKE) == sorted(
        {NETWORKS.get(name).family for name in NETWORKS.names()}
    )


@pytest.mark.parametrize("name", METHODS.names())
def test_every_default_and_preset_is_legal_and_every_search_range_too(name: str) -> None:
    judge_settings(Candidate.find(name)).settle()


@pytest.mark.parametrize("name", METHODS.names())
def test_every_method_is_of_a_known_kind_and_says_its_formula_source_and_deviations(name: str) -> None:
    judge_description(Candidate.find(name)).settle()


@pytest.mark.parametrize("name", METHODS.names())
def test_a_missing_teacher_is_an_error_and_never_the_student(shared_bench: Bench, name: str) -> None:
    judge_missing_teacher(shared_bench, Candidate.find(name)).settle()
    if "absent" in METHODS.get(name).roles:
        training = shared_bench.training(name, "mlp", "mlp", "absent")
        with pytest.raises(RuntimeError, match="no teacher"):
            training.nets.teacher(shared_bench.batch())
        with pytest.raises(RuntimeError, match="no teacher"):
            training.nets.teacher_head(torch.zeros(1, 8))


def test_a_network_that_is_put_back_is_as_new(bench: Bench, shared_bench: Bench) -> None:
    for name in NETWORKS.names():
        for trained in (False, True):
            used = shared_bench.network(name, trained=trained)
            used.network.eval()(shared_bench.x[:3]).logits.sum().backward()
            with torch.no_grad():
                for tensor in used.network.state_dict().values():
                    tensor.zero_()
            again = shared_bench.network(name, trained=trained).network
            assert again is used.network
            assert again.training
            assert all(p.grad is None for p in again.parameters())
            assert bench.same(again.state_dict(), bench.network(name, trained=trained).network.state_dict())


def test_a_network_hears_its_own_noise_whatever_stands_beside_it(bench: Bench) -> None:
    student = bench.network("mlp")
    alone = bench.train_with(bench.method("supervised", student, None, "absent"), "supervised", student, None)
    beside = bench.training("hmkd", "mlp", "mlp", "peer")
    logits = []
    for training in (alone, beside):
        training.learners.train()
        if isinstance(training.teacher, Learner):
            training.nets.teacher(bench.batch())
        torch.rand(7)  # a method's own draws
        logits.append(training.nets.student(bench.batch()).logits)
    assert torch.equal(*logits)
    assert not torch.equal(alone.nets.student(bench.batch()).logits, logits[0]), "a second view has other noise"

"""What every method in the folder keeps in the real training loop, on every pair of networks, whoever wrote it.

Every run has three steps of the real loop on fifteen small windows. A method knows networks by the sizes of their
outputs alone, so where many networks are found the pairs are thinned out: each network with itself, and both ways with
one that has a time axis and one that has none. ``KDBENCH_ALL_PAIRS=1`` runs every ordered pair.
"""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from kdbench.architectures import Backbone, Choice
from kdbench.catalog import METHODS, NETWORKS
from kdbench.methods import Method, NotApplicable
from kdbench.train import Learner, Training

# Networks that have learnt nothing are often close to constant, which a method may warn of.
pytestmark = pytest.mark.filterwarnings("ignore:.*close to constant")

NEGLIGIBLE = 1e-7
Case = tuple[str, str, str, str, dict[str, Any]]  # method, role, teacher, student, settings


def variants(name: str) -> Iterator[dict[str, Any]]:
    """Settings that each turn one switch of a method, and its presets."""
    yield {}
    for setting in METHODS.schema(name).values():
        values = setting.legal.values if isinstance(setting.legal, Choice) else ()
        for value in (not setting.default,) if setting.type is bool else values:
            if value != setting.default:
                yield {setting.name: value}
    yield from (dict(preset) for preset in METHODS.get(name).presets.values() if preset)


def pairs() -> list[tuple[str, str]]:
    """Ordered pairs of networks, teacher first."""
    networks, extremes = NETWORKS.names(), ("mlp", "resnet_lstman")
    every = list(itertools.product(networks, networks))
    if len(networks) <= 4 or os.environ.get("KDBENCH_ALL_PAIRS"):
        return every
    return [(a, b) for a, b in every if a == b or a in extremes or b in extremes]


def found(*, switches: bool) -> list[Any]:
    """Every method in every role on the pairs, and on one pair with every switch turned."""
    cases: list[Case] = []
    for name in METHODS.names():
        for role in METHODS.get(name).roles:
            alone = [(network, network) for network in NETWORKS.names()]
            cases += [(name, role, *pair, {}) for pair in (alone if role == "absent" else pairs())]
            turned = variants(name) if switches else []
            cases += [(name, role, "resnet_lstman", "mlp", settings) for settings in turned if settings]
    return [pytest.param(case, id=case_id(case)) for case in cases]


def case_id(case: Case) -> str:
    name, role, teacher, student, settings = case
    return "-".join([name, role, f"{teacher}:{student}", *(f"{key}={value}" for key, value in settings.items())])


every_case = pytest.mark.parametrize("case", found(switches=True))
every_pair = pytest.mark.parametrize("case", found(switches=False))


def made(bench, case: Case) -> Training | None:
    """The training run of a case; None where the method says, with a reason, that it does not extend to the pair."""
    method, role, teacher, student, settings = case
    try:
        training: Training = bench.training(method, teacher, student, role, **settings)
    except NotApplicable as error:
        reason = str(error)
    else:
        return training
    assert len(reason) > 10, "the table shows the reason"
    return None


def weights(training: Training) -> dict[str, dict[str, Tensor]]:
    sides = {"student": training.student, "teacher": training.teacher}
    return {side: copy.deepcopy(each.network.state_dict()) for side, each in sides.items() if each is not None}


@every_case
def test_three_steps_are_finite_move_who_learns_and_no_frozen_teacher(bench, case: Case) -> None:
    training = made(bench, case)
    if training is None:
        return
    assert_holds_no_network(training)
    before = weights(training)
    bench.run(training)
    after = weights(training)
    assert len(training.curve) == 3
    assert all(any(key.startswith("loss_") for key in row) for row in training.curve)
    assert all(torch.tensor(list(row.values())).isfinite().all() for row in training.curve)
    assert not bench.same(before["student"], after["student"])
    if case[1] == "frozen":
        assert bench.same(before["teacher"], after["teacher"])
    elif "teacher" in before:
        assert not bench.same(before["teacher"], after["teacher"])
    head = None if training.teacher is None else training.teacher.network.head
    model = training.method.deployed(training.student.network, head).eval()
    with torch.no_grad():
        assert model(bench.x[:3]).logits.shape == (3, 4)


def assert_holds_no_network(training: Training) -> None:
    """A method's parameters are what it adds, and its groups hold all of them once."""
    method: Method = training.method
    sides = [side for side in (training.student, training.teacher) if side is not None]
    networks = {p.data_ptr() for side in sides for p in side.network.parameters()}
    assert not networks & {p.data_ptr() for p in method.parameters()}
    assert not any(isinstance(module, Backbone) for module in method.modules())
    grouped = [id(p) for group in method.parameter_groups() for p in group.params]
    assert sorted(grouped) == sorted(id(p) for p in method.parameters() if p.requires_grad)


@every_case
def test_every_loss_reaches_something_that_learns_and_every_added_parameter_is_read(bench, case: Case) -> None:
    training = made(bench, case)
    if training is None:
        return
    learns = [p for p in training.learners.parameters() if p.requires_grad]
    added = dict(training.method.named_parameters())
    training.learners.train()
    training.method.start_epoch(2, 3)  # the last: past any warm-up
    for losses in training.method.rounds(bench.batch(), training.nets):
        assert losses
        for name, loss in losses.items():
            assert loss.dim() == 0
            gradients = torch.autograd.grad(loss, learns, retain_graph=True, allow_unused=True)
            largest = max((float(g.abs().max()) for g in gradients if g is not None), default=0.0)
            assert largest > NEGLIGIBLE, f"{name} teaches nothing: its largest gradient is {largest}"
        torch.autograd.backward(list(losses.values()))
    unread = [name for name, p in added.items() if p.requires_grad and p.grad is None]
    assert not unread, f"{unread} are added and trained, and no loss reads them"
    if case[1] == "frozen" and training.teacher is not None:
        assert all(p.grad is None for p in training.teacher.network.parameters())


class Killed(Exception):
    """Stands for a process that was killed."""


@every_pair
def test_a_killed_run_repeats_and_continues_from_its_kept_state_bit_for_bit(bench, case: Case) -> None:
    whole = made(bench, case)
    if whole is None:
        return
    states: list[bytes] = []
    bench.run(whole, lambda training: states.append(bench.kept(training.state())))

    kept: list[bytes] = []

    def kill(training: Training) -> None:
        kept.append(bench.kept(training.state()))
        raise Killed

    stopped, continued = made(bench, case), made(bench, case)
    assert stopped is not None
    assert continued is not None
    with pytest.raises(Killed):
        bench.run(stopped, kill)
    assert bench.same(bench.read(kept[0]), bench.read(states[0])), "the same seed gave another first epoch"
    continued.load_state(bench.read(kept[0]))
    bench.run(continued)
    assert bench.same(bench.read(bench.kept(continued.state())), bench.read(states[-1]))


@pytest.mark.parametrize("name", METHODS.names())
def test_every_default_and_preset_is_legal_and_every_search_range_too(name: str) -> None:
    schema = METHODS.schema(name)
    for setting in schema.values():
        assert setting.read(setting.default, name) == setting.default
        for value in getattr(setting.legal, "search", None) or ():
            assert value in setting.legal
    for preset in METHODS.get(name).presets.values():
        for key, value in preset.items():
            assert schema[key].read(value, name) == value


@pytest.mark.parametrize("name", METHODS.names())
def test_a_missing_teacher_is_an_error_and_never_the_student(bench, name: str) -> None:
    if "absent" in METHODS.get(name).roles:
        training = bench.training(name, "mlp", "mlp", "absent")
        with pytest.raises(RuntimeError, match="no teacher"):
            training.nets.teacher(bench.batch())
        with pytest.raises(RuntimeError, match="no teacher"):
            training.nets.teacher_head(torch.zeros(1, 8))
        return
    student = bench.network("mlp")
    with pytest.raises(RuntimeError, match="no teacher"):
        bench.run(bench.train_with(bench.method(name, student, None, "absent"), name, student, None))


def test_a_network_hears_its_own_noise_whatever_stands_beside_it(bench) -> None:
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

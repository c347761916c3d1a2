"""A network's first weights come from its seed alone: on every machine, and whatever was built before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kdbench.architectures import Backbone
from kdbench.catalog.build import load_data
from kdbench.catalog.find import METHODS, NETWORKS
from kdbench.data import protocol
from kdbench.machine import Runtime
from kdbench.plan.expand import expand
from kdbench.schedule.jobs import job_of
from kdbench.spec.matrix import Matrix
from kdbench.spec.words import Spec
from kdbench.training.work import Given, Work

PINNED: dict[str, tuple[float, float, float]] = {
    "bilstm": (-0.0026470, -0.3134207, 0.3137223),
    "cnn": (-0.0011161, 0.0701595, -0.0887145),
    "conv_mixer": (-0.0012478, -0.2679014, -0.0396955),
    "deep_conv_lstm": (-0.0033482, -0.3663416, 0.1076525),
    "fcn": (-0.0008823, 0.1046399, -0.2992488),
    "gru": (-0.0030565, 0.0679727, 0.2594175),
    "inception_time": (-0.0024956, 0.1792857, -0.2539618),
    "lstm": (-0.0026470, -0.1741329, 0.3099368),
    "lstm_fcn": (-0.2116008, -0.3492356, -0.2582185),
    "mlp": (-0.0002206, -0.0214905, -0.3126636),
    "mobile_net": (-0.0014408, -0.1521953, 0.0955208),
    "resnet": (-0.0008823, 0.0209902, 0.2005148),
    "resnet_lstman": (-0.0008823, 0.3697105, -0.1769423),
    "tcn": (0.5721986, 0.5766878, 0.2236442),
    "tiny_har": (-0.0033482, 0.2868998, 0.0175379),
    "transformer": (0.0063230, 0.2743068, -0.3130617),
}


def first_values(network: Backbone) -> tuple[float, float, float]:
    """One value of the first weights, of the middle ones and of the head's."""
    weights = [p for p in network.parameters() if p.dim() > 1]
    return tuple(weight.flatten()[0].item() for weight in (weights[0], weights[len(weights) // 2], network.head.weight))


def test_every_network_is_pinned() -> None:
    assert [name for name in NETWORKS.names() if NETWORKS.get(name).__module__.startswith("kdbench.")] == [*PINNED]


@pytest.mark.parametrize("name", PINNED)
def test_a_seed_gives_the_same_first_weights_on_every_machine(build, name: str) -> None:
    assert first_values(build(name, (9, 128, 6))) == pytest.approx(PINNED[name], rel=0, abs=1e-6)


@pytest.mark.parametrize("peer", [False, True])
def test_a_cell_starts_from_its_seed_and_its_networks_whatever_was_built_before(tmp_path: Path, peer: bool) -> None:
    runtime = Runtime(store=tmp_path / "store", cache=tmp_path / "cache")
    matrix = Matrix(
        name="m",
        datasets=(Spec("synthetic", {"people": 4, "windows": 2, "length": 32}),),
        pairs=((Spec("fcn", {"width": 0.05}), Spec("mlp", {"hidden": 8})),),
        methods=(),
        seeds=(3,),
    )
    plan = expand(matrix, lambda part: load_data(part, runtime))
    digest, cell = list(plan.cells.items())[-1]
    student = NETWORKS.get(cell.student.name)
    data = load_data(job_of(plan, digest).dataset, runtime)
    work = Work(
        cell,
        Given(data, protocol(cell.protocol), METHODS.get(cell.method.name), student, None, None, torch.device("cpu")),
    )
    with torch.random.fork_rng(devices=[]):
        first = work._learner(student, cell.student, peer=peer).network.state_dict()
        for other in NETWORKS.names():
            NETWORKS.get(other)(9, 128, 6)
        again = work._learner(student, cell.student, peer=peer).network.state_dict()
        unlike = work._learner(student, cell.student, peer=not peer).network.state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["head.weight"], unlike["head.weight"])

"""What every network in the folder keeps, whoever wrote it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from kdbench.architectures import Backbone, Outputs, Shapes, probe
from kdbench.catalog.find import NETWORKS

SIZES = [(9, 128, 6), (6, 128, 12), (3, 90, 6), (1, 64, 2), (32, 512, 30)]  # channels, length, classes
every_network = pytest.mark.parametrize("name", NETWORKS.names())
every_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))


def windows(count: int, size: tuple[int, int, int]) -> Tensor:
    return torch.randn(count, *size[:2], generator=torch.Generator().manual_seed(1))


def fields(outputs: Outputs) -> list[Tensor]:
    return [outputs.logits, outputs.embedding, *outputs.stages, *outputs.pooled]


def shapes_of(outputs: Outputs) -> Shapes:
    assert all(stage.dim() == 3 for stage in outputs.stages), "stages are (B, C, T)"
    stages = tuple((stage.shape[1], stage.shape[2]) for stage in outputs.stages)
    return Shapes(outputs.logits.shape[1], stages, outputs.embedding.shape[1])


@every_size
@every_network
def test_outputs_have_the_sizes_that_probe_tells(build, name: str, size: tuple[int, int, int]) -> None:
    network: Backbone = build(name, size)
    told = probe(network, *size[:2])
    assert told.classes == size[2]
    assert told.stages
    assert told.embedding == network.head.in_features
    for count, training in ((3, True), (2, False), (1, False)):
        outputs = network.train(training)(windows(count, size))
        assert shapes_of(outputs) == told
        assert {len(field) for field in fields(outputs)} == {count}
        assert [tuple(p.shape) for p in outputs.pooled] == [(count, channels) for channels, _ in told.stages]


@every_size
@every_network
def test_default_settings_build_at_every_size_and_run_one_window(build, name: str, size: tuple[int, int, int]) -> None:
    network = build(name, size, small=False).eval()
    with torch.no_grad():
        outputs = network(windows(1, size))
    assert outputs.logits.shape == (1, size[2])
    assert all(field.isfinite().all() for field in fields(outputs))


@every_size
@every_network
def test_logits_are_the_head_on_the_embedding_in_evaluation(build, name: str, size: tuple[int, int, int]) -> None:
    network = build(name, size).eval()
    outputs = network(windows(4, size))
    torch.testing.assert_close(outputs.logits, network.head(outputs.embedding), rtol=1e-6, atol=1e-6)


@every_size
@every_network
def test_every_parameter_gets_a_finite_gradient_from_two_windows(build, name: str, size: tuple[int, int, int]) -> None:
    network = build(name, size).train()
    torch.nn.functional.cross_entropy(network(windows(2, size)).logits, torch.tensor([0, 1])).backward()
    unused = [key for key, p in network.named_parameters() if p.grad is None]
    assert not unused, f"{unused} are parameters that logits do not depend on"
    assert all(p.grad.isfinite().all() for p in network.parameters())
    assert network.head.weight.grad.abs().max() > 0


@every_network
def test_gradients_reach_every_stage(build, name: str) -> None:
    network = build(name, SIZES[0]).train()
    outputs = network(windows(4, SIZES[0]))
    for i, stage in enumerate(outputs.stages):
        gradients = torch.autograd.grad(
            stage.square().sum(), list(network.parameters()), retain_graph=True, allow_unused=True
        )
        assert any(g is not None and g.abs().max() > 0 for g in gradients), f"stage {i} depends on no parameter"


@every_network
@pytest.mark.parametrize("wrong", ["channels", "length", "classes"])
def test_a_size_below_one_is_refused_by_name(name: str, wrong: str) -> None:
    size = {"channels": 9, "length": 128, "classes": 6, wrong: 0}
    with pytest.raises(ValueError, match=f"^{wrong}=0, wanted at least 1$"):
        NETWORKS.get(name)(**size)
    with pytest.raises(ValueError, match=f"^{wrong}=0, wanted at least 1$"):
        NETWORKS.get(name)(*size.values())


@every_network
def test_a_seed_gives_the_same_network_whatever_was_built_before(build, name: str) -> None:
    first = build(name, SIZES[0]).state_dict()
    for other in NETWORKS.names():
        build(other, SIZES[1]).train()(windows(2, SIZES[1]))
    again = build(name, SIZES[0]).state_dict()
    assert first.keys() == again.keys()
    assert all(torch.equal(first[key], again[key]) for key in first)
    torch.manual_seed(1)
    other_seed = NETWORKS.get(name)(*SIZES[0]).head.weight
    torch.manual_seed(2)
    assert not torch.equal(other_seed, NETWORKS.get(name)(*SIZES[0]).head.weight)


@every_network
def test_a_window_is_judged_alone_in_evaluation(build, name: str) -> None:
    network = build(name, SIZES[0])
    for _ in range(2):  # statistics of batch normalisation that are not the initial ones
        network.train()(2 * windows(8, SIZES[0]) + 1)
    network.eval()
    x = windows(6, SIZES[0])
    with torch.no_grad():
        together, alone = network(x), network(x[2:3])
        crowd = network(torch.cat([100 * x[:1], x[2:3]]))
    for a, b, c in zip(fields(together), fields(alone), fields(crowd), strict=True):
        torch.testing.assert_close(a[2], b[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(c[1], b[0], rtol=1e-4, atol=1e-5)


@every_network
def test_evaluation_has_no_noise_and_changes_nothing(build, name: str) -> None:
    network = build(name, SIZES[0]).eval()
    before = copy.deepcopy(network.state_dict())
    with torch.no_grad():
        first, second = network(windows(3, SIZES[0])), network(windows(3, SIZES[0]))
    assert all(torch.equal(a, b) for a, b in zip(fields(first), fields(second), strict=True))
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


@every_network
def test_probing_leaves_mode_statistics_and_random_state_alone(build, name: str) -> None:
    network = build(name, SIZES[0]).train()
    network.head.eval()
    before, random = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    probe(network, *SIZES[0][:2])
    assert [key for key, module in network.named_modules() if not module.training] == ["head"]
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())


@every_network
def test_a_copy_by_state_says_the_same(build, name: str) -> None:
    network = build(name, SIZES[0])
    network.train()(windows(4, SIZES[0]))
    torch.manual_seed(7)
    other = copy.deepcopy(network)
    for p in other.parameters():
        torch.nn.init.uniform_(p)
    other.load_state_dict(network.state_dict())
    x = windows(3, SIZES[0])
    assert torch.equal(network.eval()(x).logits, other.eval()(x).logits)


@every_network
def test_every_default_is_legal_and_every_search_range_too(name: str) -> None:
    for setting in NETWORKS.schema(name).values():
        assert setting.read(setting.default, name) == setting.default
        for value in getattr(setting.legal, "search", None) or ():
            assert value in setting.legal


@pytest.mark.parametrize(("depth", "stage"), [(0, 0), (0.25, 1), (0.5, 2), (0.74, 3), (1, 4)])
def test_a_relative_depth_names_the_nearest_of_five_stages(depth: float, stage: int) -> None:
    assert Shapes(2, ((4, 1),) * 5, 4).at(depth) == stage


@pytest.mark.parametrize("depth", [-0.01, 1.01, float("nan")])
def test_a_depth_outside_the_network_is_refused(depth: float) -> None:
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        Shapes(2, ((4, 1),), 4).at(depth)


def test_pooled_is_the_mean_over_time() -> None:
    maps, vector = torch.arange(24.0).reshape(2, 3, 4), torch.arange(6.0).reshape(2, 3, 1)
    pooled = Outputs(torch.zeros(2, 2), (maps, vector), torch.zeros(2, 3)).pooled
    slow = [[sum(maps[b, c].tolist()) / 4 for c in range(3)] for b in range(2)]
    assert pooled[0].tolist() == slow
    assert pooled[1].tolist() == vector[:, :, 0].tolist()

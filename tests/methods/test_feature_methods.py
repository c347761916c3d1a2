"""Methods on stages and embeddings: what reference numbers and the contract do not show."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from kdbench.architectures import Outputs, Shapes
from kdbench.catalog.find import METHODS
from kdbench.methods import Batch, Method, NotApplicable, Setup

B = 4
Sizes = tuple[tuple[int, int], ...]


def made(name: str, student: Sizes, teacher: Sizes, **settings: Any) -> Method:
    """A method on networks with stages of these (channels, length), in float64."""
    torch.manual_seed(0)
    sides = [Shapes(2, sizes, 5) for sizes in (student, teacher)]
    setup = Setup(2, torch.zeros(9, dtype=torch.long), sides[0], "frozen", sides[1])
    method: Method = METHODS.get(name)(setup, **settings).double()
    return method


def outputs(sizes: Sizes, seed: int) -> Outputs:
    generator = torch.Generator().manual_seed(seed)

    def draw(*size: int) -> Tensor:
        return torch.randn(B, *size, dtype=torch.float64, generator=generator).requires_grad_()

    return Outputs(draw(2), tuple(draw(*size) for size in sizes), draw(5))


def run(method: Method, student: Outputs, teacher: Outputs) -> dict[str, Tensor]:
    labels = torch.tensor([0, 1, 1, 0])
    return method.losses(Batch(torch.zeros(B, 1, 1), labels, torch.arange(B)), student, teacher)


# FitNet


@pytest.mark.parametrize(("depth", "guided", "hint"), [(0.0, 0, 0), (0.5, 1, 2), (1.0, 2, 4)])
def test_fitnet_compares_the_stages_at_one_relative_depth(depth: float, guided: int, hint: int) -> None:
    mine, yours = ((3, 8), (4, 8), (5, 1)), ((2, 6), (3, 6), (4, 6), (5, 6), (6, 1))
    method = made("fitnet", mine, yours, depth=depth, regressor="linear", weight=7.0)
    student, teacher = outputs(mine, 1), outputs(yours, 2)
    w, b = (p.detach() for p in method.parameters())
    total = 0.0
    for s, t in zip(student.pooled[guided].detach(), teacher.pooled[hint].detach(), strict=True):
        total += sum((float(w[c, :, 0] @ s + b[c]) - float(t[c])) ** 2 for c in range(len(t))) / len(t) / B
    assert run(method, student, teacher)["hint"].item() == pytest.approx(7 * total, rel=1e-9)


def test_fitnets_default_regressor_reaches_no_negative_feature() -> None:
    sizes = ((3, 1), (3, 1), (3, 1))
    method = made("fitnet", sizes, sizes)
    guided = method.regressor(torch.randn(64, 3, 1, dtype=torch.float64))
    assert guided.min() == 0
    torch.testing.assert_close((guided > 0).double().mean().item(), 0.5, atol=0.2, rtol=0)  # normalised before


# VID


def test_vids_variances_start_where_they_are_said_to_and_are_trained(bench) -> None:
    training = bench.training("vid", "resnet_lstman", "mlp", "frozen", initial_variance=3.0)
    variances = [torch.nn.functional.softplus(a) + 1e-5 for a in training.method.scales]
    assert len(variances) == 3
    for variance in variances:
        torch.testing.assert_close(variance, torch.full_like(variance, 3.0))
    bench.run(training)
    for a, variance in zip(training.method.scales, variances, strict=True):
        assert not torch.isclose(torch.nn.functional.softplus(a) + 1e-5, variance).any()


def test_vid_adds_up_the_matched_stages() -> None:
    mine, yours = ((3, 4), (2, 1)), ((2, 6), (9, 9), (3, 1))
    method = made("vid", mine, yours, weight=2.0, over_time=True)
    student, teacher = outputs(mine, 1), outputs(yours, 2)
    total = 0.0
    for mean, scale, s, t in zip(
        method.means, method.scales, student.stages, (teacher.stages[0], teacher.stages[2]), strict=True
    ):
        t = torch.nn.functional.adaptive_avg_pool1d(t, s.shape[2])
        v = torch.log1p(scale.exp())[None, :, None] + 1e-5
        total += (((t - mean(s)) ** 2 / v + torch.log(v)) / 2).mean().item()
    assert run(method, student, teacher)["match"].item() == pytest.approx(2 * total, rel=1e-9)


# SRRL


def test_srrl_judges_both_embeddings_by_the_teachers_classifier_through_the_connector(bench) -> None:
    training = bench.training("srrl", "resnet_lstman", "mlp", "frozen", feature_weight=2.0, logit_weight=3.0)
    batch = bench.batch()
    student, teacher = training.nets.student(batch), training.nets.teacher(batch)
    linear, norm = training.method.connector
    connected = student.embedding @ linear.weight.T
    connected = (connected - connected.mean(0)) / (connected.var(0, correction=0) + norm.eps).sqrt()
    nets = type(training.nets)(lambda batch: student, lambda batch: teacher, training.nets.teacher_head)
    (losses,) = training.method.train().rounds(batch, nets)
    torch.testing.assert_close(losses["feature"], 2 * (connected - teacher.embedding).square().mean())
    head = training.teacher.network.head
    judged = connected @ head.weight.T + head.bias
    torch.testing.assert_close(losses["logit"], 3 * (judged - teacher.logits).square().mean())
    assert training.method.deployed(training.student.network, head) is training.student.network


# Attention transfer and neuron selectivity


@pytest.mark.parametrize("name", ["at", "nst"])
def test_what_is_a_pattern_over_time_needs_a_time_axis_on_both_sides(name: str) -> None:
    timed, flat = ((3, 8), (4, 8)), ((3, 1), (4, 1))
    for pair in ((timed, flat), (flat, timed), (flat, flat)):
        with pytest.raises(NotApplicable, match="one time step"):
            made(name, *pair)
    assert made(name, ((2, 1), *timed), (*timed, (9, 1))).pairs == [(1, 0), (2, 1)]


@pytest.mark.parametrize("name", ["at", "nst"])
def test_patterns_over_time_add_up_over_the_matched_stages(name: str) -> None:
    mine, yours = ((3, 8), (4, 6), (4, 1)), ((2, 9), (3, 3), (5, 3))
    student, teacher = outputs(mine, 1), outputs(yours, 2)
    both = run(made(name, mine, yours), student, teacher)["match"]
    alone = []
    for i, j in ((0, 0), (1, 2)):
        one = [Outputs(o.logits, (o.stages[k],), o.embedding) for o, k in ((student, i), (teacher, j))]
        alone.append(run(made(name, mine[i : i + 1], yours[j : j + 1]), *one)["match"])
    torch.testing.assert_close(both, sum(alone))


def test_attention_in_the_papers_form_has_a_weight_of_its_own() -> None:
    assert METHODS.get("at").presets["paper"] == {"form": "paper", "weight": 0.05}
    sizes = ((3, 8),)
    method = made("at", sizes, sizes, **METHODS.get("at").presets["paper"])
    same = outputs(sizes, 1)
    loss = run(method, same, same)["match"]
    assert loss.item() == 0
    (gradient,) = torch.autograd.grad(loss, same.stages[0])
    assert not gradient.any(), "where both agree the distance has no direction"


# Flow of solution procedure


def test_flows_are_inner_products_over_time_between_neighbouring_stages() -> None:
    mine, yours = ((3, 8), (4, 5), (2, 1)), ((3, 6), (2, 6), (5, 6))
    method = made("fsp", mine, yours, weight=2.0)
    assert [type(a).__name__ for a in method.adapt] == ["Identity", "Conv1d", "Conv1d"]
    student, teacher = outputs(mine, 1), outputs(yours, 2)

    def flow(first: Tensor, second: Tensor) -> Tensor:
        length = min(first.shape[2], second.shape[2])
        first, second = (torch.nn.functional.adaptive_avg_pool1d(x, length) for x in (first, second))
        return torch.stack([sum(f[:, [k]] @ s[:, [k]].T for k in range(length)) / length  # type: ignore[misc]
                            for f, s in zip(first, second, strict=True)])  # fmt: skip

    adapted = [adapt(stage) for adapt, stage in zip(method.adapt, student.stages, strict=True)]
    total = sum((flow(*adapted[k : k + 2]) - flow(*teacher.stages[k : k + 2])).square().mean() for k in (0, 1))
    torch.testing.assert_close(run(method, student, teacher)["match"], 2 * total)


def test_equal_networks_have_equal_flows_and_need_no_adaptor() -> None:
    sizes = ((3, 8), (4, 5))
    method = made("fsp", sizes, sizes)
    assert not list(method.parameters())
    assert run(method, outputs(sizes, 1), outputs(sizes, 1))["match"].item() == 0


def test_one_stage_alone_has_no_flow() -> None:
    with pytest.raises(NotApplicable, match="one alone"):
        made("fsp", ((3, 8),), ((3, 8), (3, 8)))


# Knowledge review


@pytest.mark.parametrize(
    ("warmup", "wanted"), [(0.5, [0.5, 1, 1, 1]), (0.0, [1, 1, 1, 1]), (1.0, [0.25, 0.5, 0.75, 1])]
)
def test_the_review_reaches_its_weight_over_a_part_of_the_run(warmup: float, wanted: list[float]) -> None:
    sizes = ((3, 8), (4, 1))
    method, same = made("reviewkd", sizes, sizes, warmup=warmup), (outputs(sizes, 1), outputs(sizes, 2))
    method.eval()
    whole = run(method, *same)["match"].item()
    for epoch, part in enumerate(wanted):
        method.start_epoch(epoch, 4)
        assert run(method, *same)["match"].item() == pytest.approx(part * whole)


def test_a_stage_is_fused_with_the_deeper_ones_by_attention_over_time() -> None:
    mine, yours = ((3, 4), (5, 2)), ((2, 4), (6, 7))
    method = made("reviewkd", mine, yours, weight=1.0).eval()
    student, teacher = outputs(mine, 1), outputs(yours, 2)
    shallow, deep = method.fusions
    assert [shallow.enter[0].out_channels, deep.enter[0].out_channels] == [5, 5], "as wide as the deepest stage"
    u_deep = deep.enter(student.stages[1])  # (B, 5, 2)
    x = shallow.enter(student.stages[0])  # (B, 5, 4)
    stretched = u_deep[:, :, [0, 0, 1, 1]]
    u = torch.empty_like(x)
    weight, bias = shallow.attention.weight[:, :, 0], shallow.attention.bias
    for b in range(B):
        for step in range(4):
            scores = weight @ torch.cat([x[b, :, step], stretched[b, :, step]]) + bias
            share = 1 / (1 + (-scores).exp())
            u[b, :, step] = share[0] * x[b, :, step] + share[1] * stretched[b, :, step]

    def context(f: Tensor, t: Tensor, weights: dict[int, float]) -> Tensor:
        def pool(x: Tensor, n: int) -> Tensor:
            return torch.nn.functional.adaptive_avg_pool1d(x, n)

        return sum(w * (pool(f, n) - pool(t, n)).square().mean() for n, w in weights.items()) / sum(weights.values())  # type: ignore[return-value]

    pooled = torch.nn.functional.adaptive_avg_pool1d(teacher.stages[1], 2)
    total = context(shallow.leave(u), teacher.stages[0], {4: 1, 2: 1 / 2, 1: 1 / 4})
    total = total + context(deep.leave(u_deep), pooled, {2: 1, 1: 1 / 2})
    torch.testing.assert_close(run(method, student, teacher)["match"], total)


# Semantic calibration


def test_attention_is_a_softmax_over_the_teachers_stages_of_unit_queries_and_keys() -> None:
    mine, yours = ((3, 8), (4, 1)), ((2, 6), (5, 6), (6, 1))
    method = made("semckd", mine, yours, temperature=0.5, weight=3.0).eval()
    student, teacher = outputs(mine, 1), outputs(yours, 2)
    attention = method.attention(student.pooled, teacher.pooled)
    assert attention.shape == (B, 2, 3)
    total = 0.0
    for b in range(B):
        for i in range(2):
            q = method.query[i](student.pooled[i][b])
            raised = []
            for j in range(3):
                k = method.key[j](teacher.pooled[j][b])
                raised.append(math.exp((q @ k / q.norm() / k.norm()).item() / 0.5))
            for j in range(3):
                share = raised[j] / sum(raised)
                assert attention[b, i, j].item() == pytest.approx(share, rel=1e-9)
                projected = method.project[i][j](student.pooled[i][:, :, None])[b, :, 0]
                total += share * (projected - teacher.pooled[j][b]).square().mean().item() / B / 2
    assert run(method, student, teacher)["match"].item() == pytest.approx(3 * total, rel=1e-9)


def test_a_teacher_of_one_stage_is_followed_without_attention() -> None:
    mine, yours = ((3, 8), (4, 1)), ((2, 6),)
    method = made("semckd", mine, yours)
    assert all(name.startswith("project.") for name, _ in method.named_parameters())
    same = outputs(mine, 1), outputs(yours, 2)
    assert method.attention(same[0].pooled, same[1].pooled).eq(1).all()
    assert run(method, *same)["match"].item() > 0


# What is read of a frozen teacher


@pytest.mark.parametrize("name", ["fitnet", "vid", "srrl", "simkd", "semckd"])
def test_no_map_of_a_frozen_teacher_is_computed_where_vectors_do(bench, name: str) -> None:
    training = bench.run(bench.training(name, "resnet_lstman", "resnet_lstman", "frozen"))
    assert [entry.name for entry in training.teacher.folder.iterdir() if entry.is_dir()] == ["small"]


@pytest.mark.parametrize("name", ["fitnet", "vid", "srrl", "simkd", "semckd", "reviewkd"])
def test_a_student_without_a_time_axis_costs_no_map_of_its_teacher(bench, name: str) -> None:
    training = bench.run(bench.training(name, "resnet_lstman", "mlp", "frozen"))
    assert [entry.name for entry in training.teacher.folder.iterdir() if entry.is_dir()] == ["small"]

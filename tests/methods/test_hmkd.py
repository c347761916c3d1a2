"""The definition of our reconstruction of HMKD, and of its control without a teacher."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from kdbench.architectures import Outputs, Shapes
from kdbench.catalog.find import METHODS
from kdbench.costs.counting import parameters
from kdbench.methods import Batch, Losses, Method, Nets, NotApplicable, Setup
from kdbench.training.loop import Training

PAIRS = [("resnet_lstman", "mlp"), ("mlp", "resnet_lstman"), ("mlp", "mlp"), ("resnet_lstman", "resnet_lstman")]
ALONE = {"out_weight": 0.0, "mid_weight": 0.0, "aux_weight": 0.0}
STUDENT = Shapes(4, ((5, 1), (6, 1), (3, 1)), 3)
TEACHER = Shapes(4, ((7, 6), (8, 6), (8, 1), (4, 1)), 12)

pytestmark = pytest.mark.filterwarnings("ignore:.*close to constant")


def make(role: str = "peer", seed: int = 0, name: str = "hmkd", **settings: Any) -> Method:
    """A method in float64 for a student of three stages and a teacher of four, in the epoch after its ramp."""
    teacher = None if role == "absent" else TEACHER
    torch.manual_seed(seed)
    setup = Setup(4, torch.arange(8) % 4, STUDENT, role=role, teacher=teacher)  # type: ignore[arg-type]
    method: Method = METHODS.get(name)(setup, **settings).double()
    method.start_epoch(1000, 1001)
    return method


def outputs(shapes: Shapes, seed: int) -> Outputs:
    """Eight windows' outputs, of which gradients are asked."""
    generator = torch.Generator().manual_seed(seed)

    def leaf(*size: int) -> Tensor:
        return torch.randn(8, *size, dtype=torch.float64, generator=generator).requires_grad_()

    return Outputs(leaf(shapes.classes), tuple(leaf(*size) for size in shapes.stages), leaf(shapes.embedding))


BATCH = Batch(torch.zeros(8, 3, 6), torch.tensor([0, 1, 2, 3, 3, 2, 0, 0]), torch.arange(8))


def losses_of(method: Method) -> tuple[Losses, Outputs, Outputs]:
    student, teacher = outputs(STUDENT, 1), outputs(TEACHER, 2)
    return method.losses(BATCH, student, teacher), student, teacher


def leaves(out: Outputs) -> list[Tensor]:
    return [out.logits, *out.stages, out.embedding]


def largest(loss: Tensor, of: Sequence[Tensor]) -> float:
    """Largest absolute gradient of a loss; 0 where it does not depend on them."""
    if not of:
        return 0.0
    gradients = torch.autograd.grad(loss, of, retain_graph=True, allow_unused=True)
    return max((float(g.abs().max()) for g in gradients if g is not None), default=0.0)


# Slow arithmetic, on lists of numbers.


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def normalised(row: Sequence[float]) -> list[float]:
    centre = mean(row)
    spread = (mean([(v - centre) ** 2 for v in row]) + 1e-5) ** 0.5
    return [(v - centre) / spread for v in row]


def softmax(row: Sequence[float], t: float = 1.0) -> list[float]:
    top = max(row)
    raised = [math.exp((v - top) / t) for v in row]
    return [v / sum(raised) for v in raised]


def divergence(student: Sequence[Sequence[float]], teacher: Sequence[Sequence[float]], t: float) -> float:
    rows = []
    for s, z in zip(student, teacher, strict=True):
        q, p = softmax(s, t), softmax(z, t)
        rows.append(sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True)))
    return t * t * mean(rows)


def entropy(logits: Sequence[Sequence[float]], y: Sequence[int]) -> float:
    return mean([-math.log(softmax(row)[label]) for row, label in zip(logits, y, strict=True)])


def squared(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> float:
    return mean([mean([(u - v) ** 2 for u, v in zip(r, s, strict=True)]) for r, s in zip(a, b, strict=True)])


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    dot = sum(u * v for u, v in zip(a, b, strict=True))
    return dot / (sum(u * u for u in a) * sum(v * v for v in b)) ** 0.5


def dense(layer: Any, row: Sequence[float]) -> list[float]:
    bias = [0.0] * layer.out_features if layer.bias is None else layer.bias.tolist()
    return [
        b + sum(w * v for w, v in zip(ws, row, strict=True)) for ws, b in zip(layer.weight.tolist(), bias, strict=True)
    ]


def merged(ensemble: Any, how: str, out: Outputs) -> list[list[float]]:
    """The weighted ensemble feature by explicit sums over samples, stages and features."""
    rows = []
    for b in range(8):
        vectors = [[mean(channel) for channel in stage[b].tolist()] for stage in out.stages]
        if how == "last":
            vectors = vectors[-1:]
        h = []
        for project, norm, vector in zip(ensemble.project, ensemble.normalise, vectors, strict=True):
            affine = zip(norm.weight.tolist(), norm.bias.tolist(), strict=True)
            h.append([g * v + s for v, (g, s) in zip(normalised(dense(project, vector)), affine, strict=True)])
        width = len(h[0])
        if how == "self":
            total = [sum(max(0.0, hi[d]) for hi in h) + 1e-6 for d in range(width)]
            weights = [[max(0.0, hi[d]) / total[d] for d in range(width)] for hi in h]
        elif how == "gate":
            inner, _, outer = ensemble.gate
            scores = [dense(outer, [math.tanh(v) for v in dense(inner, hi)])[0] for hi in h]
            weights = [[w] * width for w in softmax(scores)]
        else:
            scores = ensemble.scores.tolist() if how == "softmax" else [0.0] * len(h)
            weights = [[w] * width for w in softmax(scores)]
        rows.append([sum(w[d] * hi[d] for w, hi in zip(weights, h, strict=True)) for d in range(width)])
    return rows


def shaken(method: Method) -> Method:
    """The method with weights that are nothing special: affine parts and scores start at ones and zeros."""
    torch.manual_seed(5)
    with torch.no_grad():
        for p in method.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return method


# Without its mutual terms it is two trainings.


@pytest.mark.parametrize(("teacher", "student"), PAIRS)
def test_without_mutual_terms_it_is_two_independent_trainings_bit_for_bit(bench, teacher: str, student: str) -> None:
    together = bench.run(bench.training("hmkd", teacher, student, "peer", **ALONE))
    assert set(together.curve[0]) == {"epoch", "learning_rate", "loss_hard_student", "loss_hard_teacher"}
    sides = {"student": together.student, "teacher": together.teacher}
    for side, learner in sides.items():
        alone = bench.network(student if side == "student" else teacher, peer=side == "teacher" and teacher == student)
        assert alone.stream == learner.stream
        method = bench.method("supervised", alone, None, "absent")
        training: Training = bench.run(bench.train_with(method, "supervised", alone, None))
        assert bench.same(dict(alone.network.state_dict()), dict(learner.network.state_dict()))
        assert [row["loss_hard"] for row in training.curve] == [row[f"loss_hard_{side}"] for row in together.curve]


def test_a_peer_of_the_students_kind_is_another_network_with_other_noise(bench) -> None:
    training = bench.training("hmkd", "mlp", "mlp", "peer", **ALONE)
    student, peer = training.student.network, training.teacher.network
    assert not torch.equal(student.head.weight, peer.head.weight)
    peer.load_state_dict(student.state_dict())
    training.learners.train()
    assert not torch.equal(training.nets.student(bench.batch()).logits, training.nets.teacher(bench.batch()).logits)


def test_a_mutual_term_makes_a_difference(bench) -> None:
    alone = bench.run(bench.training("hmkd", "resnet_lstman", "mlp", "peer", **ALONE))
    for setting in ALONE:
        taught = bench.run(bench.training("hmkd", "resnet_lstman", "mlp", "peer", **{**ALONE, setting: 1.0}))
        # The auxiliary heads train features, and the mutual losses exchange them.
        same = bench.same(dict(alone.student.network.state_dict()), dict(taught.student.network.state_dict()))
        assert not same, f"{setting} changes nothing"


# Who moves whom.

MID_LOSSES = ["ln_mse", "cosine", "raw_mse", "aux_kl"]


@pytest.mark.parametrize("out_loss", ["kl", "decoupled"])
@pytest.mark.parametrize("mid_loss", MID_LOSSES)
def test_a_stopped_loss_moves_the_network_that_it_is_for_and_no_other(mid_loss: str, out_loss: str) -> None:
    method = shaken(make(mid_loss=mid_loss, out_loss=out_loss))
    losses, student, teacher = losses_of(method)
    of = {"student": leaves(student), "teacher": leaves(teacher)}
    for name, p in method.named_parameters():
        of[name.split(".")[1]].append(p)
    for name, side in (("student", "teacher"), ("teacher", "student")):
        for kind in ("out", "mid"):
            assert largest(losses[f"{kind}_{name}"], of[side]) == 0
            assert largest(losses[f"{kind}_{name}"], of[name]) > 1e-4


@pytest.mark.parametrize("mid_loss", MID_LOSSES)
def test_without_stopping_each_loss_moves_both_networks(mid_loss: str) -> None:
    losses, student, teacher = losses_of(shaken(make(mid_loss=mid_loss, stop_grad=False)))
    for name in ("out_student", "out_teacher", "mid_student", "mid_teacher"):
        assert largest(losses[name], leaves(student)) > 1e-4
        assert largest(losses[name], leaves(teacher)) > 1e-4


def test_stopped_losses_reach_no_parameter_of_the_other_real_network(bench) -> None:
    training = bench.training("hmkd", "resnet_lstman", "mlp", "peer")
    training.method.start_epoch(5, 6)
    (losses,) = training.method.rounds(bench.batch(), training.nets)
    networks = {"student": training.student.network, "teacher": training.teacher.network}
    for name, other in (("student", "teacher"), ("teacher", "student")):
        for kind in ("out", "mid"):
            assert largest(losses[f"{kind}_{name}"], list(networks[other].parameters())) == 0
            assert largest(losses[f"{kind}_{name}"], list(networks[name].parameters())) > 1e-6


HARD, AUX = {"hard_student", "hard_teacher"}, {"aux_student", "aux_teacher"}
OUT, MID = {"out_student", "out_teacher"}, {"mid_student", "mid_teacher"}
EXIT = {"exit_student", "exit_teacher"}
TERMS = [
    ("peer", {}, HARD | AUX | OUT | MID),
    ("tuned", {}, HARD | AUX | OUT | MID),
    ("peer", {"direction": "t2s"}, HARD | AUX | {"out_student", "mid_student"}),
    ("peer", {"direction": "s2t"}, HARD | AUX | {"out_teacher", "mid_teacher"}),
    ("peer", {"use_out": False}, HARD | AUX | MID),
    ("peer", {"use_mid": False}, HARD | AUX | OUT),
    ("peer", {"aux_weight": 0.0}, HARD | OUT | MID),
    ("peer", {"out_weight": 0.0}, HARD | AUX | MID),
    ("peer", ALONE, HARD),
    # A frozen teacher's merge learns, its logits do not.
    ("frozen", {}, {"hard_student", "out_student"} | AUX | MID),
    ("frozen", {"direction": "t2s"}, {"hard_student", "out_student", "mid_student"} | AUX),
    ("frozen", {"use_mid": False, "aux_weight": 0.0}, {"hard_student", "out_student"}),
    ("peer", {"teach_exits": True}, HARD | AUX | OUT | MID | EXIT),
    ("peer", {"teach_exits": True, "direction": "s2t"}, HARD | AUX | {"out_teacher", "mid_teacher", "exit_teacher"}),
    ("peer", {"teach_exits": True, "use_mid": False}, HARD | AUX | OUT),
    ("peer", {"teach_exits": True, "aux_weight": 0.0}, HARD | OUT | MID | EXIT),
    ("frozen", {"teach_exits": True}, {"hard_student", "out_student"} | AUX | MID | EXIT),
]


@pytest.mark.parametrize(("role", "settings", "terms"), TERMS)
def test_switches_choose_the_terms(role: str, settings: dict[str, Any], terms: set[str]) -> None:
    assert set(losses_of(make(role, **settings))[0]) == terms


def test_teaching_a_frozen_teacher_alone_is_not_applicable() -> None:
    with pytest.raises(NotApplicable, match="frozen teacher learns nothing"):
        make("frozen", direction="s2t")


@pytest.mark.parametrize(("role", "direction"), [("peer", "t2s"), ("peer", "s2t"), ("tuned", "t2s"), ("frozen", "t2s")])
@pytest.mark.parametrize("weight", ["aux_weight", "hard_weight"])
def test_following_a_merge_that_nothing_trains_is_not_applicable(role: str, direction: str, weight: str) -> None:
    with pytest.raises(NotApplicable, match="stay the random projection"):
        make(role, direction=direction, **{weight: 0.0})
    for trained in ({"stop_grad": False}, {"use_mid": False}, {"mid_weight": 0.0}):
        assert make(role, direction=direction, **{weight: 0.0}, **trained)
    assert make(role, **{weight: 0.0})


# Each term against slow arithmetic.


@pytest.mark.parametrize("how", ["softmax", "mean", "last", "self", "gate"])
def test_an_ensemble_is_the_weighted_sum_of_projected_stages(how: str) -> None:
    method = shaken(make(ensemble=how, width=5))
    for side, out in (("student", outputs(STUDENT, 1)), ("teacher", outputs(TEACHER, 2))):
        ensemble = method.merge[side]
        wanted = merged(ensemble, how, out)
        torch.testing.assert_close(ensemble(out.pooled).tolist(), wanted, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("how", ["softmax", "mean", "gate", "self"])
def test_weights_sum_to_one_or_for_self_to_less(how: str) -> None:
    ensemble = shaken(make(ensemble=how, width=5)).merge["teacher"]
    h = torch.randn(8, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    h[0, :, 0] = -1.0  # no stage says anything here
    sums = ensemble.weights(h).expand(8, 4, 5).sum(dim=1)
    assert (ensemble.weights(h) >= 0).all()
    if how == "self":
        assert sums[0, 0] == 0
        assert (sums <= 1).all()
        assert sums.max() > 0.999
    else:
        torch.testing.assert_close(sums, torch.ones(8, 5, dtype=torch.float64))


def test_the_mean_is_the_softmax_at_its_start() -> None:
    by_softmax, by_mean = losses_of(make(ensemble="softmax"))[0], losses_of(make(ensemble="mean"))[0]
    assert by_softmax.keys() == by_mean.keys()
    for name, loss in by_softmax.items():
        torch.testing.assert_close(loss, by_mean[name], rtol=1e-12, atol=1e-12)
    moved = losses_of(shaken(make(ensemble="softmax")))[0]
    assert not torch.isclose(moved["mid_student"], by_mean["mid_student"])


def features(method: Method, how: str, student: Outputs, teacher: Outputs) -> dict[str, list[list[float]]]:
    return {s: merged(method.merge[s], how, o) for s, o in (("student", student), ("teacher", teacher))}


@pytest.mark.parametrize("mid_loss", MID_LOSSES)
def test_the_intermediate_loss_is_its_formula(mid_loss: str) -> None:
    method = shaken(make(mid_loss=mid_loss, mid_weight=0.7, temperature=3.0, width=5, aux_weight=0.0))
    losses, student, teacher = losses_of(method)
    f = features(method, "softmax", student, teacher)
    s, t = f["student"], f["teacher"]
    if mid_loss == "ln_mse":
        wanted = [squared([normalised(r) for r in s], [normalised(r) for r in t])] * 2
    elif mid_loss == "raw_mse":
        wanted = [squared(s, t)] * 2
    elif mid_loss == "cosine":
        wanted = [mean([1 - cosine(a, b) for a, b in zip(s, t, strict=True)])] * 2
    else:
        guess = {side: [dense(method.heads[side], row) for row in rows] for side, rows in f.items()}
        wanted = [
            divergence(guess["student"], guess["teacher"], 3.0),
            divergence(guess["teacher"], guess["student"], 3.0),
        ]
    assert losses["mid_student"].item() == pytest.approx(0.7 * wanted[0], rel=1e-9)
    assert losses["mid_teacher"].item() == pytest.approx(0.7 * wanted[1], rel=1e-9)


def test_an_exit_follows_the_other_networks_output_and_moves_its_own_side_alone() -> None:
    method = shaken(make(teach_exits=True, mid_weight=0.7, temperature=2.0, width=5))
    losses, student, teacher = losses_of(method)
    f = features(method, "softmax", student, teacher)
    guess = {side: [dense(method.heads[side], row) for row in rows] for side, rows in f.items()}
    others = {"student": teacher, "teacher": student}
    for side, other in others.items():
        wanted = 0.7 * divergence(guess[side], other.logits.tolist(), 2.0)
        assert losses[f"exit_{side}"].item() == pytest.approx(wanted, rel=1e-9)
        assert largest(losses[f"exit_{side}"], leaves(other)) == 0
        assert largest(losses[f"exit_{side}"], list(method.heads[side].parameters())) > 1e-4
    free = losses_of(shaken(make(teach_exits=True, stop_grad=False)))
    assert largest(free[0]["exit_student"], [free[2].logits]) > 1e-4


def test_the_other_losses_are_their_formulas() -> None:
    method = shaken(make(hard_weight=0.9, aux_weight=0.5, out_weight=0.3, temperature=2.5, width=5))
    losses, student, teacher = losses_of(method)
    s, t, y = student.logits.tolist(), teacher.logits.tolist(), BATCH.y.tolist()
    f = features(method, "softmax", student, teacher)
    wanted: Mapping[str, float] = {
        "hard_student": 0.9 * entropy(s, y),
        "hard_teacher": 0.9 * entropy(t, y),
        "out_student": 0.3 * divergence(s, t, 2.5),
        "out_teacher": 0.3 * divergence(t, s, 2.5),
        "aux_student": 0.9 * 0.5 * entropy([dense(method.heads["student"], row) for row in f["student"]], y),
        "aux_teacher": 0.9 * 0.5 * entropy([dense(method.heads["teacher"], row) for row in f["teacher"]], y),
    }
    for name, value in wanted.items():
        assert losses[name].item() == pytest.approx(value, rel=1e-9), name


@pytest.mark.parametrize(("epoch", "rho"), [(0, 0.2), (1, 0.4), (3, 0.8), (4, 1.0), (5, 1.0), (99, 1.0)])
def test_mutual_losses_grow_over_the_ramp_and_the_others_do_not(epoch: int, rho: float) -> None:
    full, growing = make(ramp=0), make(ramp=5)
    full.start_epoch(epoch, 100)
    growing.start_epoch(epoch, 100)
    wanted, got = losses_of(full)[0], losses_of(growing)[0]
    for name in wanted:
        factor = rho if name.startswith(("out", "mid")) else 1.0
        assert got[name].item() == pytest.approx(factor * wanted[name].item(), rel=1e-12)


# Settings.


def test_presets_are_the_three_of_the_definition() -> None:
    schema, presets = METHODS.schema("hmkd"), METHODS.get("hmkd").presets
    defaults = {name: setting.default for name, setting in schema.items()}
    weights = {"temperature": 4.0, "hard_weight": 1.0, "out_weight": 1.0, "mid_weight": 1.0, "ramp": 5}
    assert weights.items() <= (defaults | dict(presets["default"])).items()
    lineage = {"temperature": 1.0, "hard_weight": 0.9, "out_weight": 0.1, "mid_weight": 0.1, "ramp": 0}
    assert lineage.items() <= (defaults | dict(presets["lineage"])).items()
    weights = dict.fromkeys(("hard_weight", "out_weight", "mid_weight", "aux_weight"), 1.0)
    exits = {"temperature": 1.0, "ramp": 0, "mid_loss": "aux_kl", "teach_exits": True, "stop_grad": True, **weights}
    assert exits.items() <= (defaults | dict(presets["lineage-exits"])).items()
    assert not defaults["teach_exits"]
    choices = {"ensemble": "softmax", "direction": "mutual", "mid_loss": "ln_mse", "out_loss": "kl", "stop_grad": True}
    assert choices.items() <= defaults.items()
    assert defaults["width"] == 128
    assert METHODS.get("hmkd").roles[0] == "peer"


# What it adds.


def test_scores_learn_ten_times_as_fast_and_do_not_decay(bench) -> None:
    training = bench.training("hmkd", "resnet_lstman", "mlp", "peer")
    scores = {id(p) for name, p in training.method.named_parameters() if name.endswith(".scores")}
    assert len(scores) == 2
    seen = set()
    for group in training.optimizer.param_groups:
        ids = {id(p) for p in group["params"]}
        assert ids <= scores or not ids & scores
        seen |= ids & scores
        fast = ids <= scores
        assert group["lr"] == pytest.approx(training.recipe.learning_rate * (10 if fast else 1))
        assert group["weight_decay"] == (0 if fast else training.recipe.weight_decay)
    assert seen == scores
    before = training.method.merge["student"].scores.detach().clone()
    bench.run(training)
    assert not torch.equal(before, training.method.merge["student"].scores)


def test_nothing_is_added_when_nothing_reads_it() -> None:
    assert parameters(make(**ALONE)) == 0
    assert parameters(make(use_mid=False, aux_weight=0.0)) == 0
    assert make(**ALONE).parameter_groups() == []
    without_heads = make(aux_weight=0.0, width=5)
    assert len(without_heads.heads) == 0
    assert len(make(aux_weight=0.0, mid_loss="aux_kl", width=5).heads) == 2
    # D (C_i + 1) of each projection, 2 D of each norm, one score a stage; D K + K of each head
    merges = sum(5 * (c + 1) + 10 + 1 for c, _ in STUDENT.stages + TEACHER.stages)
    assert parameters(without_heads) == merges
    assert parameters(make(width=5)) == merges + 2 * (5 * 4 + 4)
    last = 5 * (3 + 1) + 10 + 5 * (4 + 1) + 10
    assert parameters(make(width=5, ensemble="last", aux_weight=0.0)) == last


@pytest.mark.parametrize("method", ["hmkd", "student_aux"])
def test_the_exported_student_has_exactly_the_plain_students_parameters(bench, method: str) -> None:
    role = METHODS.get(method).roles[0]
    training = bench.run(bench.training(method, "resnet_lstman", "mlp", role))
    head = None if training.teacher is None else training.teacher.network.head
    deployed = training.method.deployed(training.student.network, head)
    plain = bench.network("mlp").network
    assert [(n, p.shape) for n, p in deployed.named_parameters()] == [(n, p.shape) for n, p in plain.named_parameters()]
    assert deployed.state_dict().keys() == plain.state_dict().keys()
    assert training.method.parameters()


# Facts.


def test_the_spread_of_merged_features_is_reported() -> None:
    method = shaken(make(width=5))
    assert not any(name.startswith("feature_std") for name in method.facts())
    _, student, teacher = losses_of(method)
    facts = method.facts()
    for side, rows in features(method, "softmax", student, teacher).items():
        columns = list(zip(*(normalised(row) for row in rows), strict=True))
        spreads = [mean([(v - mean(column)) ** 2 for v in column]) ** 0.5 for column in columns]
        assert facts[f"feature_std_{side}"] == pytest.approx(mean(spreads), rel=1e-9)


def test_the_weight_of_each_stage_is_reported_where_one_is_learnt() -> None:
    facts = shaken(make()).facts()
    for side, stages in (("student", 3), ("teacher", 4)):
        weights = [facts[f"stage_weight_{side}_{number + 1}"] for number in range(stages)]
        assert sum(weights) == pytest.approx(1)
        assert len(set(weights)) == stages
    assert not any("stage_weight" in name for how in ("mean", "self") for name in make(ensemble=how).facts())


def test_collapsed_features_are_warned_of_and_living_ones_are_not() -> None:
    method = make()
    losses_of(method)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert min(method.facts().values()) > 0.2
    constant = outputs(TEACHER, 2)
    stages = tuple(stage.detach()[:1].expand_as(stage) for stage in constant.stages)
    method.losses(BATCH, outputs(STUDENT, 1), Outputs(constant.logits, stages, constant.embedding))
    with pytest.warns(UserWarning, match="the teacher's merged features were close to constant") as caught:
        facts = method.facts()
    assert len(caught) == 1
    assert facts["feature_std_teacher"] < 1e-6
    assert facts["feature_std_student"] > 0.2


# The control: the student with its auxiliary head, without any teacher.


def not_asked(x: object) -> Any:
    raise AssertionError("there is no teacher")


def test_the_control_is_the_students_side_by_its_formula() -> None:
    method = shaken(make("absent", name="student_aux", width=5, aux_weight=0.5))
    student = outputs(STUDENT, 1)
    (losses,) = method.rounds(BATCH, Nets(lambda batch: student, not_asked, not_asked))
    guess = [dense(method.aux_head, row) for row in merged(method.merge, "softmax", student)]
    y = BATCH.y.tolist()
    assert set(losses) == {"hard", "aux"}
    assert losses["hard"].item() == pytest.approx(entropy(student.logits.tolist(), y), rel=1e-9)
    assert losses["aux"].item() == pytest.approx(0.5 * entropy(guess, y), rel=1e-9)


def test_the_control_trains_as_hmkds_student_does_without_mutual_terms(bench) -> None:
    without = {"out_weight": 0.0, "mid_weight": 0.0}
    mutual = bench.training("hmkd", "resnet_lstman", "mlp", "peer", **without)
    alone = bench.training("student_aux", "resnet_lstman", "mlp", "absent")
    alone.method.merge.load_state_dict(copy.deepcopy(mutual.method.merge["student"].state_dict()))
    alone.method.aux_head.load_state_dict(copy.deepcopy(mutual.method.heads["student"].state_dict()))
    bench.run(mutual)
    bench.run(alone)
    assert bench.same(dict(alone.student.network.state_dict()), dict(mutual.student.network.state_dict()))
    assert [row["loss_aux"] for row in alone.curve] == [row["loss_aux_student"] for row in mutual.curve]

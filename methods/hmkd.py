"""Heterogeneous mutual knowledge distillation: our reconstruction of HMKD from its abstract."""

from __future__ import annotations

import warnings
from typing import Annotated, cast

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdbench.architectures import Choice, Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, NotApplicable, ParameterGroup, Setup
from kdbench.methods._functional import (
    NCKD_IS_VOID,
    at_least_float32,
    cross_entropy,
    decoupled_divergence,
    soft_divergence,
)
from kdbench.methods._modules import StageEnsemble
from kdbench.roles import Role

COLLAPSED = 0.2  # across-sample std of a normalised feature (1 at most) below which it says next to nothing


class HMKD(Method):
    """Mutual learning of two unlike networks in their output layers and in a weighted merge of their stages.

    This is *our reconstruction of HMKD*: the paper is public as an abstract, its losses and weights are not. Every
    choice that the abstract leaves open is a setting.

    Formula, for each network n in {T, S}, with e the epoch from 1, t the temperature, sg stop-gradient, N layer
    normalisation without affine part and F_n the weighted ensemble feature (`StageEnsemble`) of its stage vectors::

        L_n     = hard_weight * L_sup,n + rho(e) * (out_weight * L_out,n + mid_weight * (L_mid,n + L_exit,n))
        L_sup,n = CE(z_n, y) + aux_weight * CE(A_n F_n, y)
        L_out,S = t^2 KL(sg p^t(z_T) || p^t(z_S))        L_out,T with the networks swapped
        L_mid,S = (1/D) || N(F_S) - sg N(F_T) ||^2       L_mid,T with the networks swapped
        L_exit,S = t^2 KL(sg p^t(z_T) || p^t(A_S F_S))   L_exit,T with the networks swapped; only with teach_exits
        rho(e)  = min(1, e / ramp), 1 where ramp = 0

    Both are minimised in one step. A frozen teacher has no L_out,T and no CE(z_T, y); its merge still learns.

    Source: Xiao et al., IEEE TNNLS 36(9):16589-16603, 2025 (abstract). Presets: ``default``; ``lineage`` after the
    weights that the authors use elsewhere (t 1, hard 0.9, out and mid 0.1, no ramp); ``lineage-exits`` after the
    two-way losses at intermediate and output layers in the first author's public code (xiaozw1994/KACapMamba, "Ours
    Model"): the auxiliary heads A_n are exits, which teach each other, and which the other's output teaches besides.
    All are our reconstruction: what the authors do elsewhere is no statement of this paper.

    Args:
        setup: what the run tells the method.
        temperature: t of the output layer's losses.
        hard_weight: c, weight of the labels' losses.
        out_weight: weight of the output layer's losses.
        mid_weight: weight of the intermediate layers' losses.
        aux_weight: mu, weight of the auxiliary heads' cross-entropy inside L_sup. With 0 the merged features may
            collapse to constants; ``facts`` reports their spread.
        ramp: epochs over which the mutual losses reach their weight.
        use_out: whether the output layers exchange at all.
        use_mid: whether the intermediate layers exchange at all.
        ensemble: how stages merge: softmax | mean | last | self | gate.
        direction: who learns from whom: mutual | t2s (the student only) | s2t (the teacher only).
        stop_grad: whether a loss moves only the network that it is for.
        mid_loss: distance of merged features: ln_mse | cosine | raw_mse | aux_kl (of the auxiliary heads' logits).
        teach_exits: whether each network's output teaches the other's auxiliary head too.
        out_loss: divergence of logits: kl | decoupled (into the label's part and the others').
        width: D of the merged feature; of two numbers, layer normalisation leaves only which is the larger.
        out_alpha: weight of the labelled class's part where ``out_loss`` is decoupled.
        out_beta: weight of the other classes' part where ``out_loss`` is decoupled.

    Raises:
        NotApplicable: if a frozen teacher alone is taught, if one side is to follow merged features of the other that
            nothing trains (one direction, ``stop_grad``, and an auxiliary loss without weight), or if a decoupled
            divergence is to compare two classes without the labelled one's part.

    Deviations: cannot be listed against a paper that is not public.
    """

    kind = "ours"
    roles = (Role.PEER, Role.TUNED, Role.FROZEN)
    checked_against = ("dkd", "dml")
    presets = {  # noqa: RUF012
        "default": {},
        "lineage": {"temperature": 1.0, "hard_weight": 0.9, "out_weight": 0.1, "mid_weight": 0.1, "ramp": 0},
        "lineage-exits": {"temperature": 1.0, "ramp": 0, "mid_loss": "aux_kl", "teach_exits": True},
    }
    note = "our reconstruction of HMKD (Xiao et al. 2025) from its abstract"

    def __init__(
        self,
        setup: Setup,
        *,
        temperature: Annotated[float, Range(0.1, 100, search=(1, 10), log=True)] = 4.0,
        hard_weight: Annotated[float, Range(0, 100)] = 1.0,
        out_weight: Annotated[float, Range(0, 100, search=(0.05, 5), log=True)] = 1.0,
        mid_weight: Annotated[float, Range(0, 100, search=(0.05, 5), log=True)] = 1.0,
        aux_weight: Annotated[float, Range(0, 100, search=(0.1, 2), log=True)] = 1.0,
        ramp: Annotated[int, Range(0, 1000)] = 5,
        use_out: bool = True,
        use_mid: bool = True,
        ensemble: Annotated[str, Choice("softmax", "mean", "last", "self", "gate")] = "softmax",
        direction: Annotated[str, Choice("mutual", "t2s", "s2t")] = "mutual",
        stop_grad: bool = True,
        mid_loss: Annotated[str, Choice("ln_mse", "cosine", "raw_mse", "aux_kl")] = "ln_mse",
        teach_exits: bool = False,
        out_loss: Annotated[str, Choice("kl", "decoupled")] = "kl",
        width: Annotated[int, Range(3, 4096)] = 128,
        out_alpha: Annotated[float, Range(0, 100)] = 1.0,
        out_beta: Annotated[float, Range(0, 100)] = 8.0,
    ) -> None:
        super().__init__(setup)
        if setup.role is Role.FROZEN and direction == "s2t":
            raise NotApplicable("direction=s2t teaches the teacher alone, and a frozen teacher learns nothing")
        trains_both = direction == "mutual" or not stop_grad or hard_weight * aux_weight > 0
        if use_mid and mid_weight > 0 and not trains_both:
            raise NotApplicable(
                f"direction={direction} without an auxiliary loss trains one merge alone: "
                "the other would stay the random projection it begins as"
            )
        self.void = NCKD_IS_VOID if use_out and out_weight and out_loss == "decoupled" and setup.classes < 3 else ""
        if self.void and not out_alpha:
            raise NotApplicable(f"{self.void}, and out_alpha=0 leaves out what the label's class says")
        self.temperature, self.hard_weight, self.aux_weight = temperature, hard_weight, aux_weight
        self.ramp, self.rho, self.stop_grad = ramp, 1.0, stop_grad
        self.out_weight = out_weight if use_out else 0.0
        self.mid_weight = mid_weight if use_mid else 0.0
        self.out_loss, self.out_alpha, self.out_beta = out_loss, out_alpha, out_beta
        self.mid_loss, self.teach_exits = mid_loss, teach_exits
        self.to_student, self.to_teacher = direction != "s2t", direction != "t2s"
        self.merges = self.mid_weight > 0 or aux_weight > 0
        if self.merges:  # nothing is added, hence nothing trained, that no loss reads
            sides = {"student": setup.student, "teacher": setup.taught_by}
            channels = {side: [c for c, _ in shapes.stages] for side, shapes in sides.items()}
            self.merge = nn.ModuleDict({side: StageEnsemble(cs, width, ensemble) for side, cs in channels.items()})
            guessing = self.merge if aux_weight > 0 or mid_loss == "aux_kl" or teach_exits else ()
            self.heads = nn.ModuleDict({side: nn.Linear(width, setup.classes) for side in guessing})
        self.last_features: dict[str, Tensor] = {}

    def start_epoch(self, epoch: int, epochs: int) -> None:
        self.rho = min(1.0, (epoch + 1) / self.ramp) if self.ramp else 1.0

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        teacher_learns = self.setup.role.learns
        losses = {"hard_student": self.hard_weight * cross_entropy(student.logits, batch.y)}
        if teacher_learns:
            losses["hard_teacher"] = self.hard_weight * cross_entropy(teacher.logits, batch.y)

        out_weight = self.rho * self.out_weight
        if out_weight and self.to_student:
            losses["out_student"] = out_weight * self.divergence(student.logits, self.target(teacher.logits), batch.y)
        if out_weight and self.to_teacher and teacher_learns:
            losses["out_teacher"] = out_weight * self.divergence(teacher.logits, self.target(student.logits), batch.y)

        if self.merges:
            pooled = {"student": student.pooled, "teacher": teacher.pooled}
            feature = {side: merge(pooled[side]) for side, merge in self.merge.items()}  # (B, D)
            guess = {side: head(feature[side]) for side, head in self.heads.items()}  # (B, K)
            self.last_features = {side: f.detach() for side, f in feature.items()}
            if self.aux_weight:
                for side in feature:
                    losses[f"aux_{side}"] = self.hard_weight * self.aux_weight * cross_entropy(guess[side], batch.y)
            exchanged = guess if self.mid_loss == "aux_kl" else feature
            mine, yours = exchanged["student"], exchanged["teacher"]
            mid_weight = self.rho * self.mid_weight
            if mid_weight and self.to_student:
                losses["mid_student"] = mid_weight * self.distance(mine, self.target(yours))
            if mid_weight and self.to_teacher:
                losses["mid_teacher"] = mid_weight * self.distance(yours, self.target(mine))
            if mid_weight and self.teach_exits and self.to_student:
                losses["exit_student"] = mid_weight * self.exit_loss(guess["student"], teacher.logits)
            if mid_weight and self.teach_exits and self.to_teacher:
                losses["exit_teacher"] = mid_weight * self.exit_loss(guess["teacher"], student.logits)
        return losses

    def target(self, x: Tensor) -> Tensor:
        """What one network offers the other to follow."""
        return x.detach() if self.stop_grad else x

    def divergence(self, learner: Tensor, target: Tensor, labels: Tensor) -> Tensor:
        """Divergence of the learner's logits (B, K) from the target's."""
        if self.out_loss == "decoupled":
            alpha, beta = self.out_alpha, self.out_beta
            return decoupled_divergence(learner, target, labels, self.temperature, alpha=alpha, beta=beta)
        return soft_divergence(learner, target, self.temperature)

    def exit_loss(self, learner: Tensor, target: Tensor) -> Tensor:
        """Divergence of the learner's auxiliary logits (B, K) from the other network's logits."""
        return soft_divergence(at_least_float32(learner), at_least_float32(self.target(target)), self.temperature)

    def distance(self, learner: Tensor, target: Tensor) -> Tensor:
        """Distance of the learner's merged feature (B, D), or auxiliary logits (B, K), from the target's."""
        learner, target = at_least_float32(learner), at_least_float32(target)
        if self.mid_loss == "aux_kl":
            return soft_divergence(learner, target, self.temperature)
        if self.mid_loss == "cosine":
            return (1 - F.cosine_similarity(learner, target, dim=1)).mean()
        if self.mid_loss == "raw_mse":
            return F.mse_loss(learner, target)
        return F.mse_loss(_normalised(learner), _normalised(target))

    def parameter_groups(self) -> list[ParameterGroup]:
        if not self.merges:
            return []
        groups = [group for merge in self.merge.values() for group in cast(StageEnsemble, merge).parameter_groups()]
        return [*groups, ParameterGroup(list(self.heads.parameters()))]

    def notes(self) -> tuple[str, ...]:
        return (*super().notes(), *([self.void] if self.void else []))

    def stage_weights(self) -> dict[str, float]:
        """Where one weight holds for all windows and is learnt: of each stage of each network, shallow to deep."""
        merges = {side: cast(StageEnsemble, merge) for side, merge in self.merge.items()} if self.merges else {}
        return {
            f"stage_weight_{side}_{number}": weight
            for side, merge in merges.items()
            if merge.how == "softmax"
            for number, weight in enumerate(merge.scores.detach().softmax(dim=0).tolist(), start=1)
        }

    def facts(self) -> dict[str, float]:
        """Weights of stages, and each merged feature's spread over the last batch (0 collapsed, 1 at most)."""
        facts = self.stage_weights()
        for side, feature in self.last_features.items():
            spread = float(_normalised(feature).std(dim=0, correction=0).mean())
            facts[f"feature_std_{side}"] = spread
            if spread < COLLAPSED:
                warnings.warn(
                    f"the {side}'s merged features were close to constant (std below {COLLAPSED}); "
                    "aux_weight above 0 keeps them apart",
                    stacklevel=2,
                )
        return facts


def _normalised(x: Tensor) -> Tensor:
    """Layer normalisation without affine part, (B, D)."""
    return F.layer_norm(x, x.shape[1:])

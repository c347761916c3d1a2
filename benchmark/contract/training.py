"""Rules of a method in the real training loop, on a pair of networks."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from kdbench.architectures import Backbone, Outputs
from kdbench.catalog.find import NETWORKS
from kdbench.contract.bench import CLASSES, Bench, Candidate
from kdbench.contract.rules import Noted, Verdict, watched
from kdbench.errors import KdbenchError
from kdbench.methods import Batch, Nets, Network, Role
from kdbench.settings import Choice
from kdbench.training.loop import Learner, Training
from kdbench.training.teachers import FrozenTeacher

NEGLIGIBLE = 1e-7
Pair = tuple[str, str]  # teacher, student


@dataclass(frozen=True)
class Case:
    """A method in one role of its teacher, on one pair of networks, with some settings."""

    candidate: Candidate
    role: str
    teacher: str
    student: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def families() -> dict[str, str]:
    """The first network of each family, by name."""
    first: dict[str, str] = {}
    for name in NETWORKS.names():
        with suppress(KdbenchError):  # somebody's broken package is judged where it is asked for
            first.setdefault(NETWORKS.get(name).family, name)
    return first


def representative_pairs() -> list[Pair]:
    """Ordered pairs of one network of each family.

    A method knows networks by the sizes of their outputs alone, and families differ in these.
    """
    return _ordered(families().values())


def all_pairs() -> list[Pair]:
    """Ordered pairs of all networks."""
    return _ordered(NETWORKS.names())


def _ordered(names: Iterable[str]) -> list[Pair]:
    names = list(names)
    return list(itertools.product(names, names))


def for_role(role: str, pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs that differ where there is perhaps no teacher."""
    return list(pairs) if Role(role).present else list(dict.fromkeys((student, student) for _, student in pairs))


def variants(candidate: Candidate) -> Iterator[dict[str, Any]]:
    """Settings that each turn one switch of a method, and its presets."""
    for setting in candidate.schema.values():
        values = setting.legal.values if isinstance(setting.legal, Choice) else ()
        for value in (not setting.default,) if setting.type is bool else values:
            if value != setting.default:
                yield {setting.name: value}
    yield from (dict(preset) for preset in candidate.cls.presets.values() if preset)


def judge_variant(bench: Bench, candidate: Candidate, role: str, settings: Mapping[str, Any]) -> Verdict:
    """Judge a method with some settings on the first of some unlike pairs that they extend to."""
    of = families()
    verdict = Verdict()
    for pair in for_role(role, [(of["hybrid"], of["mlp"]), (of["hybrid"], of["conv"]), (of["conv"], of["conv"])]):
        verdict = judge(bench, Case(candidate, role, *pair, settings))
        if not verdict.not_applicable:
            break
    return verdict


def judge(bench: Bench, case: Case) -> Verdict:
    """Train three steps as a cell does, and see what holds.

    A rule that raises ends the judgement: what comes after it would judge a broken run.
    """
    verdict = Verdict()
    with verdict.watching("it can be made"):
        run = _Run(bench, case)
    if verdict.not_applicable or verdict.violations:
        return verdict
    for rule, seen in RULES:
        before = len(verdict.violations)
        with verdict.watching(rule):
            wrong = seen(run)
            if wrong:
                verdict.found(rule, wrong)
                continue
        if len(verdict.violations) > before:
            break
    return verdict


class _Stopped(Exception):
    """Stands for a process that was killed."""


class _Run:
    """A whole run, and what is seen of it. Rules are looked at in their order: the last two begin other runs."""

    def __init__(self, bench: Bench, case: Case) -> None:
        self.bench, self.case = bench, case
        self.training = self.make()
        self.states: list[Any] = []  # after each epoch
        self.held = ""  # networks that the method was seen to hold
        self.steps, self.augments = 0, False  # on one batch

    def make(self) -> Training:
        case = self.case
        return self.bench.training(case.candidate, case.teacher, case.student, case.role, **case.settings)

    def holds_no_network(self) -> str:
        method = self.training.method
        sides = [side for side in (self.training.student, self.training.teacher) if side is not None]
        networks = {p.data_ptr() for side in sides for p in side.network.parameters()}
        theirs = [name for name, p in method.named_parameters() if p.data_ptr() in networks]
        theirs += list(_networks_in(method, self.training.nets))
        held = f"{', '.join(dict.fromkeys(theirs))}: of a network" if theirs else ""
        if held == self.held:  # and told
            return ""
        self.held = held
        return held

    def groups_are_complete(self) -> str:
        method = self.training.method
        grouped = [id(p) for group in method.parameter_groups() for p in group.params]
        wrong = [name for name, p in method.named_parameters() if grouped.count(id(p)) != int(p.requires_grad)]
        strange = len(set(grouped) - {id(p) for p in method.parameters()})
        seen = [f"{', '.join(wrong)}: not there once"] if wrong else []
        return "; ".join([*seen, *([f"{strange} of them are not the method's"] if strange else [])])

    def three_steps_are_finite(self) -> str:
        method = self.training.method
        method.rounds = partial(watched, method.rounds)  # type: ignore[method-assign]
        try:
            curve = self.bench.run(self.training, lambda training: self.states.append(_copied(training.state()))).curve
        finally:
            del method.rounds
        numbers = {key: value for row in curve for key, value in row.items()}
        sick = [key for row in curve for key, value in row.items() if not torch.tensor(value).isfinite()]
        if sick:
            return f"{sick[0]} is not finite"
        return "" if any(key.startswith("loss_") for key in numbers) else "there is no loss"

    def student_moves(self) -> str:
        before = self.bench.original(self.case.student).state_dict()
        same = self.bench.same(before, self.training.student.network.state_dict())
        return "its weights are those it began with" if same else ""

    def frozen_teacher_stays(self) -> str:
        if self.case.role != Role.FROZEN or self._teacher_stayed():
            return ""
        self.bench.forget(self.case.teacher)
        return "its weights or statistics changed"

    def learning_teacher_moves(self) -> str:
        learns = Role(self.case.role).learns
        return "its weights are those it began with" if learns and self._teacher_stayed() else ""

    def _teacher_stayed(self) -> bool:
        case, teacher = self.case, self.training.teacher
        assert teacher is not None
        trained = Role(case.role).pretrained
        before = self.bench.original(case.teacher, peer=case.teacher == case.student, trained=trained)
        return self.bench.same(before.state_dict(), teacher.network.state_dict())

    def every_loss_teaches(self) -> str:
        training, method = self.training, self.training.method
        shown: list[Tensor] = []
        teacher_learns = isinstance(training.teacher, Learner)
        student = _shown(self._seen(training.nets.student), shown)
        teacher = self._seen(training.nets.teacher)
        if teacher_learns:
            teacher = _shown(teacher, shown)
        method.zero_grad(set_to_none=True)
        training.learners.train()
        method.start_epoch(2, 3)  # the last: past any warm-up
        wrong = []
        for losses in method.rounds(self.bench.batch(), Nets(student, teacher, training.nets.teacher_head)):
            learns = [*shown, *(p for p in method.parameters() if p.requires_grad)]
            for name, loss in losses.items():
                gradients = torch.autograd.grad(loss, learns, retain_graph=True, allow_unused=True)
                largest = max((float(g.abs().max()) for g in gradients if g is not None), default=0.0)
                if largest <= NEGLIGIBLE:
                    wrong.append(f"{name!r} teaches nothing, its largest gradient is {largest:g}")
            torch.autograd.backward(list(losses.values()))
            self.steps += 1
        return "; ".join(dict.fromkeys(wrong))

    def _seen(self, network: Network) -> Network:
        """The network, and whether it is asked for other inputs than the batch's is taken down."""
        plain = self.bench.batch().x

        def forward(batch: Batch) -> Outputs:
            self.augments |= batch.augmented or not torch.equal(batch.x, plain)
            return network(batch)

        return forward

    def recipe_is_told(self) -> str:
        said = " ".join(self.training.method.notes())
        seen = []
        if self.augments and "augment" not in said:
            seen.append("it shows the networks augmented windows, and no note has the word 'augmented'")
        if self.steps > 1 and "steps" not in said:
            seen.append(f"it makes {self.steps} optimiser steps a batch, and no note has the word 'steps'")
        return "; ".join(seen)

    def every_parameter_is_read(self) -> str:
        added = self.training.method.named_parameters()
        unread = [name for name, p in added if p.requires_grad and p.grad is None]
        return f"{', '.join(unread)}: no loss depends on it" if unread else ""

    def deployed_gives_logits(self) -> str:
        training = self.training
        head = None if training.teacher is None else copy.deepcopy(training.teacher.network.head)
        model = training.method.deployed(training.student.network, head)
        if model is not training.student.network:
            self.bench.forget(self.case.student)
        with torch.no_grad():
            logits = model.eval()(self.bench.x[:3]).logits
        if logits.shape != (3, CLASSES):
            return f"{tuple(logits.shape)} for three windows of {CLASSES} classes"
        return "" if logits.isfinite().all() else "they are not finite"

    def can_be_kept(self) -> str:
        state = self.training.method.state_dict()
        unusual = {name: value for name, value in state.items() if not isinstance(value, Tensor)}
        kept = self.bench.read(self.bench.kept(unusual)) if unusual else unusual
        return "" if self.bench.same(kept, unusual) else f"{', '.join(unusual)}: read as something else"

    def repeats(self) -> str:
        def stop(training: Training) -> None:
            raise _Stopped

        again = self.make()
        with suppress(_Stopped):
            self.bench.run(again, stop)
        return self._different(again.state(), self.states[0])

    def continues(self) -> str:
        continued = self.make()
        continued.load_state(self.states[0])
        self.bench.run(continued)
        return self._different(continued.state(), self.states[-1])

    def _different(self, a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
        names = [name for name in a["learners"] if not self.bench.same(a["learners"][name], b["learners"].get(name))]
        places = [f"{len(names)} weights, of which {names[0]}"] if names else []
        places += [name for name in a if name != "learners" and not self.bench.same(a[name], b[name])]
        return f"other {', '.join(places)}" if places else ""


def _networks_in(value: object, nets: Nets, name: str = "") -> Iterator[str]:
    """Names of the attributes, and of entries of those, that are networks or give access to them."""
    if isinstance(value, Backbone | Nets | Learner | FrozenTeacher | Noted) or any(
        value is given for given in vars(nets).values()
    ):
        yield name
    elif isinstance(value, nn.Module):
        own = {**{key: kept for key, kept in vars(value).items() if key not in _OF_MODULES}, **value._modules}
        for key, kept in own.items():
            yield from _networks_in(kept, nets, f"{name}.{key}".lstrip("."))
    elif isinstance(value, Mapping):
        for key, kept in value.items():
            yield from _networks_in(kept, nets, f"{name}[{key!r}]")
    elif isinstance(value, list | tuple | set):
        for i, kept in enumerate(value):
            yield from _networks_in(kept, nets, f"{name}[{i}]")


_OF_MODULES = vars(nn.Module())


def _shown(network: Network, shown: list[Tensor]) -> Network:
    """The network with outputs at which gradients can be asked for, one by one and without running it backwards."""

    def forward(batch: Batch) -> Outputs:
        with torch.no_grad():
            outputs = network(batch)
        logits, embedding, *stages = (
            field.detach().requires_grad_() for field in (outputs.logits, outputs.embedding, *outputs.stages)
        )
        shown.extend([logits, embedding, *stages])
        return Outputs(logits, tuple(stages), embedding)

    return forward


def _copied(state: Any) -> Any:
    """A nested state that training does not change."""
    if isinstance(state, Tensor):
        return state.clone()
    if isinstance(state, Mapping):
        return {key: _copied(value) for key, value in state.items()}
    return [_copied(value) for value in state] if isinstance(state, list) else state


NO_NETWORK = "the method holds no network"
RULES: list[tuple[str, Callable[[_Run], str]]] = [  # each tells what was seen that must not be, or nothing
    (NO_NETWORK, _Run.holds_no_network),
    ("parameter groups hold every added parameter once", _Run.groups_are_complete),
    ("three steps end with finite losses", _Run.three_steps_are_finite),
    (NO_NETWORK, _Run.holds_no_network),
    ("the student moves", _Run.student_moves),
    ("a frozen teacher does not change by one bit", _Run.frozen_teacher_stays),
    ("a teacher that learns moves", _Run.learning_teacher_moves),
    ("every loss teaches something that learns", _Run.every_loss_teaches),
    ("what the student alone is not given is told in a note", _Run.recipe_is_told),
    ("every added parameter is read by a loss", _Run.every_parameter_is_read),
    ("the deployed model gives logits", _Run.deployed_gives_logits),
    (NO_NETWORK, _Run.holds_no_network),
    ("its state can be kept in a file", _Run.can_be_kept),
    ("the same seed gives the same bits", _Run.repeats),
    ("a run saved and loaded in the middle goes on bit for bit", _Run.continues),
]

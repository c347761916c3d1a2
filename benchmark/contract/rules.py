"""What is found of a method, and the rules that hold without any training."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from kdbench.architectures import Outputs
from kdbench.contract.bench import Bench, Candidate
from kdbench.errors import KdbenchError, nearest
from kdbench.methods import KINDS, Batch, Losses, Nets, Network, NotApplicable, Role
from kdbench.text import first_line

LOSSES = "losses are a dict of named scalar tensors that require grad"
UNCHANGED = "what a method is given is not changed in place"


class Violation(AssertionError):
    """A rule that a method breaks.

    Args:
        rule: what must hold.
        seen: what was seen instead, one line.
    """

    def __init__(self, rule: str, seen: str) -> None:
        super().__init__(f"{rule}: {seen}")
        self.rule, self.seen = rule, seen


@dataclass
class Verdict:
    """What was found of a method in one place.

    Args:
        not_applicable: why the method does not extend to this place; empty where it was judged.
        violations: every rule that it breaks there.
    """

    not_applicable: str = ""
    violations: list[Violation] = field(default_factory=list)

    def found(self, rule: str, seen: str) -> None:
        """Take down what breaks a rule."""
        self.violations.append(Violation(rule, seen))

    def found_in(self, spots: Iterable[tuple[str, Violation]], places: Callable[[list[str]], str]) -> None:
        """Take down what was seen in several places, the same once.

        Args:
            spots: where, and what.
            places: says where, given all places of one thing.
        """
        seen: dict[tuple[str, str], list[tuple[str, Violation]]] = {}
        for spot, violation in spots:
            seen.setdefault((violation.rule, violation.seen), []).append((spot, violation))
        for (rule, what), alike in seen.items():
            self.found(rule, f"{what} ({places([spot for spot, _ in alike])})")
            self.violations[-1].__cause__ = alike[0][1].__cause__

    @contextmanager
    def watching(self, rule: str) -> Iterator[None]:
        """Take down what is raised within."""
        try:
            yield
        except NotApplicable as error:
            self.not_applicable = str(error)
            if len(self.not_applicable) <= 10:
                self.found("a pair is refused with a reason that a table can show", repr(self.not_applicable))
        except Violation as found:
            self.violations.append(found)
        except (Exception, SystemExit) as error:
            violation = Violation(rule, one_line(error))
            violation.__cause__ = error
            self.violations.append(violation)

    def settle(self) -> None:
        """Raise what was found, if anything was.

        Raises:
            ExceptionGroup: of every violation.
        """
        if self.violations:
            raise ExceptionGroup("the method breaks its contract", self.violations)


class Noted:
    """A network that takes down what it shows.

    Args:
        side: student or teacher.
        network: what is asked.
        given: where tensors are taken down, by name, with the count of their changes so far.
    """

    def __init__(self, side: str, network: Network, given: list[tuple[str, Tensor, int]]) -> None:
        self._side, self._asked, self._given = side, network, given

    def __getattr__(self, name: str) -> object:
        return getattr(self._asked, name)  # all that a method may reach in a run, it reaches here

    def __call__(self, batch: Batch) -> Outputs:
        outputs = self._asked(batch)
        several = {"pooled": outputs.pooled, "stages": outputs.stages if isinstance(outputs.stages, tuple) else ()}
        shown = {"logits": outputs.logits, "embedding": outputs.embedding}
        shown |= {f"{name}[{i}]": x for name, tensors in several.items() for i, x in enumerate(tensors)}
        self._given += [(f"{self._side}.{name}", x, x._version) for name, x in shown.items()]
        return outputs


def watched(rounds: Callable[[Batch, Nets], Iterator[Losses]], batch: Batch, nets: Nets) -> Iterator[Losses]:
    """A method's rounds as they come, if their losses are losses and what it was given is left as it is.

    Raises:
        Violation: otherwise.
    """
    given = [(f"batch.{name}", x, x._version) for name in ("x", "y", "index") for x in [getattr(batch, name)]]
    noted = Nets(Noted("student", nets.student, given), Noted("teacher", nets.teacher, given), nets.teacher_head)
    count = 0
    for losses in rounds(batch, noted):
        wrong = _no_losses(losses)
        if wrong:
            raise Violation(LOSSES, wrong)
        _see_unchanged(given)
        count += 1
        yield losses
    _see_unchanged(given)
    if not count:
        raise Violation(LOSSES, "rounds yielded none")


def _no_losses(losses: object) -> str:
    """What there is where losses are wanted; nothing where they are."""
    if not isinstance(losses, dict):
        return f"{type(losses).__name__} came"
    if not losses:
        return "the dict is empty"
    for name, loss in losses.items():
        if not isinstance(name, str):
            return f"the name {name!r} is no text"
        if not isinstance(loss, Tensor):
            return f"{name!r} is of type {type(loss).__name__}"
        if loss.dim() != 0:
            return f"{name!r} has the shape {tuple(loss.shape)}"
        if not loss.requires_grad:
            return f"{name!r} does not require grad: nothing that learns is in it, or it was detached"
    return ""


def _see_unchanged(given: Sequence[tuple[str, Tensor, int]]) -> None:
    changed = [name for name, tensor, version in given if tensor._version != version]
    if changed:
        raise Violation(UNCHANGED, f"{', '.join(dict.fromkeys(changed))}: changed")


def few(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    shown = ", ".join(names[:6])
    return shown if len(names) <= 6 else f"{shown} and {len(names) - 6} more"


def one_line(error: BaseException) -> str:
    """An exception and where it was raised, outside torch if the way leads there."""
    frames = traceback.extract_tb(error.__traceback__)
    where = next((frame for frame in reversed(frames) if "torch" not in Path(frame.filename).parts), frames[-1])
    return f"{type(error).__name__}: {first_line(error)} ({Path(where.filename).name}, line {where.lineno})"


def judge_settings(candidate: Candidate) -> Verdict:
    """Roles are known, and every default, preset and search range is legal."""
    verdict, cls, name = Verdict(), candidate.cls, candidate.name
    unknown = [role for role in cls.roles if role not in list(Role)]
    if unknown or not cls.roles:
        seen = f"{tuple(map(str, cls.roles))} of {tuple(map(str, Role))}"
        verdict.found("roles are some of those that a teacher may have", seen)
    with verdict.watching("every setting has a default and a plain type"):
        for setting in candidate.schema.values():
            try:
                setting.read(setting.default, name)
            except KdbenchError as error:
                verdict.found("every default is legal", str(error))
            search = getattr(setting.legal, "search", None) or ()
            if any(value not in setting.legal for value in search):  # type: ignore[operator]
                verdict.found("every search range is legal", f"{setting.name}: {search} is not within {setting.legal}")
        for preset, settings in cls.presets.items():
            for key, value in settings.items():
                if key not in candidate.schema:
                    verdict.found("every preset is legal", f"{preset}: there is no setting {key!r}")
                    continue
                try:
                    candidate.schema[key].read(value, preset)
                except KdbenchError as error:
                    verdict.found("every preset is legal", str(error))
    return verdict


def judge_description(candidate: Candidate) -> Verdict:
    """Its kind and version are such, and its docstring says what it computes, whose idea it is and what is unlike."""
    verdict, cls = Verdict(), candidate.cls
    if cls.kind not in KINDS:
        verdict.found("the kind is a known one", nearest("kinds of methods", str(cls.kind), KINDS))
    if type(cls.version) is not int or cls.version < 1:
        verdict.found("the version is a whole number from 1", repr(cls.version))
    wanted = ["Formula", *(["Source"] if cls.kind != "reference" else []), "Deviations"]
    lacking = [word for word in wanted if not re.search(rf"^ *{word}\b", cls.__doc__ or "", re.MULTILINE)]
    if lacking:
        verdict.found("the docstring has the parts Formula, Source and Deviations", f"no {' and no '.join(lacking)}")
    return verdict


def judge_missing_teacher(bench: Bench, candidate: Candidate) -> Verdict:
    """A missing teacher is an error and is never replaced by the student."""
    verdict, rule = Verdict(), "a missing teacher is an error"
    if Role.ABSENT in candidate.cls.roles:
        return verdict
    name = "mlp"
    try:
        method = bench.made(candidate, bench.sizes(name), None, Role.ABSENT)
        bench.run(bench.train_with(method, candidate.name, bench.network(name), None))
    except (Exception, SystemExit) as error:
        if not (isinstance(error, RuntimeError) and "no teacher" in str(error)):
            wanted = "`setup.taught_by` and `nets.teacher` raise RuntimeError, there is no teacher"
            verdict.found(rule, f"{one_line(error)} came; {wanted}")
            verdict.violations[-1].__cause__ = error
    else:
        verdict.found(rule, f"it trained without one, and {tuple(map(str, candidate.cls.roles))} has no role 'absent'")
    return verdict

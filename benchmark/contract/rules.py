"""What is found of a method, and the rules that hold without any training."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from kdbench.contract.bench import Bench, Candidate
from kdbench.errors import KdbenchError
from kdbench.methods import NotApplicable, Role


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

    @contextmanager
    def watching(self, rule: str) -> Iterator[None]:
        """Take down what is raised within."""
        try:
            yield
        except NotApplicable as error:
            self.not_applicable = str(error)
            if len(self.not_applicable) <= 10:
                self.found("a pair is refused with a reason that a table can show", repr(self.not_applicable))
        except Exception as error:
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


def one_line(error: Exception) -> str:
    """An exception and where it was raised, outside torch if the way leads there."""
    frames = traceback.extract_tb(error.__traceback__)
    where = next((frame for frame in reversed(frames) if "torch" not in Path(frame.filename).parts), frames[-1])
    text = (str(error).splitlines() or ["no message"])[0]
    return f"{type(error).__name__}: {text} ({Path(where.filename).name}, line {where.lineno})"


def judge_settings(candidate: Candidate) -> Verdict:
    """Roles are known, and every default, preset and search range is legal."""
    verdict, cls, name = Verdict(), candidate.cls, candidate.name
    unknown = [role for role in cls.roles if role not in get_args(Role)]
    if unknown or not cls.roles:
        verdict.found("roles are some of those that a teacher may have", f"{cls.roles} of {get_args(Role)}")
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


def judge_missing_teacher(bench: Bench, candidate: Candidate) -> Verdict:
    """A missing teacher is an error and is never replaced by the student."""
    verdict, rule = Verdict(), "a missing teacher is an error"
    if "absent" in candidate.cls.roles:
        return verdict
    name = "mlp"
    try:
        method = bench.made(candidate, bench.sizes(name), None, "absent")
        bench.run(bench.train_with(method, candidate.name, bench.network(name), None))
    except Exception as error:
        if not (isinstance(error, RuntimeError) and "no teacher" in str(error)):
            wanted = "`setup.taught_by` and `nets.teacher` raise RuntimeError, there is no teacher"
            verdict.found(rule, f"{one_line(error)} came; {wanted}")
            verdict.violations[-1].__cause__ = error
    else:
        verdict.found(rule, f"it trained without one, and {candidate.cls.roles} has no role 'absent'")
    return verdict

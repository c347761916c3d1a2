"""What `kdbench check` says."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from kdbench.catalog.find import METHODS
from kdbench.contract.bench import Bench, Candidate
from kdbench.contract.degenerate import COUNTS, judge_few_classes
from kdbench.contract.numerics import PLACES, SIZES, judge_hard_places
from kdbench.contract.rules import Verdict, few, judge_description, judge_missing_teacher, judge_settings
from kdbench.contract.scale import judge_scale
from kdbench.contract.training import (
    Case,
    Pair,
    all_pairs,
    for_role,
    judge,
    judge_variant,
    representative_pairs,
    variants,
)
from kdbench.spec.words import Spec
from kdbench.training.determinism import reproducible

PAUSE = 10.0
"""Seconds between two lines about how far it is."""


@dataclass(frozen=True)
class _Task:
    """One judgement: which line of the report it belongs to, and what it is about."""

    role: str
    what: str
    about: str
    verdict: Callable[[], Verdict]


def check(
    method: str, *, every_pair: bool, seed: int, say: Callable[[str], None], progress: Callable[[str], None]
) -> bool:
    """Judge a method by name or file, or all methods, and tell what was found.

    Args:
        method: a name, the path of a ``.py`` file, or ``all``.
        every_pair: whether to judge it on every ordered pair of networks, rather than on one network of each family.
        seed: what windows and networks are drawn from.
        say: prints a line of the report.
        progress: prints a line on how far it is.

    Returns:
        Whether no rule is broken.

    Raises:
        KdbenchError: if there is no such method.
    """
    candidates = [Candidate.find(name) for name in (METHODS.names() if method == "all" else [method])]
    pairs = all_pairs() if every_pair else representative_pairs()
    names = list(dict.fromkeys(student for _, student in pairs))
    say(f"{len(pairs)} ordered pairs of {', '.join(names)}; {len(SIZES) * len(PLACES)} hard places; seed {seed}")
    with tempfile.TemporaryDirectory() as folder, reproducible(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what has learnt nothing; a run takes them down
        bench = Bench(Path(folder), seed, reuse=True)
        plans = []
        for candidate in candidates:
            settings = judge_settings(candidate)
            plans.append((candidate, settings, [] if settings.violations else _tasks(bench, candidate, pairs)))
        clock = _Clock(sum(len(tasks) for _, _, tasks in plans), progress)
        broken = [c.name for c, settings, tasks in plans if not _report(c, settings, clock.over(tasks), say)]
    if len(candidates) > 1:
        say(f"\n{len(candidates) - len(broken)} of {len(candidates)} methods keep the contract")
        if broken:
            say(f"broken by: {', '.join(broken)}")
    return not broken


def _tasks(bench: Bench, candidate: Candidate, pairs: Sequence[Pair]) -> list[_Task]:
    """Everything that a method is judged on."""
    tasks = [
        _Task("any", "description", "", lambda: judge_description(candidate)),
        _Task("any", "a missing teacher", "", lambda: judge_missing_teacher(bench, candidate)),
    ]
    turned = list(variants(candidate))
    for role in candidate.cls.roles:
        for pair in for_role(role, pairs):
            case = Case(candidate, role, *pair)
            tasks.append(_Task(role, "pairs", ":".join(pair), lambda case=case: judge(bench, case)))  # type: ignore[misc]
        for settings in turned:
            tasks.append(_turned(bench, candidate, role, settings))
        for settings in [{}, *turned]:
            tasks.append(_hard(candidate, role, settings))
            tasks += [_few(candidate, role, settings, classes) for classes in COUNTS]
        tasks.append(_Task(role, "scale", "", lambda role=role: judge_scale(candidate, role, {})))  # type: ignore[misc]
    return tasks


def _turned(bench: Bench, candidate: Candidate, role: str, settings: dict[str, Any]) -> _Task:
    about = str(Spec(candidate.name, settings))
    return _Task(role, "switches", about, lambda: judge_variant(bench, candidate, role, settings))


def _hard(candidate: Candidate, role: str, settings: dict[str, Any]) -> _Task:
    about = str(Spec(candidate.name, settings))
    return _Task(role, "hard places", about, lambda: judge_hard_places(candidate, role, settings))


def _few(candidate: Candidate, role: str, settings: dict[str, Any], classes: int) -> _Task:
    about = f"{Spec(candidate.name, settings)} of {classes} classes"
    return _Task(role, "few classes", about, lambda: judge_few_classes(candidate, role, settings, classes))


class _Clock:
    """Says now and then how far it is."""

    def __init__(self, total: int, progress: Callable[[str], None]) -> None:
        self.total, self.done, self.progress = total, 0, progress
        self.begun = self.said = time.monotonic()

    def over(self, tasks: Sequence[_Task]) -> Iterator[_Task]:
        for task in tasks:
            yield task
            self.done += 1
            now = time.monotonic()
            if now - self.said >= PAUSE and self.done < self.total:
                left = (now - self.begun) / self.done * (self.total - self.done)
                self.progress(f"{self.done} of {self.total} judged, about {timedelta(seconds=round(left))} left")
                self.said = now


def _report(candidate: Candidate, settings: Verdict, tasks: Iterator[_Task], say: Callable[[str], None]) -> bool:
    """Judge and tell one method; whether it keeps the contract."""
    found = [(_Task("any", "settings", "", lambda: settings), settings)]
    found += [(task, task.verdict()) for task in tasks]
    say(f"\n{candidate.name} ({candidate.cls.kind})")
    for role in dict.fromkeys(task.role for task, _ in found):
        of_role = [(task, verdict) for task, verdict in found if task.role == role]
        counts = [_count(what, of_role) for what in dict.fromkeys(task.what for task, _ in of_role)]
        say(f"  {'any role' if role == 'any' else role}: {'; '.join(counts)}")
        refused = [(task, v) for task, v in of_role if v.not_applicable and task.what in ("pairs", "few classes")]
        for reason, count in Counter(verdict.not_applicable for _, verdict in refused).items():
            say(f"    n/a on {count}: {reason} ({few([t.about for t, v in refused if v.not_applicable == reason])})")
    broken = [(task, violation) for task, verdict in found for violation in verdict.violations]
    for rule in dict.fromkeys(violation.rule for _, violation in broken):
        say(f"  FAILED: {rule}")
        places: dict[str, list[str]] = {}  # by what was seen there
        for task, violation in broken:
            if violation.rule == rule:
                at = " ".join(filter(None, [task.role if task.role != "any" else "", task.about or task.what]))
                places.setdefault(violation.seen, []).append(at)
        for seen, where in places.items():
            say(f"    {f'{len(where)} places ({few(where)})' if len(where) > 1 else where[0]}: {seen}")
    return not broken


def _count(what: str, found: Sequence[tuple[_Task, Verdict]]) -> str:
    of = [verdict for task, verdict in found if task.what == what]
    refused = sum(bool(verdict.not_applicable and not verdict.violations) for verdict in of)
    passed = sum(not verdict.violations for verdict in of) - refused
    if len(of) == 1 and passed == 1:
        return f"{what} passed"
    return f"{what} {passed} of {len(of)} passed" + (f", {refused} n/a" if refused else "")

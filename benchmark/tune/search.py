"""One study worked off: trials are begun batch by batch, claimed one by one, and told when all their cells are done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from kdbench.errors import KdbenchError
from kdbench.plan.model import Plan
from kdbench.provenance.sources import freshness
from kdbench.results.entry import Freshness
from kdbench.results.record import FAILURES, Record
from kdbench.schedule.executor import Executor
from kdbench.schedule.runner import Outcome, run_jobs, unfinished
from kdbench.store.records import Store
from kdbench.text import counted, duration
from kdbench.tune.claims import PAUSE, Claims
from kdbench.tune.heartbeat import Heartbeat
from kdbench.tune.ledger import BATCH, Ledger, Study, Trial, draw, plain_knobs, sampling
from kdbench.tune.pace import Pace
from kdbench.tune.pruning import RULE, behind
from kdbench.tune.subject import Subject

OBJECTIVE = "mean macro-F1 over folds of held-out training people"


@dataclass(frozen=True)
class Search:
    """How studies are worked off.

    Args:
        ledger: where trials are kept.
        claims: who works on which trial, seen by all processes of the ledger.
        store: where records are.
        executor: runs cells.
        trials: finished ones wanted of each study.
        prune: whether trials are given up between folds.
        stale: whether cells older than their code are run again; if not, they are refused.
        pace: how much is left.
        say: prints a line for people.
    """

    ledger: Ledger
    claims: Claims
    store: Store
    executor: Executor
    trials: int
    prune: bool
    stale: bool
    pace: Pace
    say: Callable[[str], None]

    def work_off(self, subject: Subject) -> Study:
        """Bring a subject's study to its number of trials, beside whoever else does.

        Raises:
            KdbenchError: if a cell that counts is older than its code, and ``stale`` is not set.
        """
        name = subject.key(how(subject, prune=self.prune))
        with self.claims.held(name):
            study = self.ledger.study(name)
            study.note(facts_of(subject, max(self.trials, study.facts.get("trials", 0)), prune=self.prune))
        if self._left(study) or len(study.trials()) < self.trials:
            self._run_once(subject.teachers, subject.name, "its teachers")
        waits = False
        while True:
            with self.claims.held(name):
                self._begin(study, subject)
            left = self._left(study)
            self.pace.left[subject.name] = len(left) + max(0, self.trials - len(study.trials()))
            if not self.pace.left[subject.name]:
                return study
            mine = self._claimed(study, left)
            if mine:
                self._run(study, subject, mine)
            else:
                if not waits:
                    self.say(f"{subject.name}: waiting for trials that other processes run")
                time.sleep(PAUSE)
            waits = not mine

    def _left(self, study: Study) -> list[Trial]:
        """Trials of the budget that were begun and are not told."""
        return [trial for trial in study.trials()[: self.trials] if trial.state == "running"]

    def _begin(self, study: Study, subject: Subject) -> None:
        """Draw the next batch, if every trial before it is finished."""
        known = study.trials()
        if any(trial.state == "running" for trial in known):
            return
        for number in range(len(known), min((len(known) // BATCH + 1) * BATCH, self.trials)):
            study.add(subject.knobs, draw(subject.knobs, study.trials(), number, subject.seed))

    def _claimed(self, study: Study, left: Sequence[Trial]) -> list[Trial]:
        """As many as keep the workers busy; the rest is for other processes."""
        mine: list[Trial] = []
        at_once = study.facts["cells"] // (study.facts["folds"] if self.prune else 1)
        for trial in left:
            name = f"{study.name} {trial.number}"
            if len(mine) * at_once >= self.executor.slots:
                break
            if not self.claims.take(name):
                continue
            if study.trials()[trial.number].state == "running":
                mine.append(trial)
            else:  # told since we looked
                self.claims.give_back(name)
        return mine

    def _run(self, study: Study, subject: Subject, mine: list[Trial]) -> None:
        """Run the cells of claimed trials, fold by fold where they may be given up, and tell what came of them."""
        done: list[int] = []
        for places in subject.rounds(by_fold=self.prune):
            done += places
            failed = self._run_twice(subject, mine, places)
            mine = [trial for trial in mine if not self._told(study, subject, trial, sorted(done), failed)]

    def _run_twice(self, subject: Subject, mine: Sequence[Trial], places: Sequence[int]) -> dict[str, str]:
        """Run what is missing, and once more what failed just now; why cells failed, by digest."""
        plan = subject.trial_plan([trial.settings for trial in mine], places)
        what = f"{'trial' if len(mine) == 1 else 'trials'} {', '.join(str(trial.number) for trial in mine)}"
        began = time.monotonic()
        ran = self._run_once(plan, subject.name, what)
        self.pace.ran(subject.name, len(ran.trained) / len(subject.places), time.monotonic() - began)
        again = [digest for digest in ran.trained if digest in ran.failed]
        if again:
            known = {digest: cell for digest, cell in plan.cells.items() if digest in again or digest not in ran.failed}
            second = Plan(plan.matrix, known, plan.places, origins=plan.origins)
            failed = self._run_once(second, subject.name, what, retry=FAILURES).failed
            first = {digest: reason for digest, reason in ran.failed.items() if digest not in again}
            return {**first, **ran.skipped, **failed}
        return {**ran.failed, **ran.skipped}

    def _run_once(self, plan: Plan, subject: str, what: str, *, retry: Sequence[str] = ()) -> Outcome:
        """Run what is missing of a plan, and what is stale where that is wanted."""
        if not self.stale:
            self._refuse_stale(plan, subject)
        todo = unfinished(plan, self.store, retry=retry, rerun_stale=self.stale)
        heartbeat = Heartbeat(f"{subject}: {what}", len(todo), self.say, self._time_left)
        return run_jobs(todo, plan, self.store, self.executor, heartbeat)

    def _refuse_stale(self, plan: Plan, subject: str) -> None:
        records = {digest: self.store.record(digest) for digest in plan.cells}
        judged = freshness(plan.cells, records)
        stale = [digest for digest, each in judged.items() if each is Freshness.STALE]
        if stale:
            raise KdbenchError(
                f"{subject}: {counted(len(stale), 'cell')} in {self.store.root} of older code than today's, such as "
                f"{stale[0]}; their values would decide what is tried next: `kdbench tune --stale` runs them again"
            )

    def _told(self, study: Study, subject: Subject, trial: Trial, done: Sequence[int], failed: dict[str, str]) -> bool:
        """Tell what came of a trial, if that is decided once some of its places are run."""
        cells = subject.at(trial.settings)
        reason = next((failed[cells[at].digest] for at in done if cells[at].digest in failed), None)
        if reason is not None:
            study.tell(trial.number, None, {"reason": reason})
            return self._ended(study, subject, trial, f"FAILED: {reason}")
        records = {at: self._record(cells[at].digest) for at in done}
        scores = {at: float(record.metrics["student"]["macro_f1"]) for at, record in records.items()}
        seconds = sum(record.seconds for record in records.values())
        facts = {"scores": [scores.get(at) for at in range(len(cells))], "seconds": seconds}
        mean = fmean(scores.values())
        if len(done) == len(cells):
            study.tell(trial.number, mean, facts)
            return self._ended(study, subject, trial, f"{100 * mean:.2f}")
        if behind(list(scores.values()), done, trial.number, study.trials()):
            study.tell(trial.number, None, facts, pruned=True)
            return self._ended(study, subject, trial, f"given up at {100 * mean:.2f} after {counted(len(done), 'run')}")
        return False

    def _ended(self, study: Study, subject: Subject, trial: Trial, said: str) -> bool:
        """Let go of a trial that was told, and say so."""
        self.claims.give_back(f"{study.name} {trial.number}")
        self.pace.left[subject.name] -= 1
        self.say(f"{subject.name}: trial {trial.number} (of 0 to {self.trials - 1}): {said}{self._time_left()}")
        return True

    def _time_left(self) -> str:
        seconds = self.pace.seconds_left()
        return f"; about {duration(seconds)} left" if seconds else ""

    def _record(self, digest: str) -> Record:
        record = self.store.record(digest)
        if record is None or record.side != "validation":
            raise KdbenchError(f"{digest} has no record of validation people; a search uses no others")
        return record


def how(subject: Subject, *, prune: bool) -> dict[str, object]:
    """How the trials of a subject are drawn."""
    return {**sampling(subject.seed), **({"pruning": RULE} if prune else {})}


def facts_of(subject: Subject, trials: int, *, prune: bool) -> dict[str, object]:
    """What a study says of itself, so that it can be read where its data are not."""
    matrix = subject.plan.matrix
    return {
        "dataset": subject.dataset,
        "networks": subject.networks,
        "row": subject.row,
        "trials": trials,
        "cells": len(subject.places),
        "folds": len({planned.place.fold for planned in subject.places}),
        "epochs": matrix.recipe.epochs,
        "recipe": matrix.recipe.name,
        "protocol": matrix.protocol,
        "seeds": list(matrix.seeds),
        "objective": OBJECTIVE,
        "sampling": how(subject, prune=prune),
        "asks": subject.asks(how(subject, prune=prune)),
        "knobs": plain_knobs(subject.knobs),
    }

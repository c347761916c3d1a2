"""One study worked off: trials are begun batch by batch, claimed one by one, and told when all their cells are done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from kdbench.errors import KdbenchError
from kdbench.plan.model import Plan
from kdbench.results.record import Record
from kdbench.schedule.executor import Executor
from kdbench.schedule.observer import Observer
from kdbench.schedule.runner import Outcome, run_jobs, unfinished
from kdbench.store.records import Store
from kdbench.tune.claims import PAUSE, Claims
from kdbench.tune.ledger import BATCH, Ledger, Study, Trial, draw, plain_knobs, sampling
from kdbench.tune.subject import Subject

OBJECTIVE = "mean macro-F1 over folds of held-out training people"


@dataclass(frozen=True)
class Search:
    """How studies are worked off.

    Args:
        ledger: where trials are kept.
        claims: who works on which trial, seen by all processes of the ledger.
        here: claims among the processes of the store.
        store: where records are.
        executor: runs cells.
        trials: finished ones wanted of each study.
        say: prints a line for people.
    """

    ledger: Ledger
    claims: Claims
    here: Claims
    store: Store
    executor: Executor
    trials: int
    say: Callable[[str], None]

    def work_off(self, subject: Subject) -> Study:
        """Bring a subject's study to its number of trials, beside whoever else does."""
        seed = subject.cells[0].seed
        name = subject.key(sampling(seed))
        with self.claims.held(name):
            study = self.ledger.study(name)
            study.note(facts_of(subject, max(self.trials, study.facts.get("trials", 0)), seed))
        if any(trial.state == "running" for trial in study.trials()) or len(study.trials()) < self.trials:
            self._teach(subject)
        while True:
            with self.claims.held(name):
                self._begin(study, subject, seed)
            left = [trial for trial in study.trials()[: self.trials] if trial.state == "running"]
            if not left and len(study.trials()) >= self.trials:
                return study
            mine = self._claimed(study, left)
            if mine:
                self._run(study, subject, mine)
            else:
                time.sleep(PAUSE)  # others work on what is left of the batch

    def _begin(self, study: Study, subject: Subject, seed: int) -> None:
        """Draw the next batch, if every trial before it is finished."""
        known = study.trials()
        if any(trial.state == "running" for trial in known):
            return
        for number in range(len(known), min((len(known) // BATCH + 1) * BATCH, self.trials)):
            study.add(subject.knobs, draw(subject.knobs, study.trials(), number, seed))

    def _claimed(self, study: Study, left: Sequence[Trial]) -> list[Trial]:
        """As many as keep the workers busy; the rest is for other processes."""
        mine: list[Trial] = []
        for trial in left:
            name = f"{study.name} {trial.number}"
            if len(mine) * study.facts["cells"] >= self.executor.slots:
                break
            if not self.claims.take(name):
                continue
            if study.trials()[trial.number].state == "running":
                mine.append(trial)
            else:  # told since we looked
                self.claims.give_back(name)
        return mine

    def _teach(self, subject: Subject) -> None:
        """Train the teachers once, whatever the number of processes."""
        plan = subject.teachers
        if unfinished(plan, self.store):
            with self.here.held("teachers"):
                run_jobs(unfinished(plan, self.store), plan, self.store, self.executor, Observer())

    def _run(self, study: Study, subject: Subject, mine: Sequence[Trial]) -> None:
        """Run the cells of claimed trials and tell what came of them."""
        failed = self._run_twice(subject.trial_plan([trial.settings for trial in mine]))
        for trial in mine:
            self._tell(study, subject, trial, failed)
            self.claims.give_back(f"{study.name} {trial.number}")

    def _run_twice(self, plan: Plan) -> dict[str, str]:
        """Run what is missing, and once more what failed just now; why cells failed, by digest."""
        ran = self._run_once(plan, retry_failed=False)
        again = [digest for digest in ran.trained if digest in ran.failed]
        if again:
            known = {digest: cell for digest, cell in plan.cells.items() if digest in again or digest not in ran.failed}
            second = self._run_once(Plan(plan.matrix, known, plan.places, origins=plan.origins), retry_failed=True)
            first = {digest: reason for digest, reason in ran.failed.items() if digest not in again}
            return {**first, **ran.skipped, **second.failed}
        return {**ran.failed, **ran.skipped}

    def _run_once(self, plan: Plan, *, retry_failed: bool) -> Outcome:
        todo = unfinished(plan, self.store, retry_failed=retry_failed)
        return run_jobs(todo, plan, self.store, self.executor, Observer())

    def _tell(self, study: Study, subject: Subject, trial: Trial, failed: dict[str, str]) -> None:
        cells = subject.at(trial.settings)
        reason = next((failed[cell.digest] for cell in cells if cell.digest in failed), None)
        if reason is None:
            records = [self._record(cell.digest) for cell in cells]
            scores = [float(record.metrics["student"]["macro_f1"]) for record in records]
            facts = {"scores": scores, "seconds": sum(record.seconds for record in records)}
            study.tell(trial.number, fmean(scores), facts)
            said = f"{100 * fmean(scores):.2f}"
        else:
            study.tell(trial.number, None, {"reason": reason})
            said = f"FAILED: {reason}"
        self.say(f"{subject.name}: trial {trial.number + 1}/{self.trials}: {said}")

    def _record(self, digest: str) -> Record:
        record = self.store.record(digest)
        if record is None or record.side != "validation":
            raise KdbenchError(f"{digest} has no record of validation people; a search uses no others")
        return record


def facts_of(subject: Subject, trials: int, seed: int) -> dict[str, object]:
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
        "sampling": sampling(seed),
        "knobs": plain_knobs(subject.knobs),
    }

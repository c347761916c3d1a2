"""What `run` does: everything that is missing, and the table of all."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec

from kdbench.commands.cells import cell_states, counts
from kdbench.costs.estimate import Estimate
from kdbench.errors import KdbenchError
from kdbench.executors import executor
from kdbench.machine import DEFAULT_STORE, Runtime
from kdbench.observers import Watched, watching
from kdbench.plan.model import Plan
from kdbench.results import Entry
from kdbench.results.pages import scores_page
from kdbench.results.render import page_text
from kdbench.schedule.jobs import Job
from kdbench.schedule.runner import Outcome, run_jobs, unfinished
from kdbench.store.entries import entries
from kdbench.store.memory import remember, remembered
from kdbench.store.plugins import keep
from kdbench.store.records import Store
from kdbench.store.sweep import sharing, sweep_outputs
from kdbench.text import counted, first_line


@dataclass(frozen=True)
class Ask:
    """How a matrix is to be run.

    Args:
        jobs: how many cells at a time; None for as many as there are cores, one on a GPU.
        track: whether MLflow is kept in step.
        retry_failed: whether cells that failed are run again.
        rerun_stale: whether cells older than their source are run again.
        executor: where cells run, by name; None for what fits ``jobs``.
    """

    jobs: int | None = None
    track: bool = True
    retry_failed: bool = False
    rerun_stale: bool = False
    executor: str | None = None


@dataclass(frozen=True)
class Ran:
    """What came of a run.

    Args:
        plan: what was asked for.
        outcome: which cells were trained, and what became of the others.
        entries: what the table is made from.
        text: the table.
    """

    plan: Plan
    outcome: Outcome
    entries: list[Entry]
    text: str

    @property
    def exit_code(self) -> int:
        """0 where everything is done, 1 where a cell failed."""
        return 1 if self.outcome.failed or self.outcome.skipped else 0


def run(plan: Plan, where: Runtime, ask: Ask, say: Callable[[str], None], show: Callable[[str], None]) -> Ran:
    """Run what is missing.

    Args:
        plan: a fresh one.
        where: store, cache, data and device.
        ask: how.
        say: prints a line about how it goes.
        show: prints the table. Where that fails, the other last steps happen all the same.

    Raises:
        MachineError: if files cannot be written, or no worker can start.
        KdbenchError: if ``jobs`` is below 1, or there is no such executor.
    """
    jobs = default_jobs(where) if ask.jobs is None else ask.jobs
    if jobs < 1:
        raise KdbenchError(f"jobs={jobs}, wanted 1 or more")
    say = _told(say)
    store = Store(where.store)
    store.open_for_writing()
    sweep_outputs(where.cache)
    with sharing(store):
        return _run(plan, store, where, replace(ask, jobs=jobs), say, show)


def _run(
    plan: Plan, store: Store, where: Runtime, ask: Ask, say: Callable[[str], None], show: Callable[[str], None]
) -> Ran:
    jobs = ask.jobs or 1
    for line in old_names(plan, store):
        say(line)
    keep(store, plan.matrix)
    todo = unfinished(plan, store, retry_failed=ask.retry_failed, rerun_stale=ask.rerun_stale)
    identity = remember(store, plan)
    name = ask.executor or ("serial" if jobs == 1 or not todo else "processes")
    executing = executor(name, where, min(jobs, max(1, len(todo))))
    at_once = executing.slots
    say(f"{_opening(plan, store, todo)}; store {where.store}, device {where.device}, {at_once} at a time")
    for each in plan.cautions:
        say(f"warning: {each}")
    estimate = Estimate(where)
    work = cache(lambda job: estimate(job.cell, job.dataset))
    observers = watching(Watched(plan, identity, todo, store, at_once, work, say, ask.track))
    try:
        with closing(observers):
            outcome = run_jobs(todo, plan, store, executing, observers)
        filled = entries(plan, store)
        text = page_text(scores_page(filled, asked=plan.asked, version=version("kdbench")))
        with ExitStack() as last:  # each of these happens whatever becomes of the others; the last named is the first
            last.callback(_advise, outcome, where, say, track=ask.track and find_spec("mlflow") is not None)
            last.callback(observers.ended, filled)
            last.callback(_show, show, text, say)
    except BaseException as error:
        observers.broke(error)
        raise
    return Ran(plan, outcome, filled, text)


def old_names(plan: Plan, store: Store) -> list[str]:
    """What to say where results of this matrix are here under the names of an older kdbench."""
    kept = remembered(store, plan.matrix)
    if kept is None or not plan.cells.keys().isdisjoint(kept.cells):
        return []
    if not any((store.folder(digest) / "record.json").exists() for digest in kept.cells):
        return []
    return [
        "results of this matrix are here under other names, of an older kdbench or older versions of its methods or "
        "data; stop and try `kdbench store upgrade` before they are trained again"
    ]


def _opening(plan: Plan, store: Store, todo: Mapping[str, Job]) -> str:
    """What is there before, and what is to be run."""
    cells = counted(len(plan.cells), "cell")
    try:
        states = cell_states(plan, store, entries(plan, store))
    except KdbenchError:  # a damaged record among those that are made again
        return f"{plan.matrix.name}: {cells}, {len(plan.cells) - len(todo)} kept; {len(todo)} to run"
    lost = {d for d in todo if states[d] == "without teacher" and plan.cells[d].teacher_cell not in todo}
    before = counts(states[digest] for digest in plan.cells if digest not in todo.keys() - lost) or "0 done"
    return f"{plan.matrix.name}: {cells}, {before} before; {len(todo) - len(lost)} to run"


def _told(say: Callable[[str], None]) -> Callable[[str], None]:
    """The same, but that a run goes on where its lines cannot be read, as where a terminal has gone."""

    def tell(line: str) -> None:
        with suppress(OSError, ValueError):
            say(line)

    return tell


def _show(show: Callable[[str], None], text: str, say: Callable[[str], None]) -> None:
    try:
        show(text)
    except (OSError, ValueError) as error:
        say(f"the table could not be printed: {getattr(error, 'strerror', None) or first_line(error)}")


def _advise(outcome: Outcome, where: Runtime, say: Callable[[str], None], *, track: bool) -> None:
    for line in how_to_go_on(outcome, where, track=track):
        say(line)


def how_to_go_on(outcome: Outcome, where: Runtime, *, track: bool) -> list[str]:
    """What failed and why, and which commands come next."""
    lines = [f"failed: {digest}: {reason}" for digest, reason in {**outcome.failed, **outcome.skipped}.items()]
    if outcome.failed:
        lines.append("see `kdbench status`; `kdbench run --retry-failed` tries again")
    place = f" --store {shlex.quote(str(where.store))}" if where.store != DEFAULT_STORE else ""
    pages = f"; `kdbench ui{place}` opens the runs" if track else ""
    return [*lines, f"\n`kdbench table{place}` prints this again, `kdbench plot{place}` draws it{pages}"]


def default_jobs(where: Runtime) -> int:
    """How many cells run at a time where nobody says: as many as there are cores, one on a GPU."""
    if where.device != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

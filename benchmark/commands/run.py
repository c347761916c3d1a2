"""What `run` does: everything that is missing, and the table of all."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec

from kdbench.costs.estimate import Estimate
from kdbench.errors import KdbenchError
from kdbench.executors import executor
from kdbench.machine import DEFAULT_STORE, Runtime
from kdbench.observers import Watched, watching
from kdbench.plan.model import Plan
from kdbench.results import Entry
from kdbench.results.pages import scores_page
from kdbench.results.render import page_text
from kdbench.schedule.runner import Outcome, run_jobs, unfinished
from kdbench.store.entries import entries
from kdbench.store.memory import remember, remembered
from kdbench.store.records import Store


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
        show: prints the table, before the last steps, which may fail.

    Raises:
        MachineError: if files cannot be written, or a worker dies again and again.
        KdbenchError: if ``jobs`` is below 1, or there is no such executor.
    """
    jobs = _jobs(where) if ask.jobs is None else ask.jobs
    if jobs < 1:
        raise KdbenchError(f"jobs={jobs}, wanted 1 or more")
    store = Store(where.store)
    store.open_for_writing()
    for line in old_names(plan, store):
        say(line)
    identity = remember(store, plan)
    todo = unfinished(plan, store, retry_failed=ask.retry_failed, rerun_stale=ask.rerun_stale)
    name = ask.executor or ("serial" if jobs == 1 or not todo else "processes")
    executing = executor(name, where, min(jobs, max(1, len(todo))))
    at_once = executing.slots
    say(
        f"{plan.matrix.name}: {len(plan.cells)} cells, {len(plan.cells) - len(todo)} done before; "
        f"store {where.store}, device {where.device}, {at_once} at a time"
    )
    estimate = Estimate(where)
    work = cache(lambda job: estimate(job.cell, job.dataset))
    watched = Watched(plan, identity, todo, store, at_once, work, say, ask.track)
    with closing(watching(watched)) as observers:
        outcome = run_jobs(todo, plan, store, executing, observers)
    filled = entries(plan, store)
    text = page_text(scores_page(filled, asked=plan.asked, version=version("kdbench")))
    show(text)
    observers.ended(filled)
    for line in how_to_go_on(outcome, where, track=ask.track and find_spec("mlflow") is not None):
        say(line)
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


def how_to_go_on(outcome: Outcome, where: Runtime, *, track: bool) -> list[str]:
    """What failed and why, and which commands come next."""
    lines = [f"failed: {digest}: {reason}" for digest, reason in {**outcome.failed, **outcome.skipped}.items()]
    if outcome.failed:
        lines.append("see `kdbench status`; `kdbench run --retry-failed` tries again")
    place = f" --store {shlex.quote(str(where.store))}" if where.store != DEFAULT_STORE else ""
    pages = f"; `kdbench ui{place}` opens the runs" if track else ""
    return [*lines, f"\n`kdbench table{place}` prints this again, `kdbench plot{place}` draws it{pages}"]


def _jobs(where: Runtime) -> int:
    if where.device != "cpu" or find_spec("pebble") is None:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

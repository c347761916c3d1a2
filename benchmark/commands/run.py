"""What `run` does: everything that is missing, and the table of all."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from kdbench.commands.cells import cell_states, counts
from kdbench.commands.pace import expected, learnt
from kdbench.commands.refusals import refusals
from kdbench.commands.seen import seen_in
from kdbench.costs.estimate import Estimate
from kdbench.errors import KdbenchError
from kdbench.executors import default_jobs, executor
from kdbench.machine import DEFAULT_STORE, Runtime
from kdbench.observers import Watched, watching
from kdbench.plan.gate import Gate
from kdbench.plan.model import Plan
from kdbench.results import Entry
from kdbench.results.pages import scores_page
from kdbench.results.record import Record
from kdbench.results.render import page_text
from kdbench.results.seen import Seen
from kdbench.schedule.control import Control
from kdbench.schedule.jobs import Job
from kdbench.schedule.order import by_critical_path, part_of
from kdbench.schedule.pace import Pace
from kdbench.schedule.runner import Outcome, run_jobs, unfinished
from kdbench.store.drivers import sweep_signs
from kdbench.store.entries import entries
from kdbench.store.memory import remember, remembered
from kdbench.store.plugins import keep
from kdbench.store.records import Store
from kdbench.store.sweep import sharing, sweep_outputs
from kdbench.store.talk import listening
from kdbench.text import counted, duration, first_line

if TYPE_CHECKING:  # loaded where they are asked for
    import pandas
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Ask:
    """How a matrix is to be run.

    Args:
        jobs: how many cells at a time; None for as many as there are cores, one on a GPU.
        track: whether MLflow is kept in step.
        retry: which failed cells are run again, of `kdbench.results.record.FAILURES`.
        rerun_stale: whether cells older than their source are run again.
        executor: where cells run, by name; None for what fits ``jobs``.
        force: whether all cells are run again.
        timeout: seconds that a cell may take in one go; None for as long as it likes.
        fail_fast: whether nothing more begins once a cell has failed.
        shard: the i-th of n parts of what is to be run, from 1.
        ending: whether the table is shown and what comes next is said.
        tracking_uri: of a tracking server; None for the store's own database.
    """

    jobs: int | None = None
    track: bool = True
    retry: tuple[str, ...] = ()
    rerun_stale: bool = False
    executor: str | None = None
    force: bool = False
    timeout: float | None = None
    fail_fast: bool = False
    shard: tuple[int, int] = (1, 1)
    ending: bool = True
    tracking_uri: str | None = None


@dataclass(frozen=True)
class Ran:
    """What came of a run.

    Args:
        plan: what was asked for.
        outcome: which cells were trained, and what became of the others.
        entries: what the table is made from.
        text: the table.
        store: where it is kept.
    """

    plan: Plan
    outcome: Outcome
    entries: list[Entry]
    text: str
    store: Store

    def records(self) -> list[Record]:
        """Of every cell that has one, each once."""
        return list({entry.record.digest: entry.record for entry in self.entries if entry.record}.values())

    def frame(self, metrics: tuple[str, ...] = ("macro_f1", "accuracy")) -> pandas.DataFrame:
        """A line for each place of the table, as `table --format csv` has them: metrics are fractions."""
        import pandas

        from kdbench.results.pages import runs_sheet

        with refusals():
            sheet = runs_sheet(self.entries, metrics)
        names = [column.name for column in sheet.columns]
        return pandas.DataFrame([[cell.value for cell in row] for row in sheet.rows], columns=names)

    def table(self, metric: str = "macro_f1", form: str = "markdown") -> str:
        """The table of one metric with its answer, in a format for readers."""
        with refusals():
            return page_text(
                scores_page(self.entries, [metric], asked=self.plan.asked, version=version("kdbench")), form
            )

    def answer(self, metric: str = "macro_f1") -> str:
        """What the table answers, in one line."""
        from kdbench.results.words.answers import answer

        with refusals():
            return answer(self._seen(metric).judged, self.plan.asked)

    def figure(
        self, name: str = "gain", *, metric: str = "macro_f1", width: str = "two", rows: tuple[str, ...] = ()
    ) -> Figure:
        """A figure by name, as matplotlib's own; `kdbench.results.figures` says which there are."""
        from kdbench.results.figures import figure_of

        with refusals():
            return figure_of(name, self._seen(metric, rows), width)

    def _seen(self, metric: str, rows: tuple[str, ...] = ()) -> Seen:
        return seen_in(self.entries, self.plan, self.store, metric, rows)

    @property
    def exit_code(self) -> int:
        """0 where everything is done, 1 where a cell failed."""
        return 1 if self.outcome.failed or self.outcome.skipped else 0


def run(
    plan: Plan,
    where: Runtime,
    ask: Ask,
    say: Callable[[str], None],
    show: Callable[[str], None],
    control: Control | None = None,
) -> Ran:
    """Run what is missing.

    Args:
        plan: a fresh one.
        where: store, cache, data and device.
        ask: how.
        say: prints a line about how it goes.
        show: prints the table. Where that fails, the other last steps happen all the same.
        control: what was asked of rounds before this one, and may be asked of it; None where this is the only one.

    Raises:
        MachineError: if files cannot be written, or no worker can start.
        KdbenchError: if ``jobs`` is below 1, or there is no such executor.
    """
    jobs = default_jobs(where) if ask.jobs is None else ask.jobs
    if jobs < 1:
        raise KdbenchError(f"jobs={jobs}, wanted 1 or more")
    say = _told(say)
    store = Store(where.store)
    store.wants_weights()
    store.open_for_writing()
    sweep_outputs(where.cache)
    sweep_signs(store)
    with sharing(store), spoken_with(where, ask) if control is None else nullcontext(control) as spoken:
        return _run(plan, store, replace(where, timeout=ask.timeout), replace(ask, jobs=jobs), say, show, spoken)


@contextmanager
def spoken_with(where: Runtime, ask: Ask) -> Iterator[Control]:
    """A run, or several rounds of one, to which `kdbench ctl` may speak within the block."""
    control = Control(adjustable=_executor(where, ask) != "serial")
    with listening(Store(where.store), control.answer):
        yield control


def _run(
    plan: Plan,
    store: Store,
    where: Runtime,
    ask: Ask,
    say: Callable[[str], None],
    show: Callable[[str], None],
    control: Control,
) -> Ran:
    for line in old_names(plan, store):
        say(line)
    keep(store, plan.matrix)
    todo = unfinished(plan, store, retry=ask.retry, rerun_stale=ask.rerun_stale, force=ask.force)
    todo = part_of(todo, *ask.shard, Gate(plan).needs)
    identity = remember(store, plan)
    at_once = min(control.wanted or ask.jobs or 1, max(1, len(todo)))
    executing = executor(_executor(where, ask), where, at_once)
    control.at_once, control.room = (at_once := executing.slots), lambda: executing.room
    say(f"{_opening(plan, store, todo)}; store {where.store}, device {where.device}, {at_once} at a time")
    for each in plan.cautions:
        say(f"warning: {each}")
    pace = learnt(plan, where) if todo else Pace(Estimate(where))  # who has nothing to run waits for no data
    beforehand, begun = expected(pace, todo.values(), at_once), time.monotonic()
    todo = {job.digest: job for job in by_critical_path(todo, lambda job: pace.work(job.cell, job.dataset))}
    observers = watching(Watched(plan, identity, todo, store, at_once, pace, say, ask.track, ask.tracking_uri))
    worked_off = False
    try:
        with closing(observers):
            outcome = run_jobs(todo, plan, store, executing, observers, fail_fast=ask.fail_fast, control=control)
        worked_off = True
        for line in _took(outcome, time.monotonic() - begun, beforehand):
            say(line)
        filled = entries(plan, store)
        text = page_text(scores_page(filled, asked=plan.asked, version=version("kdbench")))
        with ExitStack() as last:  # each of these happens whatever becomes of the others; the last named is the first
            if ask.ending:
                last.callback(_advise, outcome, where, say, track=_in_pages(ask))
            last.callback(observers.ended, filled)
            if ask.ending:
                last.callback(_show, show, text, say)
    except BaseException as error:
        if worked_off:
            say("every cell had ended; only what comes after was cut short, which the same command does again")
        observers.broke(error)
        raise
    return Ran(plan, outcome, filled, text, store)


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


def _took(outcome: Outcome, seconds: float, beforehand: float | None) -> Iterator[str]:
    """How long it took, beside how long it was expected to take, and what others did of it."""
    if outcome.elsewhere:
        yield f"{counted(len(outcome.elsewhere), 'cell')} finished by other runs in this store"
    if outcome.left:
        yield f"{counted(len(outcome.left), 'cell')} not begun, since one had failed"
    if outcome.refused:
        yield f"{counted(len(outcome.refused), 'cell')} not run: {'; '.join(sorted(set(outcome.refused.values())))}"
    if outcome.trained:
        guess = "" if beforehand is None or outcome.elsewhere else f"; {duration(beforehand)} was expected"
        yield f"{counted(len(outcome.trained), 'cell')} trained in {duration(seconds)}{guess}"


def _in_pages(ask: Ask) -> bool:
    """Whether `kdbench ui` shows the run; a tracking server has pages of its own."""
    return ask.track and ask.tracking_uri is None and find_spec("mlflow") is not None


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


def _executor(where: Runtime, ask: Ask) -> str:
    return ask.executor or ("serial" if (ask.jobs or default_jobs(where)) == 1 else "processes")

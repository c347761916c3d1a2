"""What `tune` does: a study for every row on every dataset with every pair, and the preset of what they found."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cache

from kdbench.catalog.build import load_data
from kdbench.commands.pace import learnt
from kdbench.commands.studies import found_text
from kdbench.data import protocol, sealed
from kdbench.errors import KdbenchError, MachineError
from kdbench.executors import default_jobs, executor
from kdbench.machine import Runtime
from kdbench.plan.expand import expand
from kdbench.plan.model import Plan, origin_of
from kdbench.provenance.environment import versions
from kdbench.spec.matrix import Matrix, MethodRow
from kdbench.spec.preset import Preset
from kdbench.store.plugins import keep
from kdbench.store.records import Store
from kdbench.store.sweep import sharing
from kdbench.text import counted, duration, first_line
from kdbench.tune.claims import DatabaseClaims, FileClaims
from kdbench.tune.found import finished, preset_of
from kdbench.tune.ledger import is_loss
from kdbench.tune.pace import Pace
from kdbench.tune.place import folder_of, ledger_of
from kdbench.tune.search import Search, facts_of, how
from kdbench.tune.standby import Standby
from kdbench.tune.subject import Subject, subjects

SIDE = "validation"
"""What a protocol must judge by for a search to use it."""


@dataclass(frozen=True)
class AskTune:
    """How a matrix is to be tuned.

    Args:
        trials: finished ones of every row.
        storage: URL of a PostgreSQL database; None for the store's journal.
        jobs: how many cells at a time; None for as many as there are cores, one on a GPU.
        executor: where cells run, by name; None for what fits ``jobs``.
        teacher: whether the teacher is tuned first, and taught with as found.
        prune: whether trials that are behind are given up between folds.
        stale: whether cells older than their code are run again; if not, the search stops at such.
    """

    trials: int = 20
    storage: str | None = None
    jobs: int | None = None
    executor: str | None = None
    teacher: bool = True
    prune: bool = False
    stale: bool = False


@dataclass(frozen=True)
class Tuned:
    """What came of it.

    Args:
        preset: what was found.
        text: the same as a table, with how flat the objective is around it.
    """

    preset: Preset
    text: str


def tune(matrix: Matrix, where: Runtime, ask: AskTune, say: Callable[[str], None]) -> Tuned:
    """Bring every study of a matrix to its budget.

    Args:
        matrix: what is tuned; its protocol must judge by validation people.
        where: store, cache, data and device.
        ask: how.
        say: prints a line about how it goes.

    Raises:
        MachineError: if files cannot be written.
        KdbenchError: if the matrix cannot be tuned as it stands, or every trial of every row failed.
    """
    matrix, store = _searched(matrix, ask), Store(where.store)
    store.wants_weights()
    store.open_for_writing()
    with sharing(store), _search(where, ask, say) as search:
        plan = _plan(matrix, where)
        keep(store, matrix)
        asked = _asked(plan, ask)
        size, _ = _sizes(plan, where, asked)
        search.pace.work.update(size)
        _count_left(search, ask, _done(asked, where, ask))
        budget = f"{counted(ask.trials, 'trial')} of every row"
        say(f"{matrix.name}: {budget}; store {where.store}, {search.executor.slots} at a time")
        studies = [search.work_off(subject) for subject in subjects(plan) if subject.is_teacher and ask.teacher]
        preset = preset_of(matrix.name, studies, ask.trials, versions()) if studies else None
        plan = _plan(replace(matrix, preset=preset), where)
        rows = [subject for subject in subjects(plan) if not subject.is_teacher]
        _count_left(search, ask, done := _done(rows, where, ask))
        for line in _begun_anew([subject for subject in rows if not done[subject.name]], search, ask):
            say(line)
        studies += [search.work_off(subject) for subject in rows]
        found = preset_of(matrix.name, studies, ask.trials, versions())
        text = found_text(studies)
    if found is None:
        raise KdbenchError("every trial of every row failed; see `kdbench tune status`")
    return Tuned(found, text)


def preview(matrix: Matrix, where: Runtime, ask: AskTune) -> str:
    """What `tune` would run and, where the store knows how long cells take, for how long."""
    matrix = _searched(matrix, ask)
    plan = _plan(matrix, where)
    asked = _asked(plan, ask)
    size, known = _sizes(plan, where, asked)
    teachers = [subject for subject in asked if subject.is_teacher]
    preset = _found(matrix, teachers, where, ask)
    taught = subjects(_plan(replace(matrix, preset=preset), where)) if preset else asked
    asked = [*teachers, *(subject for subject in taught if not subject.is_teacher)]
    done = _done(asked, where, ask)
    lines, total, rest = [], 0.0, 0
    for subject in asked:
        left = ask.trials - done[subject.name]
        seconds = left * size[subject.name]
        total, rest = total + seconds, rest + left
        knobs = ", ".join(knob.name for knob in subject.knobs) or "nothing"
        lines.append(
            f"  {subject.name}: {done[subject.name]}/{ask.trials} trials done, "
            f"{counted(left * len(subject.cells), 'cell')} to run"
            f"{f', about {duration(seconds)}' if left and known else ''}; searched: {knobs}"
        )
    whole = sum(len(subject.cells) for subject in asked) * ask.trials
    head = [
        f"{matrix.name}: {counted(len(asked), 'row')} to tune, {counted(ask.trials, 'trial')} each, "
        f"{counted(whole, 'cell')}",
        f"protocol {matrix.protocol}, recipe {matrix.recipe.name}, {counted(matrix.recipe.epochs, 'epoch')}",
    ]
    return "\n".join([*head, *lines, _how_long(total if known else None, whole, rest, where, ask)])


def _how_long(seconds: float | None, whole: int, left: int, where: Runtime, ask: AskTune) -> str:
    """The last line of a preview."""
    if not whole:
        return "nothing can be tuned"
    if not left:
        return "all done"
    if seconds is None:
        return "how long: not known yet, no cell on these windows is finished here; after `--trials 1` it is"
    jobs = ask.jobs or default_jobs(where)
    less = " at most, since some are given up between folds" if ask.prune else ""
    return f"how long: about {duration(seconds / jobs)}{less}, {jobs} at a time, from what cells of this store took"


def _asked(plan: Plan, ask: AskTune) -> list[Subject]:
    return [subject for subject in subjects(plan) if ask.teacher or not subject.is_teacher]


def _sizes(plan: Plan, where: Runtime, asked: Sequence[Subject]) -> tuple[dict[str, float], bool]:
    """Seconds of a trial of each subject, and whether they are; where nothing is known, only their proportions."""
    pace, size, known = learnt(plan, where), dict[str, float](), True
    for subject in asked:
        cells = [(cell, plan.origins[origin_of(cell)]) for cell in subject.cells]
        seconds = [each for cell in cells if (each := pace(*cell)) is not None]
        known = len(seconds) == len(cells)
        size[subject.name] = sum(seconds if known else (pace.work(*cell) for cell in cells))
    return size, known


def _count_left(search: Search, ask: AskTune, done: dict[str, int]) -> None:
    """What the search shall know of the trials before it, to tell the time left."""
    search.pace.left.update({name: ask.trials - count for name, count in done.items()})


def _found(matrix: Matrix, teachers: Sequence[Subject], where: Runtime, ask: AskTune) -> Preset | None:
    """What the teachers will teach with; None where there is none to tune, or their search is not at its end."""
    done = _done(teachers, where, ask)
    if not done or min(done.values()) < ask.trials:
        return None
    ledger = ledger_of(where.store, ask.storage, make=False)
    assert ledger is not None
    with closing(ledger):
        studies = [ledger.study(subject.key(how(subject, prune=ask.prune))) for subject in teachers]
        return preset_of(matrix.name, studies, ask.trials, versions())


def _begun_anew(rows: Sequence[Subject], search: Search, ask: AskTune) -> Iterator[str]:
    """A line on each row whose trials do not count, since another teacher taught them."""
    known = [search.ledger.study(name) for name in search.ledger.names()]
    for subject in rows:
        now = json.loads(json.dumps(facts_of(subject, ask.trials, prune=ask.prune)))  # as the ledger has them
        same = [key for key in now if key not in ("asks", "trials")]
        for study in known:
            if study.facts.get("asks") != now["asks"] and all(study.facts.get(key) == now[key] for key in same):
                count = counted(len(finished(study)), "trial")
                yield f"{subject.name}: {count} under another teacher, found with another budget, do not count here"


def _done(asked: Sequence[Subject], where: Runtime, ask: AskTune) -> dict[str, int]:
    """Finished trials that count, by subject."""
    ledger = ledger_of(where.store, ask.storage, make=False)
    if ledger is None:
        return dict.fromkeys((subject.name for subject in asked), 0)
    with closing(ledger):
        known = ledger.names()
        keys = {subject.name: subject.key(how(subject, prune=ask.prune)) for subject in asked}
        return {name: len(finished(ledger.study(key), ask.trials)) if key in known else 0 for name, key in keys.items()}


def _searched(matrix: Matrix, ask: AskTune) -> Matrix:
    """The matrix as a search has it: without labels, which rows are not known by, and with people to validate on."""
    if ask.trials < 1:
        raise KdbenchError(f"trials={ask.trials}, wanted 1 or more")
    if protocol(matrix.protocol).side != SIDE:
        raise KdbenchError(f"protocol {matrix.protocol} judges by test people; a search wants subject-val-v1")
    rows = {str(row.method): MethodRow(row.method) for row in matrix.methods}
    return replace(matrix, methods=tuple(rows.values()), fallback=None, preset=None)


def _plan(matrix: Matrix, where: Runtime) -> Plan:
    read = cache(lambda part: sealed(load_data(part, where, download=True)))
    return expand(matrix, read, every_fold=True)


@contextmanager
def _search(where: Runtime, ask: AskTune, say: Callable[[str], None]) -> Iterator[Search]:
    jobs = default_jobs(where) if ask.jobs is None else ask.jobs
    if jobs < 1:
        raise KdbenchError(f"jobs={jobs}, wanted 1 or more")
    ledger = ledger_of(where.store, ask.storage)
    assert ledger is not None
    name = ask.executor or ("serial" if jobs == 1 else "processes")
    standby = Standby(lambda: executor(name, where, jobs), jobs)
    files = folder_of(where.store) / "claims"
    claims = FileClaims(files) if ledger.database is None else DatabaseClaims(ledger.database)
    try:
        store = Store(where.store)
        yield Search(ledger, claims, store, standby, ask.trials, ask.prune, ask.stale, Pace(), say)
    except Exception as error:
        if not is_loss(error):
            raise
        said = f"the database was lost: {first_line(error)}; what is done is kept, run again to go on"
        raise MachineError(said) from error
    finally:
        standby.stop()
        claims.close()
        ledger.close()

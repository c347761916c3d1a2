"""Where trials are kept and how the next is drawn; the only file that imports optuna.

What a trial draws depends on its number, the seed and the values of earlier batches, and on nothing else: not on the
process that draws it, nor on how often the study was stopped. So it is drawn from a study in memory that holds just
these, by a sampler seeded from the trial's number, and the storage only keeps what came of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any, Literal
from warnings import catch_warnings, simplefilter

import optuna
import sqlalchemy
from filelock import FileLock
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState, create_trial

from kdbench.errors import KdbenchError
from kdbench.seeds import derive
from kdbench.spec.words import Value
from kdbench.text import first_line
from kdbench.tune.knob import Knob

BATCH = 4
"""Trials that are drawn without knowing each other's values: part of what a study is, however many workers it has."""

SAMPLING: dict[str, Any] = {
    "sampler": "TPE",
    "n_startup_trials": 2 * BATCH,
    "n_ei_candidates": 24,
    "multivariate": True,
    "group": False,
    "constant_liar": True,
}
"""The sampler's arguments, since a default may change with the next Optuna; those that it is about to drop are not."""

optuna.logging.set_verbosity(optuna.logging.ERROR)

DATABASE, DRIVEN = "postgresql://", "postgresql+psycopg://"
"""How the URL of a database begins, and how it does for sqlalchemy, which would choose its driver by its version."""

PATIENCE = 60
"""Seconds to wait while others open a database, of which the first makes its tables."""

State = Literal["running", "done", "failed", "pruned"]
_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "done",
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "pruned",
}
_KEPT = {state: kept for kept, state in _STATES.items()}


def sampling(seed: int) -> dict[str, Any]:
    """How trials are drawn; another Optuna draws others, and so makes another study."""
    return {**SAMPLING, "optuna": optuna.__version__, "batch": BATCH, "seed": seed}


@dataclass(frozen=True)
class Trial:
    """One trial.

    Args:
        number: from 0, without gaps.
        settings: by the names of the knobs.
        state: running until it is told; who ran it may be gone.
        value: of the objective; None where it is not done.
        facts: what was kept with it, such as the score of each fold or why it failed.
        begun: when; None where that is not known.
        ended: when it was told; None while it runs.
    """

    number: int
    settings: dict[str, Value]
    state: State
    value: float | None
    facts: dict[str, Any]
    begun: datetime | None = field(default=None, compare=False)
    ended: datetime | None = field(default=None, compare=False)


class Study:
    """One study in a storage."""

    def __init__(self, kept: optuna.Study) -> None:
        self._kept = kept
        self.name = kept.study_name

    @property
    def facts(self) -> dict[str, Any]:
        """What the study is."""
        return self._kept.user_attrs

    @property
    def knobs(self) -> tuple[Knob, ...]:
        """What it searches."""
        return tuple(map(Knob.from_plain, self.facts["knobs"]))

    def note(self, facts: Mapping[str, Any]) -> None:
        """Keep what the study is, where that is not known."""
        known = self.facts
        for key, value in facts.items():
            if known.get(key) != value:
                self._kept.set_user_attr(key, value)

    def trials(self) -> list[Trial]:
        """All trials in the order of their numbers."""
        return list(map(_read, self._kept.get_trials(deepcopy=False)))

    def add(self, knobs: Sequence[Knob], settings: Mapping[str, Value]) -> None:
        """Begin the next trial: there at once with all that it draws, or not at all."""
        self._kept.add_trial(_frozen(knobs, settings, TrialState.RUNNING, None))

    def tell(self, number: int, value: float | None, facts: Mapping[str, Any], *, pruned: bool = False) -> None:
        """End a trial that runs; without a value, it failed, unless it was pruned."""
        trial = self._kept.get_trials(deepcopy=False)[number]
        for key, fact in facts.items():
            optuna.trial.Trial(self._kept, trial._trial_id).set_user_attr(key, fact)
        if value is None:
            self._kept.tell(number, state=TrialState.PRUNED if pruned else TrialState.FAIL)
        else:
            self._kept.tell(number, value)


class Ledger:
    """A storage of studies: the journal of a store, or a PostgreSQL database.

    Args:
        place: the journal's path, or the URL of a database.

    Raises:
        KdbenchError: if the database is not PostgreSQL or cannot be reached.
    """

    def __init__(self, place: Path | str) -> None:
        self._storage = _journal(place) if isinstance(place, Path) else _database(place)

    def close(self) -> None:
        """Leave the database; a journal is never open for longer than a look at it."""
        if isinstance(self._storage, RDBStorage):
            _leave(self._storage)

    @property
    def database(self) -> Any:
        """The database's engine, for locks that all its clients see; None for a journal."""
        return self._storage.engine if isinstance(self._storage, RDBStorage) else None

    def names(self) -> list[str]:
        """Of all studies, in the order in which they were begun."""
        return optuna.get_all_study_names(self._storage)

    def study(self, name: str) -> Study:
        """A study of that name, begun if there is none; one that is there is only read."""
        with suppress(KeyError):
            return Study(optuna.load_study(storage=self._storage, study_name=name))
        return Study(
            optuna.create_study(storage=self._storage, study_name=name, direction="maximize", load_if_exists=True)
        )


def draw(knobs: Sequence[Knob], trials: Sequence[Trial], number: int, seed: int) -> dict[str, Value]:
    """What a trial has: the defaults where it is the first, else what the sampler says.

    Args:
        knobs: of the study.
        trials: of the study; those after ``number`` do not count, and of its own batch no value does.
        number: of the trial.
        seed: of the study.
    """
    if number == 0:
        return {knob.name: knob.default for knob in knobs}
    begin = number - number % BATCH
    arguments = {key: value for key, value in SAMPLING.items() if key != "sampler"}
    sampler = optuna.samplers.TPESampler(seed=derive("tune", seed, number) % 2**32, **arguments)
    memory = optuna.create_study(sampler=sampler, direction="maximize")
    for trial in trials[:number]:
        past = trial.number < begin
        state = _KEPT[trial.state] if past else TrialState.RUNNING
        scores = _by_step(trial) if state is TrialState.PRUNED else {}
        memory.add_trial(_frozen(knobs, trial.settings, state, trial.value if past else None, scores))
    drawn = memory.ask({knob.name: _distribution(knob) for knob in knobs}).params
    return {knob.name: knob.rounded(drawn[knob.name]) for knob in knobs}


def importances(knobs: Sequence[Knob], trials: Sequence[Trial]) -> dict[str, float]:
    """How much of the objective's changes hangs on each knob, adding up to 1; empty where too little is known."""
    done = [trial for trial in trials if trial.state == "done"]
    if len(done) < 2 or len({trial.value for trial in done}) < 2:
        return {}
    memory = optuna.create_study(direction="maximize")
    for trial in done:
        memory.add_trial(_frozen(knobs, trial.settings, TrialState.COMPLETE, trial.value))
    judge = optuna.importance.PedAnovaImportanceEvaluator()
    with suppress(RuntimeError, ValueError, UserWarning), catch_warnings():  # its good trials are all that there are
        simplefilter("error", UserWarning)  # else it warns, and gives every knob the same share
        return optuna.importance.get_param_importances(memory, evaluator=judge)
    return {}


def _by_step(trial: Trial) -> dict[int, float]:
    """The mean of what a pruned trial had scored, at the number of scores: it ranks behind those that went further."""
    scores = [score for score in trial.facts["scores"] if score is not None]
    return {len(scores): fmean(scores)}


def _distribution(knob: Knob) -> BaseDistribution:
    if knob.low is None or knob.high is None:
        return CategoricalDistribution(knob.choices)
    if knob.whole:
        return IntDistribution(int(knob.low), int(knob.high), log=knob.log)
    return FloatDistribution(knob.low, knob.high, log=knob.log)


def _frozen(
    knobs: Sequence[Knob],
    settings: Mapping[str, Value],
    state: TrialState,
    value: float | None,
    by_step: Mapping[int, float] | None = None,
) -> FrozenTrial:
    spans = {knob.name: _distribution(knob) for knob in knobs}
    return create_trial(
        state=state, value=value, params=dict(settings), distributions=spans, intermediate_values=dict(by_step or {})
    )


def _read(trial: FrozenTrial) -> Trial:
    state = _STATES.get(trial.state, "running")
    value = trial.value if state == "done" else None
    times = (trial.datetime_start, trial.datetime_complete)
    return Trial(trial.number, dict(trial.params), state, value, dict(trial.user_attrs), *times)


class _Journal(JournalFileBackend):
    """A journal whose lock goes with its holder, and whose last line is whole however the last writer ended."""

    def __init__(self, path: Path) -> None:
        lock = FileLock(f"{path}.lock")

        class Lock(JournalFileOpenLock):
            def acquire(self) -> bool:
                lock.acquire()
                _drop_half_a_line(path)
                return True

            def release(self) -> None:
                lock.release()

        super().__init__(str(path), lock_obj=Lock(str(path)))


def _drop_half_a_line(path: Path) -> None:
    """What a writer that was killed left without an end; who holds the lock alone may do so."""
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        if end and file.read(1) != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)


def _journal(path: Path) -> BaseStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return JournalStorage(_Journal(path))
    except (ValueError, KeyError) as error:
        raise KdbenchError(f"{path}: {first_line(error)}; not a journal of studies") from None


def without_password(url: str) -> str:
    """A database's URL as it may be shown."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)


def _database(url: str) -> BaseStorage:
    if not url.startswith(DATABASE):
        said = f"--storage {without_password(url)!r}, wanted {DATABASE}USER@HOST/NAME; without it the store's journal"
        raise KdbenchError(said)
    driven = DRIVEN + url.removeprefix(DATABASE)
    try:
        with _alone_in(driven):
            storage = RDBStorage(driven, skip_compatibility_check=True)
            here, wanted = storage.get_current_version(), storage.get_head_version()
    except ImportError as error:
        raise KdbenchError(f"--storage needs a driver: {error}; pip install 'kdbench[postgresql]'") from None
    except KdbenchError:
        raise
    except Exception as error:  # sqlalchemy lets the driver's many through
        raise KdbenchError(f"--storage: {first_line(error)}") from None
    if here != wanted:
        _leave(storage)
        raise KdbenchError(
            f"--storage: tables of another Optuna ({here}, wanted {wanted}); give a database of its own, or use "
            "`optuna storage upgrade`"
        )
    return storage


@contextmanager
def _alone_in(url: str) -> Iterator[None]:
    """Open a database while none of its other clients does: whoever finds it empty makes its tables.

    They are made in several steps, of which each is there as a whole or not at all, and looks whether it was taken
    before. So one client goes on where another was killed, but several at once hinder each other. The lock goes with
    the connection.

    Raises:
        KdbenchError: if the tables of another program are there that keeps a schema's version as Optuna does.
    """
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"SET LOCAL lock_timeout = '{PATIENCE}s'"))
        connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(hashtext('kdbench tune'))"))
        tables = set(sqlalchemy.inspect(connection).get_table_names())
        if "alembic_version" in tables and "version_info" not in tables:
            raise KdbenchError(
                f"--storage: the database {engine.url.database} is another program's, such as MLflow's; give one of "
                "its own (CREATE DATABASE)"
            )
        yield


def _leave(storage: RDBStorage) -> None:
    storage.remove_session()
    storage.engine.dispose()


def is_loss(error: BaseException) -> bool:
    """Whether an error says that the database is out of reach."""
    library = type(error).__module__.partition(".")[0]
    return library in ("sqlalchemy", "psycopg") or isinstance(error, optuna.exceptions.StorageInternalError)


def plain_knobs(knobs: Sequence[Knob]) -> list[dict[str, Any]]:
    """Knobs as a storage keeps them."""
    return [{**asdict(knob), "choices": list(knob.choices)} for knob in knobs]

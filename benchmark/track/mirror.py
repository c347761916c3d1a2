"""Keeps MLflow in step with the records of a matrix. mlflow is imported where something is written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kdbench.errors import KdbenchError
from kdbench.machine import Runtime
from kdbench.plan.model import Plan, Planned
from kdbench.results.entry import Entry, Freshness
from kdbench.results.place import RowRole
from kdbench.results.record import Record
from kdbench.store.entries import entries
from kdbench.store.memory import matrices, remembered
from kdbench.store.records import Store
from kdbench.track.block import answer_of, begun, finished, input_of
from kdbench.track.cell import Alone, cell_run, stamp_of
from kdbench.track.content import times
from kdbench.track.database import MATRIX, TRIALS, Living, lives
from kdbench.track.layout import LIMIT, Group, groups, key_of
from kdbench.track.target import Target

if TYPE_CHECKING:
    from kdbench.track.tracker import Tracker

_Where = tuple[str, str, int, int]
"""Dataset, pair, seed and fold."""


class Mirror:
    """Writes one plan's records to MLflow: a parent run for each dataset with a pair, a child for each place.

    Args:
        store: where the records are.
        identity: of the matrix in the store.
        plan: that the records belong to.
        target: where runs are tracked; the store's own database by default.
        limit: runs that an experiment has at most.
    """

    def __init__(
        self, store: Store, identity: str, plan: Plan, target: Target | None = None, limit: int = LIMIT
    ) -> None:
        self.store, self.identity, self.plan = store, identity, plan
        self.target = Target(store.root) if target is None else target
        self.groups = groups(plan, limit)
        self._group = {planned.place: group for group in self.groups for planned in group.places}
        self._places: dict[str, list[Planned]] = {}
        self._alone: dict[tuple[_Where, RowRole], str] = {}
        for planned in plan.places:
            if planned.digest is not None:
                self._places.setdefault(planned.digest, []).append(planned)
                if planned.place.role is not RowRole.METHOD:
                    self._alone[_where(planned), planned.place.role] = planned.digest
        self._records: dict[str, Record | None] = {}
        self._waiting: dict[str, Planned] = {}  # by key: their networks alone are not there yet
        self._tracker: Tracker | None = None
        self._living: Living | None = None
        self._parents: dict[str, tuple[str, str]] = {}  # experiment and run, by a group's key

    def begin(self) -> None:
        """Write that the matrix is running, before any of its cells is done.

        Raises:
            MachineError: if it cannot be written.
        """
        self._write([])

    def live(self) -> None:
        """Say to other processes that this one runs the matrix, unless one does already."""
        if self._living is None or not self._living.first:
            self._living = Living(self.store.root, self.identity)

    def add(self, record: Record) -> None:
        """Write a record, once the networks alone that it is compared with have theirs.

        Raises:
            MachineError: if it cannot be written.
        """
        self._records[record.digest] = record
        self._waiting |= {key_of(planned.place): planned for planned in self._places.get(record.digest, ())}
        self._write([planned for planned in self._waiting.values() if self._comparable(planned)])

    def finish(self, filled: Sequence[Entry]) -> int:
        """Write what is not there yet, and the tables; returns how many cells have a record.

        Raises:
            MachineError: if it cannot be written.
        """
        from kdbench.track.tracker import writing

        by_place = {entry.place: entry for entry in filled}
        self._records = {entry.record.digest: entry.record for entry in filled if entry.record is not None}
        with writing(self.target):
            mended = self._open()
            for group in self.groups:
                mine = [by_place[planned.place] for planned in group.places if planned.place in by_place]
                self._write_entries(group, [entry for entry in mine if entry.record is not None], every=True)
                self._finish(group, [entry for entry in filled if group.holds(entry.place)])
            assert self._tracker is not None
            for experiment in dict.fromkeys(experiment for experiment, _ in self._parents.values()):
                self._tracker.describe(experiment, answer_of(filled, self.plan))
            if not self._elsewhere():
                self.target.settle(self.identity)
            self._close()
        if mended:
            write_all(self.store, self.target, but=self.identity)
        return len(self._records)

    def stop(self, *, killed: bool) -> None:
        """Say that the run ended before its end; nothing where nothing was written yet.

        Raises:
            MachineError: if it cannot be written.
        """
        from kdbench.track.tracker import writing

        if self._waiting or self._tracker is not None:
            self._write(list(self._waiting.values()))
            assert self._tracker is not None
            with writing(self.target):
                for _, run in self._parents.values():
                    self._tracker.end(run, "KILLED" if killed else "FAILED")
        self._close()

    def _write(self, several: Sequence[Planned]) -> None:
        """Write places whose record is here, one after the other: others may write between."""
        from kdbench.track.tracker import writing

        with writing(self.target):
            mended = self._open()
        for planned in several:
            with writing(self.target):
                self._write_entries(self._group[planned.place], [self._entry(planned)])
            self._waiting.pop(key_of(planned.place), None)
        if mended:
            write_all(self.store, self.target, but=self.identity)

    def _open(self) -> bool:
        """Begin the parent runs, if that was not done; whether a database that was half made had to be removed."""
        if self._tracker is not None:
            return False
        from kdbench.track.tracker import Tracker, mend

        mended = self.target.server is None and mend(self.store.root)
        self.live()
        tracker = Tracker(self.target)
        tracker.end_the_dead()
        started = int(1000 * self._started())
        for group in self.groups:
            tuned = " tuned" if self.plan.matrix.preset is not None else ""
            number = f" {group.experiment}" if group.experiment > 1 else ""
            experiment = tracker.experiment(f"kdbench {self.identity}{tuned}{number}", {MATRIX: self.identity})
            run = tracker.parent(
                experiment, begun(group, self.plan, self.identity, started), input_of(group, self.plan)
            )
            self._parents[group.key] = experiment, run
        self._tracker = tracker
        return mended

    def _started(self) -> float:
        """When the matrix was run first, in seconds since 1970; as its first record says where the store does not."""
        kept = next((each for each in matrices(self.store) if each.identity == self.identity), None)
        if kept is not None and kept.begun is not None:
            return kept.begun.timestamp()
        records = [record for record in self._records.values() if record is not None]
        return min((times(record)[0] / 1000 for record in records), default=time.time())

    def _close(self) -> None:
        self._tracker = None
        if self._living is not None:
            self._living.end()
            self._living = None

    def _write_entries(self, group: Group, several: Sequence[Entry], *, every: bool = False) -> None:
        """Write entries of a group, each once; a newer one takes the place of an older one.

        Other processes may write too, each while it holds the lock, so what is there is asked for each time.

        Args:
            group: that they are of.
            several: with their records.
            every: whether these are all that there are, so that others go.
        """
        assert self._tracker is not None
        experiment, parent = self._parents[group.key]
        meant = {key_of(entry.place): (entry, stamp_of(entry, self._beside(entry))) for entry in several}
        for known in self._tracker.known(experiment, parent, None if every else next(iter(meant))):
            if known.ended and known.key in meant and meant[known.key][1] == known.stamp:
                del meant[known.key]
            elif every or known.key in meant:
                self._tracker.drop(experiment, known.run)
        for entry, _ in meant.values():
            record = entry.record
            assert record is not None
            kind = self.plan.windows.get(str(record.cell.get("data")))
            run = cell_run(entry, self._beside(entry), self.store, self.plan.matrix.recipe.name, kind)
            self._tracker.write(experiment, parent, run)

    def _finish(self, group: Group, filled: Sequence[Entry]) -> None:
        """End a parent run, unless another process is still at it."""
        assert self._tracker is not None
        run = finished(group, filled, self.plan)
        if run.status == "FINISHED" or not self._elsewhere():
            self._tracker.end(self._parents[group.key][1], run.status, run)

    def _elsewhere(self) -> bool:
        """Whether another process runs this matrix."""
        self.live()
        return self._living is not None and not self._living.first

    def _entry(self, planned: Planned) -> Entry:
        """A place whose record was just made, by today's code."""
        record = self._record(str(planned.digest))
        assert record is not None
        return Entry(planned.place, record.status, record.reason, Freshness.FRESH, record)

    def _beside(self, entry: Entry) -> Alone:
        """The networks alone at an entry's seed and fold."""
        place = entry.place
        where = place.dataset, place.pair, place.seed, place.fold
        found = (self._done(self._alone.get((where, role))) for role in (RowRole.TEACHER, RowRole.STUDENT))
        return Alone(*found)

    def _comparable(self, planned: Planned) -> bool:
        """Whether the networks alone at a place's seed and fold have records, as far as there are any to come."""
        known = (self._alone.get((_where(planned), role)) for role in (RowRole.TEACHER, RowRole.STUDENT))
        return all(self._record(digest) is not None for digest in known if digest is not None)

    def _done(self, digest: str | None) -> Record | None:
        record = None if digest is None else self._record(digest)
        return record if record is not None and record.status == "done" else None

    def _record(self, digest: str) -> Record | None:
        if self._records.get(digest) is None:
            self._records[digest] = self.store.record(digest)
        return self._records[digest]


def rebuild(where: Runtime, server: str | None = None) -> int:
    """Write what is tracked of a store again from its records; returns how many records and finished trials there are.

    Raises:
        KdbenchError: if mlflow is not installed or the store is empty.
    """
    from kdbench.track import tracker

    store, target = _store(where), Target(where.store, server)
    tracker.forget(target)
    return _write_everything(store, target)


def sync(where: Runtime, server: str | None = None) -> int:
    """Write what is not tracked yet of a store; returns how many records and finished trials there are.

    Raises:
        KdbenchError: if mlflow is not installed or the store is empty.
    """
    return _write_everything(_store(where), Target(where.store, server))


def _write_everything(store: Store, target: Target) -> int:
    """Matrices and trials; returns how many records and trials that are."""
    from kdbench.track.trials import write_trials

    return write_all(store, target) + write_trials(store.root, target, running=lives(store.root, TRIALS))


def write_all(store: Store, target: Target, *, but: str = "") -> int:
    """Write every matrix of a store but one; returns how many records were written."""
    return sum(write_matrix(store, identity, target) for identity in _identities(store) if identity != but)


def write_matrix(store: Store, identity: str, target: Target) -> int:
    """Write a matrix that was run in a store; returns how many records it has."""
    mirror = mirror_of(store, identity, target)
    return 0 if mirror is None else mirror.finish(entries(mirror.plan, store))


def mirror_of(store: Store, identity: str, target: Target) -> Mirror | None:
    """The mirror of a matrix that was run in a store; None where the store does not know it."""
    kept = next((each for each in matrices(store) if each.identity == identity), None)
    plan = None if kept is None else remembered(store, kept.matrix)
    return None if plan is None else Mirror(store, identity, plan, target)


def _identities(store: Store) -> list[str]:
    """Of all matrices, oldest first, as they were written."""
    return [kept.identity for kept in reversed(matrices(store))]


def _store(where: Runtime) -> Store:
    store = Store(where.store)
    if not matrices(store) and not (where.store / "tune").is_dir():
        raise KdbenchError(f"no matrix was run in {where.store}, and nothing tuned (--store, KDBENCH_STORE)")
    store.open_for_writing()
    return store


def _where(planned: Planned) -> _Where:
    place = planned.place
    return place.dataset, place.pair, place.seed, place.fold

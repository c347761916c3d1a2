"""Processes on the nodes of a Ray cluster, which need not share a file system: the driver alone writes the store."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from kdbench.errors import MachineError
from kdbench.executors._cluster import Cluster, Lost
from kdbench.executors._gpus import EVERYWHERE, cores
from kdbench.executors._node import Parcel
from kdbench.executors._parcels import PASSING, Files, digest_of, keep_passing, keep_result, lent, read
from kdbench.executors.processes import RETRIES
from kdbench.machine import Runtime
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job
from kdbench.store.claims import Elsewhere, claimed
from kdbench.store.records import Store

LOOK, LEAVE, COUNTED = 1.0, 5.0, 5.0
"""Seconds: between two looks at a job, that actors have for leaving, and for which the cluster's size is believed."""

AT_HAND = 64
"""Parcels that the driver has at hand at a time; a node keeps those that it got."""

Answer = tuple[Job, Record | BaseException]


@dataclass(eq=False)
class _Seat:
    """An actor, and what it works on.

    Args:
        actor: as the cluster knows it.
        job: None where it is idle.
        claim: on the job's cell.
        answer: what its next answer is known by.
        ready: whether it has answered once.
    """

    actor: Any
    job: Job | None = None
    claim: ExitStack = field(default_factory=ExitStack)
    answer: Any = None
    ready: bool = False


class Nodes:
    """Jobs on a cluster: a few actors that live as long as the run, each with a process that trains.

    A cell that is lost with its process, its actor or its node is tried once more with nothing beside it, from its
    checkpoint; then it fails, and no other cell with it.

    Args:
        runtime: how cells run, and where the cluster is.
        count: how many at a time, where it has room for them.

    Raises:
        KdbenchError: if there is no such cluster.
    """

    def __init__(self, runtime: Runtime, count: int) -> None:
        self._runtime, self._count, self._store = runtime, count, Store(runtime.store)
        self._cluster = Cluster(runtime, cores() if count == EVERYWHERE else count)
        self._seats: list[_Seat] = []
        self._answers: list[Answer] = []
        self._alone: list[Job] = []
        self._deaths: Counter[str] = Counter()
        self._parcels: dict[tuple[str, str], Parcel] = {}
        self._room, self._counted = self._cluster.room(), time.monotonic()

    @property
    def _busy(self) -> dict[Any, _Seat]:
        return {seat.answer: seat for seat in self._seats if seat.job is not None}

    @property
    def slots(self) -> int:
        """How many jobs at a time: those that the cluster has room for; one where a job is to be tried alone, or is."""
        if time.monotonic() - self._counted > COUNTED:  # nodes come and go
            self._room, self._counted = self._cluster.room(), time.monotonic()
        lonely = self._alone or any(seat.job and self._deaths[seat.job.digest] for seat in self._seats)
        return 1 if lonely else min(self._count, self.room)

    @property
    def room(self) -> int:
        return max(1, self._room)

    def submit(self, job: Job) -> None:
        claim = ExitStack()
        try:
            claim.enter_context(claimed(self._store, job.digest, replaces=job.replaces))
        except Elsewhere as elsewhere:
            self._answers.append((job, elsewhere))
            return
        seat = next((seat for seat in self._seats if seat.job is None), None)
        if seat is None:
            seat = _Seat(self._cluster.actor())
            self._seats.append(seat)
        seat.job, seat.claim = job, claim
        parcels = [self._windows(job), *(self._parcel(files) for files in lent(job, self._store))]
        folder = self._store.folder(job.digest)
        begun = read(folder, (folder / name for name in PASSING))
        told = [(parcel.digest, parcel.data) for parcel in parcels]
        self._cluster.ask(seat.actor, "begin", job, told, begun, where=[parcel.where for parcel in parcels])
        self._look(seat)

    def _look(self, seat: _Seat) -> None:
        assert seat.job is not None
        seat.answer = self._cluster.ask(seat.actor, "look", seat.job.digest, LOOK)

    def _windows(self, job: Job) -> Parcel:
        """The windows of a job's dataset, read once."""
        known = self._parcels.get(("windows", job.cell.data))
        if known is None:
            from kdbench.worker import windows

            folder = windows(job, self._runtime).folder
            assert folder is not None
            known = self._parcel(read(folder, folder.iterdir()), job.cell.data)
            self._parcels["windows", job.cell.data] = known
        return known

    def _parcel(self, files: Files, data: str = "") -> Parcel:
        digest = digest_of(files)
        known = self._parcels.pop(("files", digest), None) or Parcel(digest, data, self._cluster.put(files))
        if not data:
            self._parcels["files", digest] = known  # used last
            old = [key for key in self._parcels if key[0] == "files"][:-AT_HAND]
            for key in old:
                del self._parcels[key]
        return known

    def next(self, tick: Callable[[], None]) -> Answer | None:
        tick()
        self._dismiss_surplus()
        if self._answers:
            return self._answers.pop()
        busy = self._busy
        if self._alone and not busy:
            self.submit(self._alone.pop(0))
            return None
        for known in self._cluster.ready(list(busy), 0.5):
            seat = busy[known]
            job = seat.job
            assert job is not None
            try:
                return self._heard(seat, job)
            except OSError as error:  # the store cannot be written
                self._free(seat)
                return job, error
        return None

    def _heard(self, seat: _Seat, job: Job) -> Answer | None:
        """What an answer says of a job; None where it goes on, or is tried again."""
        try:
            files, result = self._cluster.answer(seat.answer)
        except Lost as lost:
            self._seats.remove(seat)
            self._cluster.end(seat.actor)
            return self._died(seat, job, f"its worker was lost ({lost})")
        seat.ready = True
        if result is None:
            keep_passing(self._store, job.digest, files)
            self._look(seat)
            return None
        if isinstance(result, Record) and result.failure == "killed":
            keep_passing(self._store, job.digest, {name: raw for name, raw in files.items() if name != "record.json"})
            return self._died(seat, job, str(result.reason))
        if isinstance(result, Record):
            record = keep_result(self._store, job.digest, files)
            if record is None:
                return self._died(seat, job, "what it left was damaged on its way back")
            result = record
        self._free(seat)
        self._deaths.pop(job.digest, None)
        return job, result

    def _died(self, seat: _Seat, job: Job, how: str) -> Answer | None:
        """What becomes of a job whose process, actor or node is gone; None where it is tried again."""
        self._free(seat)
        self._deaths[job.digest] += 1
        if self._deaths[job.digest] <= RETRIES:
            self._alone.append(job)
            return None
        times = self._deaths.pop(job.digest)
        if not seat.ready:
            return job, MachineError(f"no worker could start on the cluster: {how}")
        from kdbench.worker import lost

        try:
            return job, lost(
                job, self._runtime, f"{how}, {times} times, the last time with no other beside it", "killed"
            )
        except Exception as error:  # the disk is full, or another run was quicker
            return job, error

    def _free(self, seat: _Seat) -> None:
        seat.job = None
        seat.claim.close()

    def resize(self, count: int) -> None:
        self._count = count
        self._dismiss_surplus()

    def _dismiss_surplus(self) -> None:
        """Let actors go that are more than there are to be, as soon as they have finished what they work on."""
        idle = [seat for seat in self._seats if seat.job is None]
        if surplus := idle[: max(0, len(self._seats) - self._count)]:
            self._dismiss(surplus)

    def _dismiss(self, seats: list[_Seat]) -> None:
        """Have actors tidy up, and end them."""
        try:
            leaving = [self._cluster.ask(seat.actor, "leave") for seat in seats]
            self._cluster.ready(leaving, LEAVE, len(leaving))
        finally:
            for seat in seats:
                self._seats.remove(seat)
                self._cluster.end(seat.actor)

    def close(self) -> None:
        try:
            self._dismiss(list(self._seats))
        finally:
            self._cluster.close()


def make(runtime: Runtime, jobs: int) -> Nodes:
    """The executor of so many jobs at a time."""
    return Nodes(runtime, jobs)

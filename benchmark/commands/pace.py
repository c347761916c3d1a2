"""How long cells would take, from how long finished ones took."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from math import isfinite

import torch

from kdbench.costs.estimate import Estimate
from kdbench.errors import KdbenchError
from kdbench.machine import Runtime
from kdbench.plan.model import Plan, origin_of
from kdbench.provenance.environment import device_name
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job, job_of
from kdbench.schedule.pace import Pace
from kdbench.spec.cell import Cell
from kdbench.store.records import Store
from kdbench.text import duration

ENOUGH = 100
"""How many finished cells are asked."""


def learnt(plan: Plan, where: Runtime) -> Pace:
    """How long cells take, as the finished ones on these windows and this device tell."""
    pace = Pace(Estimate(where))
    for record in islice(finished_cells(plan, Store(where.store), device_name(torch.device(where.device))), ENOUGH):
        cell = Cell.from_plain(record.cell)
        with suppress(KdbenchError):  # of a network that is not here
            pace.learn(cell, plan.origins[origin_of(cell)], record.seconds)
    return pace


def expected(pace: Pace, todo: Iterable[Job], jobs: int) -> float | None:
    """Seconds that jobs would take, so many at a time; None where too little is known."""
    seconds = [pace(job.cell, job.dataset) for job in todo]
    known = [each for each in seconds if each is not None]
    return None if len(known) < len(seconds) else sum(known) / max(1, min(jobs, len(known)))


def how_long(plan: Plan, where: Runtime, jobs: int) -> Callable[[Sequence[str]], str]:
    """What `plan` says of the time that some of a plan's cells would take, so many at a time."""

    def say(digests: Sequence[str]) -> str:
        if not digests:
            return ""
        seconds = expected(learnt(plan, where), (job_of(plan, digest) for digest in digests), jobs)
        if seconds is None:
            return "how long: not known yet, no cell on these windows is finished here"
        return f"how long: about {duration(seconds)}, {min(jobs, len(digests))} at a time"

    return say


def finished_cells(plan: Plan, store: Store, device: str) -> Iterator[Record]:
    """Finished cells of the plan's datasets on the same device, those of the plan first."""
    others = (path.parent.name for path in store.root.glob("*/record.json"))
    for digest in dict.fromkeys([*plan.cells, *others]):
        try:
            record = store.record(digest)
        except KdbenchError:  # what cannot be read is told where it is asked for
            continue
        if record is None or record.status != "done" or record.device != device or not isfinite(record.seconds):
            continue
        if (record.cell.get("dataset_name"), record.cell.get("data")) in plan.origins:
            yield record

"""How long cells would take, from how long finished ones took."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from kdbench.schedule.jobs import job_of
from kdbench.spec.cell import Cell
from kdbench.store.records import Store
from kdbench.text import duration

ENOUGH = 100
"""How many finished cells are asked."""


def how_long(plan: Plan, where: Runtime, jobs: int) -> Callable[[Sequence[str]], str]:
    """What `plan` says of the time that some of a plan's cells would take, so many at a time."""

    def say(digests: Sequence[str]) -> str:
        if not digests:
            return ""
        estimate = Estimate(where)
        work = took = 0.0
        for record in islice(_finished(plan, Store(where.store), device_name(torch.device(where.device))), ENOUGH):
            cell = Cell.from_plain(record.cell)
            with suppress(KdbenchError):  # of a network that is not here
                work += estimate(cell, plan.origins[origin_of(cell)])
                took += record.seconds
        if not work:
            return "how long: not known yet, no cell on these windows is finished here"
        todo = [job_of(plan, digest) for digest in digests]
        at_once = min(jobs, len(todo))
        seconds = took / work * sum(estimate(job.cell, job.dataset) for job in todo) / at_once
        return f"how long: about {duration(seconds)}, {at_once} at a time"

    return say


def _finished(plan: Plan, store: Store, device: str) -> Iterator[Record]:
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

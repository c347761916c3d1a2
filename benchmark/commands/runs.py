"""What `kdbench list runs` says: the matrices that were run in a store, and how far each is."""

from __future__ import annotations

import shlex
from datetime import datetime

from kdbench.errors import KdbenchError
from kdbench.spec.matrix import Matrix
from kdbench.store.memory import Kept, identity_of, matrices, none_run, remembered
from kdbench.store.records import Store
from kdbench.text import aligned, counted


def runs_text(store: Store) -> str:
    """A line for each matrix, the one run last first.

    Raises:
        KdbenchError: if none was run, or a file cannot be read.
    """
    found = matrices(store)
    if not found:
        raise none_run(store)
    rows = [["name", "id (--matrix)", "cells done", "run last"]]
    for kept in found:
        done = progress(store, kept)
        share = "not known" if done is None else f"{done[0]} of {done[1]}"
        rows.append([kept.matrix.name, kept.identity, share, shown_time(kept.at)])
    return "\n".join(aligned(rows))


def progress(store: Store, kept: Kept) -> tuple[int, int] | None:
    """How many cells of a matrix are done, and how many it has; None where what it was written out to is gone."""
    plan = remembered(store, kept.matrix)
    if plan is None:
        return None
    return sum(_done(store, digest) for digest in plan.cells), len(plan.cells)


def _done(store: Store, digest: str) -> bool:
    """Whether a cell is done; one whose record is damaged is not, and is named where it is asked for."""
    try:
        record = store.record(digest)
    except KdbenchError:
        return False
    return record is not None and record.status == "done"


def other_unfinished(store: Store, matrix: Matrix) -> str | None:
    """What to say to whoever starts a matrix while another one, run last, is not finished; None where it is none."""
    last = next(iter(matrices(store)), None)
    if last is None or last.identity == identity_of(matrix):
        return None
    done = progress(store, last)
    if done is None or done[0] == done[1]:
        return None
    return (
        f"this runs {identity_of(matrix)}; the matrix run last here, {last.identity}, has {done[0]} of "
        f"{counted(done[1], 'cell')} done: `kdbench run --matrix {shlex.quote(last.identity)}` goes on with it"
    )


def shown_time(at: datetime | None) -> str:
    """A time as people read it, in the time zone that is set here."""
    return "not known" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M}"

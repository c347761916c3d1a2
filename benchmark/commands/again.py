"""What a cell printed, and whether it gives the same bits when it is run again."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from kdbench.errors import KdbenchError
from kdbench.executors import executor
from kdbench.machine import Runtime
from kdbench.plan.model import Plan
from kdbench.results.record import Record
from kdbench.schedule.jobs import job_of
from kdbench.store.claims import held
from kdbench.store.merge import difference
from kdbench.store.records import LOG, Store

PAUSE = 0.5
"""Seconds between two looks at a log that is followed."""


def log_of(store: Store, digest: str, *, error: bool = False) -> str:
    """What a cell printed, or the traceback of its failure.

    Raises:
        KdbenchError: if there is nothing.
    """
    path = store.folder(digest) / ("traceback.txt" if error else LOG)
    if path.exists():
        return path.read_text(encoding="utf-8", errors="replace")
    if error:
        record = store.record(digest)
        raise KdbenchError(f"{digest} has no traceback" + (f": {record.reason}" if record and record.reason else ""))
    raise KdbenchError(
        f"{digest} printed nothing that was kept; what cells print is kept where they run in processes of their own"
    )


def followed(store: Store, digest: str) -> Iterator[str]:
    """What a cell prints, as it comes, until nobody runs it any more."""
    path, at = store.folder(digest) / LOG, 0
    while True:
        running = held(store, digest)
        if path.exists():
            with path.open("rb") as file:
                file.seek(at)
                raw = file.read()
            at += len(raw)
            if raw:
                yield raw.decode("utf-8", "replace")
        if not running:
            return
        time.sleep(PAUSE)


def drawn(plan: Plan, store: Store, count: int) -> list[str]:
    """Some of a plan's finished cells, drawn by chance."""
    done = [digest for digest in plan.cells if (record := store.record(digest)) and record.status == "done"]
    return random.SystemRandom().sample(done, min(count, len(done)))


def run_again(plan: Plan, digests: Sequence[str], where: Runtime, say: Callable[[str], None]) -> bool:
    """Run finished cells again, beside the store, and compare bit for bit.

    Args:
        plan: that they are of.
        digests: which.
        where: the store that holds them; it is only read.
        say: is told of each.

    Returns:
        Whether all came out as they are kept.

    Raises:
        KdbenchError: if one is not done, is not of the plan, or its teacher is not here.
    """
    store, names, well = Store(where.store), plan.names(), True
    for digest in digests:
        kept = store.record(digest)
        if digest not in plan.cells:
            raise KdbenchError(f"{digest} is of another matrix; `kdbench list runs` shows them, --matrix names one")
        if kept is None or kept.status != "done":
            raise KdbenchError(f"{digest} {names[digest]} is not done: there is nothing to compare with")
        with TemporaryDirectory(prefix="kdbench-verify-") as folder:
            again = _run(plan, digest, store, replace(where, store=Path(folder)))
        differs = difference(kept, again) if again.status == "done" else f"it failed: {again.reason}"
        well = well and not differs
        say(f"{digest} {names[digest]}: {differs or 'the same, bit for bit'}")
    return well


def _run(plan: Plan, digest: str, store: Store, where: Runtime) -> Record:
    teacher = plan.cells[digest].teacher_cell
    for name in filter(None, ("plugins", "imports", teacher)):
        if (store.root / name).is_dir():
            shutil.copytree(store.root / name, where.store / name)
    running = executor("serial", where, 1)
    running.submit(job_of(plan, digest))
    try:
        while (answer := running.next(lambda: None)) is None:
            pass
    finally:
        running.close()
    if isinstance(answer[1], BaseException):
        raise answer[1]
    return answer[1]

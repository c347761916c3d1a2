"""The cells of a plan, each once, and what became of each: what `plan`, `run` and `status` count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from kdbench.errors import KdbenchError
from kdbench.plan.model import Plan
from kdbench.results.entry import Entry
from kdbench.results.record import FAILURES
from kdbench.store.drivers import drivers
from kdbench.store.records import Store, is_digest
from kdbench.text import counted

STATES = ("done", "stale", "running", "stopped", *FAILURES, "without teacher", "missing")
"""In the order in which they are told: stale ones are done, and of an older source; a cell without teacher lost it."""


def cell_states(plan: Plan, store: Store, filled: Sequence[Entry]) -> dict[str, str]:
    """What became of each cell, by digest.

    Args:
        plan: that the cells are of.
        store: where signs of life are.
        filled: the plan's places with what the store has for them.
    """
    alive = {digest for driver, lives in drivers(store) if lives for digest in driver.running}
    found: dict[str, str] = {}
    for planned, entry in zip(plan.places, filled, strict=True):
        if planned.digest is not None and planned.digest not in found:
            found[planned.digest] = _state(planned.digest, entry, store, alive)
    return found


def counts(states: Iterable[str]) -> str:
    """``3 done, 1 failed``; empty where there is none."""
    tally = Counter(states)
    return ", ".join(f"{tally[state]} {state}" for state in (*STATES, "n/a") if tally[state])


def to_run(states: Mapping[str, str]) -> list[str]:
    """Digests of the cells that a run would run, those that run now or were stopped included."""
    return [digest for digest, state in states.items() if state in ("missing", "running", "stopped")]


def _state(digest: str, entry: Entry, store: Store, alive: set[str]) -> str:
    if entry.status == "failed" and entry.record is not None:
        return entry.record.failure or "failed"
    if entry.status != "missing":
        return "stale" if entry.stale else entry.status
    if digest in alive:
        return "running"
    if entry.reason:
        return "without teacher"
    return "missing" if store.epoch(digest) is None else "stopped"


def cell_named(store: Store, prefix: str) -> str:
    """The digest of a cell in a store, finished or not, from the beginning of it.

    Raises:
        KdbenchError: if there is none, or there are several.
    """
    cells = sorted(path.name for path in store.root.glob("*") if path.is_dir() and is_digest(path.name))
    found = [digest for digest in cells if prefix and digest.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    if found:
        raise KdbenchError(f"{prefix!r} is the beginning of {counted(len(found), 'cell')}: {', '.join(found[:5])}")
    raise KdbenchError(f"no cell in {store.root} begins with {prefix!r}; `kdbench plan --cells` lists the digests")

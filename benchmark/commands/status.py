"""What `plan` and `status` say: what would run; what is done, running, failed, stale or missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kdbench.plan.model import Plan
from kdbench.results.entry import Entry, Freshness
from kdbench.store.entries import entries
from kdbench.store.records import Store
from kdbench.text import counted


def plan_text(plan: Plan, store: Store, *, cells: bool) -> str:
    """What a run would do; with ``cells``, every cell with its digest."""
    found = {digest: store.record(digest) for digest in plan.cells}
    missing = sum(record is None for record in found.values())
    matrix = plan.matrix
    lines = [
        f"{matrix.name}: {counted(len(plan.cells), 'cell')}, {len(plan.cells) - missing} done, {missing} to run",
        f"protocol {matrix.protocol}, recipe {matrix.recipe.name}, seeds {_seeds(matrix.seeds)}",
    ]
    for name, places in _grouped(plan):
        if (reason := plan.places[places[0]].reason) is not None:
            lines.append(f"  {name}: n/a: {reason}")
            continue
        done = sum(found[plan.places[i].digest or ""] is not None for i in places)
        lines.append(f"  {name}: {counted(len(places), 'cell')}, {done} done")
    if cells:
        names = plan.names()
        lines += [f"{digest}  {'done' if found[digest] else 'to run'}  {names[digest]}" for digest in plan.cells]
    return "\n".join(lines)


def status_text(plan: Plan, store: Store) -> str:
    """What is done, running, failed, stale or missing."""
    filled = entries(plan, store)
    states = [entry.freshness.value if entry.stale else entry.status for entry in filled]
    lines = [f"{plan.matrix.name} in {store.root}: {_counts(states)}"]
    lines += [f"  {name}: {_counts([states[i] for i in places])}" for name, places in _grouped(plan)]
    said: set[str] = set()
    names = plan.names()
    for planned, entry in zip(plan.places, filled, strict=True):
        if planned.digest is not None and planned.digest not in said:
            said.add(planned.digest)
            lines += _details(planned.digest, entry, names[planned.digest], plan, store)
    return "\n".join([*lines, *_unknown(filled)])


def _details(digest: str, entry: Entry, name: str, plan: Plan, store: Store) -> Iterator[str]:
    """What there is to say of one cell beyond its state."""
    if entry.reason:
        yield f"{entry.status}: {digest} {name}: {entry.reason}"
    elif entry.status == "missing" and (epoch := store.epoch(digest)) is not None:
        yield f"begun: {digest} {name}: epoch {epoch}/{plan.cells[digest].recipe.epochs}"
    for warning in entry.record.warnings if entry.record else ():
        yield f"warning: {digest} {name}: {warning}"


def _unknown(filled: list[Entry]) -> list[str]:
    """Said once: results whose code cannot be compared with today's."""
    found = {entry.record.digest for entry in filled if entry.freshness is Freshness.UNKNOWN and entry.record}
    if not found:
        return []
    return [
        f"{counted(len(found), 'result')} made by an older kdbench, or by a plug-in that is not here: whether the code "
        "has changed since cannot be told"
    ]


def _grouped(plan: Plan) -> list[tuple[str, list[int]]]:
    """Name of each row in each block, and the numbers of its places."""
    groups: dict[str, list[int]] = {}
    for number, planned in enumerate(plan.places):
        place = planned.place
        groups.setdefault(f"{place.dataset}  {place.pair}  {place.row}", []).append(number)
    return list(groups.items())


def _counts(states: list[str]) -> str:
    return ", ".join(f"{count} {state}" for state, count in Counter(states).items())


def _seeds(seeds: tuple[int, ...]) -> str:
    if len(seeds) > 1 and seeds == tuple(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds))

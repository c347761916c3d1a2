"""What `plan` and `status` say: what would run and how long; what became of every cell."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from kdbench.commands.cells import STATES, cell_states, counts, to_run
from kdbench.errors import KdbenchError, nearest
from kdbench.plan.model import Plan
from kdbench.results.entry import Entry, Freshness
from kdbench.results.record import FAILURES, WEIGHTS
from kdbench.spec.cell import Cell
from kdbench.store.drivers import Driver, drivers
from kdbench.store.entries import entries
from kdbench.store.memory import identity_of
from kdbench.store.records import USE, Store
from kdbench.store.use import LACKS
from kdbench.text import counted, duration


def plan_text(plan: Plan, store: Store, *, cells: bool, how_long: Callable[[Sequence[str]], str]) -> str:
    """What a run would do.

    Args:
        plan: a fresh one.
        store: where results are.
        cells: whether to list every cell with its digest.
        how_long: says how long cells would take, of their digests; empty where there is nothing to say.
    """
    states = cell_states(plan, store, entries(plan, store))
    todo = set(to_run(states))
    before = counts(state for digest, state in states.items() if digest not in todo) or "0 done"
    matrix = plan.matrix
    lines = [
        f"{matrix.name}: {counted(len(plan.cells), 'cell')}, {before}, {len(todo)} to run",
        f"protocol {matrix.protocol}, recipe {matrix.recipe.name}, seeds {_numbers(matrix.seeds)}",
        *filter(None, [how_long(sorted(todo))]),
    ]
    for name, places in _grouped(plan):
        if (reason := plan.places[places[0]].reason) is not None:
            lines.append(f"  {name}: n/a: {reason}")
            continue
        done = sum(states[plan.places[i].digest or ""] in ("done", "stale") for i in places)
        lines.append(f"  {name}: {done} of {len(places)} done")
    lines += _shared(plan)
    if cells:
        names = plan.names()
        shown = {digest: "to run" if digest in todo else state for digest, state in states.items()}
        lines += [f"{digest}  {shown[digest]}  {names[digest]}" for digest in plan.cells]
    return "\n".join(lines)


def status_text(plan: Plan, store: Store) -> str:
    """What is done, running, stopped, failed, stale or missing."""
    filled = entries(plan, store)
    states = cell_states(plan, store, filled)
    done = sum(state in ("done", "stale") for state in states.values())
    share = f" ({100 * done // len(states)} %)" if states else ""
    lines = [f"{plan.matrix.name} in {store.root}: {counted(len(states), 'cell')}: {counts(states.values())}{share}"]
    lines += _who(plan, store)
    missing: dict[str, list[str]] = {}
    for name, places in _grouped(plan):
        of_row = [states.get(plan.places[i].digest or "", "n/a") for i in places]
        if set(of_row) == {"missing"}:
            place = plan.places[places[0]].place
            missing.setdefault(f"{place.dataset}  {place.pair}", []).append(place.row)
        else:
            lines.append(f"  {name}: {'n/a' if set(of_row) == {'n/a'} else counts(of_row)}")
    lines += [f"  {block}  not begun: {', '.join(rows)}" for block, rows in missing.items()]
    lines += _shared(plan)
    return "\n".join([*lines, *_details(plan, store, filled, states), *_unknown(filled), *_useless(store, filled)])


def cells_text(plan: Plan, store: Store, state: str | None, *, as_json: bool) -> str:
    """The cells of one state, or all, each with its name, how far it is and the reason.

    Raises:
        KdbenchError: if there is no such state.
    """
    if state is not None and state not in (*STATES, "n/a"):
        raise KdbenchError(nearest("states", state, [*STATES, "n/a"]))
    filled = entries(plan, store)
    states, names = cell_states(plan, store, filled), plan.names()
    reasons = {planned.digest: entry.reason for planned, entry in zip(plan.places, filled, strict=True)}
    found = [
        {
            "digest": digest,
            "name": names[digest],
            "state": states[digest],
            "reason": reasons[digest],
            "epoch": store.epoch(digest),
            "epochs": plan.cells[digest].recipe.epochs,
            "teacher": plan.cells[digest].teacher_cell,
        }
        for digest in states
        if state in (None, states[digest])
    ]
    if as_json:
        return json.dumps(found, indent=1)
    lines = [f"{each['state']}: {each['digest']} {each['name']}{_because(each['reason'])}" for each in found]
    return "\n".join([*lines, counted(len(found), "cell")])


def _because(reason: object) -> str:
    return f": {reason}" if reason else ""


def _who(plan: Plan, store: Store) -> Iterator[str]:
    """Who runs the matrix; or, where nobody does, who was stopped in it."""
    identity = identity_of(plan.matrix)
    ours = [(driver, alive) for driver, alive in drivers(store) if driver.identity == identity]
    living = [driver for driver, alive in ours if alive]
    for driver in living:
        left = driver.seconds_left
        yield (
            f"running since {_time(driver.since)}: {_process(driver)}, {driver.at_once} at a time, "
            f"{driver.done:.1f} of {counted(driver.total, 'cell')} that it set out to run; "
            f"{'time left not known yet' if left is None else f'about {duration(left)} left'}"
        )
    for driver, _ in ours[:1] if not living else []:
        yield f"stopped without a word: {_process(driver)}, begun {_time(driver.since)}, seen last {_time(driver.seen)}"


def _process(driver: Driver) -> str:
    return f"process {driver.pid} on {driver.host}"


def _time(iso: str) -> str:
    return f"{datetime.fromisoformat(iso).astimezone():%Y-%m-%d %H:%M}"


def _details(plan: Plan, store: Store, filled: Sequence[Entry], states: Mapping[str, str]) -> Iterator[str]:
    """What there is to say of cells beyond their states."""
    names = plan.names()
    for state in ("running", "stopped"):
        for digest in (each for each, found in states.items() if found == state):
            epochs = plan.cells[digest].recipe.epochs
            yield f"{state}: {digest} {names[digest]}: epoch {store.epoch(digest) or 0}/{epochs}"
    told: set[str] = set()
    lost: dict[tuple[str, str], list[Cell]] = {}
    warned: dict[str, list[str]] = {}
    for planned, entry in zip(plan.places, filled, strict=True):
        if planned.digest is None or planned.digest in told:
            continue
        digest, place = planned.digest, planned.place
        told.add(digest)
        if states[digest] in FAILURES:
            yield f"{states[digest]}: {digest} {names[digest]}: {entry.reason}"
        elif states[digest] in ("without teacher", "n/a"):
            row = f"{place.dataset} {place.pair} {place.row}"
            lost.setdefault((row, str(entry.reason)), []).append(plan.cells[digest])
        for warning in entry.record.warnings if entry.record else ():
            warned.setdefault(warning, []).append(digest)
    for (row, reason), cells in lost.items():
        seeds = sorted({cell.seed for cell in cells})
        yield f"not run: {row} seed{'s' * (len(seeds) > 1)} {_numbers(tuple(seeds))}: {reason}"
    for warning, digests in warned.items():
        more = f" and {counted(len(digests) - 1, 'other cell')}" if len(digests) > 1 else ""
        yield f"warning: {digests[0]} {names[digests[0]]}{more}: {warning}"


def _unknown(filled: Sequence[Entry]) -> list[str]:
    """Said once: results whose code cannot be compared with today's."""
    found = {entry.record.digest for entry in filled if entry.freshness is Freshness.UNKNOWN and entry.record}
    if not found:
        return []
    return [
        f"{counted(len(found), 'result')} made by an older kdbench, or by a plug-in that is not here: whether the code "
        "has changed since cannot be told"
    ]


def _useless(store: Store, filled: Sequence[Entry]) -> list[str]:
    """Said once: records whose weights are not here, or are and do not tell what they are used with."""
    if store.unpacked:
        return ["made of published records: no weights are here, and predictions are rounded"]
    found = {entry.record.digest: entry.record.files for entry in filled if entry.record and entry.status == "done"}
    lacking = [files for files in found.values() if WEIGHTS in files and USE not in files]
    if not lacking:
        return []
    count = f"{len(lacking)} of {counted(len(found), 'record')}"
    one = len(lacking) == 1
    said = f"{'is' if one else 'are'} of an older kdbench and {'lacks what its' if one else 'lack what their'}"
    return [f"{count} {said} use needs ({LACKS}); `kdbench take` fits it again"]


def _shared(plan: Plan) -> list[str]:
    """Why the rows add up to more than the cells, where they do."""
    filled = sum(planned.digest is not None for planned in plan.places)
    if filled == len(plan.cells):
        return []
    return [
        f"rows have {counted(filled, 'place')}, filled by {counted(len(plan.cells), 'cell')}: one that stands in "
        "several rows, as a teacher does under each of its students, is run and counted once"
    ]


def _grouped(plan: Plan) -> list[tuple[str, list[int]]]:
    """Name of each row in each block, and the numbers of its places."""
    groups: dict[str, list[int]] = {}
    for number, planned in enumerate(plan.places):
        place = planned.place
        groups.setdefault(f"{place.dataset}  {place.pair}  {place.row}", []).append(number)
    return list(groups.items())


def _numbers(seeds: tuple[int, ...]) -> str:
    if len(seeds) > 1 and seeds == tuple(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds))

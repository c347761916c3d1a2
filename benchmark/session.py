"""What the commands do, with what was selected on the command line or from Python."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from kdbench.cells import Runtime
from kdbench.errors import KdbenchError, nearest
from kdbench.plan import Plan
from kdbench.progress import Progress
from kdbench.results import Entry, csv_tidy, csv_wide, report, tabulate
from kdbench.runner import Outcome, entries, make_plan, run_cells, unfinished
from kdbench.spec import Matrix, MethodRow, Spec, Value, parse_pair, parse_recipe, parse_seeds, parse_value
from kdbench.store import Store

METRICS = ("macro_f1", "accuracy")


@dataclass(frozen=True)
class Selection:
    """What the user asked for, as the command line has it; empty means as the matrix has it."""

    config: str | None = None
    datasets: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    seeds: str | None = None
    recipe: str | None = None
    protocol: str | None = None
    settings: tuple[str, ...] = ()

    def matrix(self, base: Matrix | None = None) -> Matrix:
        """The matrix that was selected.

        Args:
            base: what is meant where nothing was selected at all; the matrix ``quick`` by default.

        Raises:
            KdbenchError: if something selected has a wrong form.
        """
        if base is not None and self == Selection():
            return base
        matrix = Matrix.load(self.config or "quick")
        if self.datasets:
            matrix = replace(matrix, datasets=tuple(map(Spec.parse, self.datasets)), fallback=None)
        if self.pairs:
            matrix = replace(matrix, pairs=tuple(map(parse_pair, self.pairs)))
        if self.methods:
            matrix = replace(matrix, methods=tuple(MethodRow(Spec.parse(text)) for text in self.methods))
        if self.seeds is not None:
            matrix = replace(matrix, seeds=parse_seeds(self.seeds))
        if self.recipe is not None:
            matrix = replace(matrix, recipe=parse_recipe(self.recipe))
        if self.protocol is not None:
            matrix = replace(matrix, protocol=self.protocol)
        return _with_settings(matrix, self.settings)


def _with_settings(matrix: Matrix, settings: tuple[str, ...]) -> Matrix:
    changes: dict[str, dict[str, Value]] = {}
    for text in settings:
        target, equals, value = text.partition("=")
        name, dot, key = target.strip().partition(".")
        if not (equals and dot and name and key and value.strip()):
            raise KdbenchError(f"-S {text!r} is not of the form method.key=value or recipe.key=value")
        changes.setdefault(name, {})[key] = parse_value(value.strip())
    names = [row.method.name for row in matrix.methods]
    for name in changes:
        if name not in ("recipe", *names):
            raise KdbenchError(nearest("the methods selected, nor 'recipe'", name, names))

    def changed(row: MethodRow) -> MethodRow:
        change = changes.get(row.method.name, {})
        return replace(row, method=Spec(row.method.name, {**row.method.settings, **change}))

    recipe = matrix.recipe.changed(changes.get("recipe", {}))
    return replace(matrix, methods=tuple(map(changed, matrix.methods)), recipe=recipe)


def runtime(
    *,
    store: Path | str = "runs",
    data_dir: Path | str | None = None,
    device: str = "auto",
    cache: Path | str | None = None,
) -> Runtime:
    """Where and how to run.

    Args:
        store: folder of results.
        data_dir: folder of original archives.
        device: torch's name of a device, or ``auto``: a GPU where there is one.
        cache: folder of parsed data; ``KDBENCH_CACHE`` or the user's cache folder by default.

    Raises:
        KdbenchError: if there is no such device.
    """
    cache = cache or os.environ.get("KDBENCH_CACHE") or _user_cache()
    return Runtime(
        store=Path(store),
        cache=Path(cache),
        data_dir=None if data_dir is None else Path(data_dir),
        device=_device(device),
    )


def _user_cache() -> Path:
    try:
        from platformdirs import user_cache_path
    except ImportError:  # a machine that has only what training needs
        return Path.home() / ".cache" / "kdbench"
    return user_cache_path("kdbench")


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # the device "meta" has no numbers
    except (RuntimeError, AssertionError, NotImplementedError):
        raise KdbenchError(f"no device {name!r} here; cpu always works, auto takes a GPU where there is one") from None
    return str(device)


class Session:
    """One selection in one store.

    Args:
        selection: what was asked for.
        where: store, cache, data and device.
        say: prints a line for people.
        last: whether a selection of nothing means the matrix that was run last in the store.
    """

    def __init__(
        self, selection: Selection, where: Runtime, *, say: Callable[[str], None] = print, last: bool = False
    ) -> None:
        self.runtime, self.say = where, say
        self.store = Store(where.store)
        previous = next((matrix for _, matrix in self.store.matrices()), None) if last else None
        if last and previous is None and selection == Selection():
            raise KdbenchError(f"no matrix was run in {where.store} yet (--store, KDBENCH_STORE)")
        self.matrix = selection.matrix(previous)
        self._chosen = bool(selection.datasets) or selection.config is not None

    def plan(self, *, download: bool) -> Plan:
        """The matrix written out."""
        return make_plan(self.matrix, self.runtime, download=download, chosen=self._chosen, warn=self._shout)

    def _shout(self, text: str) -> None:
        self.say("!" * 78)
        for line in text.splitlines():
            self.say(f"! {line}".rstrip())
        self.say("!" * 78)

    def run(self, *, jobs: int | None, track: bool, retry_failed: bool = False, rerun_stale: bool = False) -> int:
        """Run what is missing, print the table, and return the exit code: 1 if a cell failed."""
        self.store.open_for_writing()
        plan = self.plan(download=True)
        if jobs is None:
            jobs = 1 if self.runtime.device != "cpu" or not _installed("pebble") else len(_cores())
        track = track and self._tracking_works()
        identity = self.store.remember(replace(plan.matrix, fallback=None))  # it has been decided
        todo = unfinished(plan, self.store, retry_failed=retry_failed, rerun_stale=rerun_stale)
        self.say(
            f"{plan.matrix.name}: {len(plan.cells)} cells, {len(plan.cells) - len(todo)} done before; "
            f"store {self.runtime.store}, device {self.runtime.device}, {min(jobs, max(1, len(todo)))} at a time"
        )
        with Progress(todo, self.runtime, jobs, self.say) as progress:
            outcome = run_cells(todo, plan, self.runtime, progress, jobs=jobs)
        filled = entries(plan, self.store)
        text = report(filled, METRICS, version=version("kdbench"))
        print(f"\n{text}")
        if track:
            _mirror(self.store, identity, plan, filled)
        self._say_how_to_go_on(outcome, track)
        return 1 if outcome.failed or outcome.skipped else 0

    def _tracking_works(self) -> bool:
        if not _installed("mlflow"):
            self.say("mlflow is not installed: results are kept, not tracked")
            return False
        return True

    def _say_how_to_go_on(self, outcome: Outcome, track: bool) -> None:
        for digest, reason in {**outcome.failed, **outcome.skipped}.items():
            self.say(f"failed: {digest}: {reason}")
        if outcome.failed:
            self.say("see `kdbench status`; `kdbench run --retry-failed` tries again")
        place = f" --store {self.runtime.store}" if self.runtime.store != Path("runs") else ""
        pages = f"; `kdbench ui{place}` opens the runs" if track else ""
        self.say(f"\n`kdbench table{place}` prints this again, `kdbench plot{place}` draws it{pages}")

    def show_plan(self, *, cells: bool) -> None:
        """Print what a run would do."""
        plan = self.plan(download=True)
        found = {digest: self.store.record(digest) for digest in plan.cells}
        missing = sum(record is None for record in found.values())
        print(f"{plan.matrix.name}: {len(plan.cells)} cells, {len(plan.cells) - missing} done, {missing} to run")
        print(f"protocol {plan.matrix.protocol}, recipe {plan.matrix.recipe.name}, seeds {_seeds(plan.matrix.seeds)}")
        for (dataset, pair, row), places in _grouped(plan).items():
            if (reason := plan.places[places[0]].reason) is not None:
                print(f"  {dataset}  {pair}  {row}: n/a: {reason}")
                continue
            done = sum(found[plan.places[i].digest or ""] is not None for i in places)
            print(f"  {dataset}  {pair}  {row}: {len(places)} cells, {done} done")
        if cells:
            for digest, cell in plan.cells.items():
                print(f"{digest}  {'done' if found[digest] else 'to run'}  {cell}")

    def show_status(self) -> None:
        """Print what is done, running, failed, stale or missing."""
        plan = self.plan(download=False)
        filled = entries(plan, self.store)
        states = Counter("stale" if entry.stale else entry.status for entry in filled)
        print(f"{plan.matrix.name} in {self.runtime.store}: {_counted(states)}")
        for (dataset, pair, row), places in _grouped(plan).items():
            counts = Counter("stale" if filled[i].stale else filled[i].status for i in places)
            print(f"  {dataset}  {pair}  {row}: {_counted(counts)}")
        said: set[str] = set()
        for place, entry in zip(plan.places, filled, strict=True):
            if place.digest is None or place.digest in said:
                continue
            said.add(place.digest)
            cell = plan.cells[place.digest]
            epoch = self.store.epoch(place.digest)
            if entry.status == "failed" or (entry.status == "missing" and entry.reason):
                print(f"{entry.status}: {place.digest} {cell}: {entry.reason}")
            elif entry.status == "missing" and epoch is not None:
                print(f"begun: {place.digest} {cell}: epoch {epoch}/{cell.recipe.epochs}")
            for warning in entry.record.warnings if entry.record else ():
                print(f"warning: {place.digest} {cell}: {warning}")

    def table(self, form: str, metrics: tuple[str, ...]) -> str:
        """The table as text: markdown, csv (a line per run) or csv-wide (a line per row)."""
        filled = entries(self.plan(download=False), self.store)
        try:
            if form == "csv":
                return csv_tidy(filled, metrics)
            if form == "csv-wide":
                return csv_wide([tabulate(filled, metric) for metric in metrics])
            return report(filled, metrics, version=version("kdbench"))
        except ValueError as error:
            raise KdbenchError(str(error)) from None

    def plot(self, metric: str, path: Path) -> None:
        """Draw the gain over the student alone."""
        from kdbench.results.figures import gain_figure

        try:
            gain_figure(tabulate(entries(self.plan(download=False), self.store), metric), path)
        except ValueError as error:
            raise KdbenchError(str(error)) from None


def rebuild_tracking(where: Runtime) -> int:
    """Write the MLflow database of a store again from its records; returns how many were written.

    Raises:
        KdbenchError: if mlflow is not installed or the store has no matrix.
    """
    from kdbench import tracking

    store = Store(where.store)
    matrices = list(store.matrices())
    if not matrices:
        raise KdbenchError(f"no matrix was run in {where.store} (--store, KDBENCH_STORE)")
    store.open_for_writing()
    plans = [(identity, make_plan(matrix, where, download=False, chosen=True)) for identity, matrix in matrices]
    tracking.forget(store.root)
    # Oldest first, as they were written.
    return sum(_mirror(store, identity, plan, entries(plan, store)) for identity, plan in reversed(plans))


def _mirror(store: Store, identity: str, plan: Plan, filled: list[Entry]) -> int:
    """Write the records of a plan to MLflow; returns how many cells have one."""
    from kdbench.tracking import Tracker, writing

    rows: dict[str, tuple[Entry, str]] = {}
    for entry in filled:
        if entry.record is not None:
            rows.setdefault(entry.record.digest, (entry, entry.row))
    metrics = METRICS
    texts: Mapping[str, str] = {
        "table.md": report(filled, metrics, version=version("kdbench")),
        "runs.csv": csv_tidy(filled, metrics),
        "table.csv": csv_wide([tabulate(filled, metric) for metric in metrics]),
    }
    with writing(store.root):
        tracker = Tracker(store, identity)
        for entry, row in rows.values():
            assert entry.record is not None
            tracker.add(entry.record, row)
        tracker.finish(texts, complete=len(rows) == len(plan.cells))
    return len(rows)


def _grouped(plan: Plan) -> dict[tuple[str, str, str], list[int]]:
    """Numbers of the places of each row in each block."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for number, place in enumerate(plan.places):
        groups.setdefault((place.dataset, place.pair, place.row), []).append(number)
    return groups


def _counted(states: Counter[str]) -> str:
    return ", ".join(f"{count} {state}" for state, count in states.items())


def _seeds(seeds: tuple[int, ...]) -> str:
    if len(seeds) > 1 and seeds == tuple(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds))


def _installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def _cores() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))

"""What the commands do with a selection in a store."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from textwrap import fill

from kdbench.cells import Runtime
from kdbench.errors import KdbenchError
from kdbench.mirror import METRICS, Mirror
from kdbench.plan import Plan
from kdbench.progress import Progress
from kdbench.results import costs_csv, costs_report, csv_tidy, csv_wide, report, tabulate
from kdbench.runner import Outcome, entries, make_plan, run_cells, unfinished
from kdbench.selection import Selection
from kdbench.store import Store


def runtime(
    *,
    store: Path | str | None = None,
    data_dir: Path | str | None = None,
    device: str = "auto",
    cache: Path | str | None = None,
) -> Runtime:
    """Where and how to run.

    Args:
        store: folder of results; ``KDBENCH_STORE`` or ``runs`` by default.
        data_dir: folder of original archives; ``KDBENCH_DATA`` by default.
        device: torch's name of a device, or ``auto``: a GPU where there is one.
        cache: folder of parsed data; ``KDBENCH_CACHE`` or the user's cache folder by default.

    Raises:
        KdbenchError: if there is no such device.
    """
    cache = cache or os.environ.get("KDBENCH_CACHE") or _user_cache()
    data_dir = data_dir or os.environ.get("KDBENCH_DATA")
    return Runtime(
        store=Path(store or os.environ.get("KDBENCH_STORE") or "runs"),
        cache=Path(cache),
        data_dir=Path(data_dir) if data_dir else None,
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
        plan = self.plan(download=True)
        self.store.open_for_writing()
        if jobs is None:
            jobs = 1 if self.runtime.device != "cpu" or not _installed("pebble") else len(_cores())
        identity = self.store.remember(plan)
        mirror = Mirror(self.store, identity, plan, self.say) if track and self._tracking_works() else None
        todo = unfinished(plan, self.store, retry_failed=retry_failed, rerun_stale=rerun_stale)
        self.say(
            f"{plan.matrix.name}: {len(plan.cells)} cells, {len(plan.cells) - len(todo)} done before; "
            f"store {self.runtime.store}, device {self.runtime.device}, {min(jobs, max(1, len(todo)))} at a time"
        )
        progress = Progress(todo, plan.names(), self.runtime, jobs, self.say, on_record=mirror.add if mirror else None)
        with progress:
            outcome = run_cells(todo, plan, self.runtime, progress, jobs=jobs)
        filled = entries(plan, self.store)
        text = report(filled, METRICS, version=version("kdbench"), warning=plan.warning)
        print(f"\n{text}")
        if mirror:
            mirror.finish(filled)
        self._say_how_to_go_on(outcome, mirror is not None)
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
        place = f" --store {shlex.quote(str(self.runtime.store))}" if self.runtime.store != Path("runs") else ""
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
            names = plan.names()
            for digest in plan.cells:
                print(f"{digest}  {'done' if found[digest] else 'to run'}  {names[digest]}")

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
        names = plan.names()
        for place, entry in zip(plan.places, filled, strict=True):
            if place.digest is None or place.digest in said:
                continue
            said.add(place.digest)
            cell = plan.cells[place.digest]
            epoch = self.store.epoch(place.digest)
            if entry.status == "failed" or (entry.status == "missing" and entry.reason):
                print(f"{entry.status}: {place.digest} {names[place.digest]}: {entry.reason}")
            elif entry.status == "missing" and epoch is not None:
                print(f"begun: {place.digest} {names[place.digest]}: epoch {epoch}/{cell.recipe.epochs}")
            for warning in entry.record.warnings if entry.record else ():
                print(f"warning: {place.digest} {names[place.digest]}: {warning}")

    def table(self, form: str, metrics: tuple[str, ...]) -> str:
        """The table as text: markdown, csv (a line per run) or csv-wide (a line per row)."""
        plan = self.plan(download=False)
        filled = entries(plan, self.store)
        with _refusals():
            if form == "csv":
                return csv_tidy(filled, metrics)
            if form == "csv-wide":
                return csv_wide([tabulate(filled, metric) for metric in metrics])
            return report(filled, metrics, version=version("kdbench"), warning=plan.warning)

    def cost_table(self, form: str, metrics: tuple[str, ...]) -> str:
        """What the networks of the table cost and how well each does: markdown, or csv (a line per row)."""
        plan = self.plan(download=False)
        filled = entries(plan, self.store)
        with _refusals():
            if form != "markdown":
                return costs_csv(filled, metrics)
            return costs_report(filled, metrics, version=version("kdbench"), warning=plan.warning)

    def plot(self, metric: str, path: Path, *, costs: bool = False) -> None:
        """Draw the gain over the student alone, or the metric against multiply-adds."""
        from kdbench.results.figures import cost_figure, gain_figure

        plan = self.plan(download=False)
        filled = entries(plan, self.store)
        title = fill(plan.warning, 50) or None  # a figure has no caption of its own
        with _refusals():
            if costs:
                cost_figure(filled, metric, path, title)
            else:
                gain_figure(tabulate(filled, metric), path, title)


@contextmanager
def _refusals() -> Iterator[None]:
    """What `kdbench.results` refuses is the user's to mend: one line."""
    try:
        yield
    except ValueError as error:
        raise KdbenchError(str(error)) from None


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

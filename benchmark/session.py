"""One selection in one store, and what can be done with it: the command line from Python."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kdbench.commands.planning import fresh_plan, kept_plan
from kdbench.commands.runs import other_unfinished
from kdbench.commands.status import cells_text, plan_text, status_text
from kdbench.errors import KdbenchError
from kdbench.executors import default_jobs, jobs_per_gpu
from kdbench.machine import DEFAULT_STORE, Runtime
from kdbench.plan.model import Plan
from kdbench.provenance.known import KNOWN
from kdbench.spec.matrix import Matrix
from kdbench.spec.selection import Selection
from kdbench.store.imports import import_named
from kdbench.store.memory import chosen, matrices, none_run
from kdbench.store.plugins import look_in, named_by_content
from kdbench.store.records import Store

if TYPE_CHECKING:
    from kdbench.commands.run import Ran
    from kdbench.commands.tune import Tuned
    from kdbench.spec.teachers import Imported


def runtime(
    *,
    store: Path | str | None = None,
    data_dir: Path | str | None = None,
    device: str = "auto",
    cache: Path | str | None = None,
    per_gpu: str | None = None,
) -> Runtime:
    """Where and how to run.

    Args:
        store: folder of results; ``KDBENCH_STORE`` or ``runs`` by default.
        data_dir: folder of original archives; ``KDBENCH_DATA`` by default.
        device: torch's name of a device, or ``auto``: a GPU where there is one.
        cache: folder of parsed data; ``KDBENCH_CACHE`` or the user's cache folder by default.
        per_gpu: cells run at a time on each GPU where nobody says how many in all, or ``auto``; one by default.

    Raises:
        KdbenchError: if there is no such device, or ``per_gpu`` is neither a number nor ``auto``.
    """
    cache = cache or os.environ.get("KDBENCH_CACHE") or _user_cache()
    data_dir = data_dir or os.environ.get("KDBENCH_DATA")
    device = _device(device)
    return Runtime(
        store=Path(store or os.environ.get("KDBENCH_STORE") or DEFAULT_STORE),
        cache=Path(cache),
        data_dir=Path(data_dir) if data_dir else None,
        device=device,
        jobs_per_gpu=jobs_per_gpu(per_gpu, device),
    )


def _user_cache() -> Path:
    try:
        from platformdirs import user_cache_path
    except ImportError:  # a machine that has only what training needs
        return Path.home() / ".cache" / "kdbench"
    return user_cache_path("kdbench")


def _device(name: str) -> str:
    if name == "cpu":  # always there; torch need not be asked
        return name
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
        selection: what was asked for, or a whole matrix.
        where: store, cache, data and device.
        say: prints a line about how it goes, for people.
        last: whether a selection of nothing means the matrix that was run last in the store.
    """

    def __init__(
        self, selection: Selection | Matrix, where: Runtime, *, say: Callable[[str], None] = print, last: bool = False
    ) -> None:
        self.runtime, self.say = where, say
        KNOWN.folder = where.cache
        self.store = Store(where.store)
        look_in(self.store)
        if isinstance(selection, Matrix):
            self.matrix, self._chosen, self._named = named_by_content(selection), True, True
            return
        self.matrix = named_by_content(selection.matrix(self._base(selection, last=last)))
        brought = tuple(import_named(self.store, each) for each in selection.teachers)
        self.matrix = replace(self.matrix, teachers=brought or self.matrix.teachers)
        named = selection.config is not None or selection.stored is not None
        self._chosen, self._named = bool(selection.datasets) or named, named

    def _base(self, selection: Selection, *, last: bool) -> Matrix | None:
        """The matrix of the store that a selection starts from; None where it starts from no such."""
        if selection.stored is not None:
            if selection.config is not None:
                raise KdbenchError("-c and --matrix both say which matrix is meant; give one of them")
            return chosen(self.store, selection.stored).matrix
        if not last or selection.config is not None:
            return None
        previous = next((kept.matrix for kept in matrices(self.store)), None)
        if previous is None and selection == Selection():
            raise none_run(self.store)
        return previous

    def plan(self) -> Plan:
        """The matrix written out anew, as `run` would run it; data that are missing are fetched."""
        return fresh_plan(self.matrix, self.runtime, chosen=self._chosen, warn=self._shout)

    def _shout(self, text: str) -> None:
        self.say("!" * 78)
        for line in text.splitlines():
            self.say(f"! {line}".rstrip())
        self.say("!" * 78)

    def run(
        self,
        *,
        jobs: int | None = None,
        track: bool = True,
        retry: Sequence[str] | None = None,
        rerun_stale: bool = False,
        executor: str | None = None,
        force: bool = False,
        timeout: float | None = None,
        fail_fast: bool = False,
        shard: tuple[int, int] = (1, 1),
        tracking_uri: str | None = None,
        address: str | None = None,
        show: Callable[[str], None] = lambda text: None,
    ) -> Ran:
        """Run what is missing; `kdbench.commands.run` says what each argument does and what comes back."""
        from kdbench.commands.run import Ask, run

        if address is not None and executor != "ray":
            raise KdbenchError(f"--address {address} is of a Ray cluster; wanted --executor ray with it")
        where = replace(self.runtime, address=address)
        limits = (force, timeout, fail_fast, shard)
        ask = Ask(jobs, track, tuple(retry or ()), rerun_stale, executor, *limits, tracking_uri=tracking_uri)
        plan = self.plan()
        if not self._named and (other := other_unfinished(self.store, plan.matrix)):
            self.say(other)
        if not plan.matrix.max_seeds:
            return run(plan, where, ask, self.say, show)
        from kdbench.commands.sure import run_until_sure

        def replan(seeds: int) -> Plan:
            self.matrix = replace(plan.matrix, seeds=tuple(range(seeds)))
            return self.plan()

        return run_until_sure(plan, replan, where, ask, self.say, show)

    def verify(self, cells: Sequence[str], sample: int = 0) -> bool:
        """Run finished cells again, beside the store, by the beginnings of their digests or drawn by chance.

        Returns:
            Whether all came out as they are kept, bit for bit.
        """
        from kdbench.commands.again import drawn, run_again
        from kdbench.commands.cells import cell_named

        self.store.wants_weights()
        plan = self.plan()
        digests = [cell_named(self.store, cell) for cell in cells] or drawn(plan, self.store, sample)
        return run_again(plan, digests, self.runtime, self.say)

    def tune(
        self,
        *,
        trials: int = 20,
        storage: str | None = None,
        jobs: int | None = None,
        executor: str | None = None,
        teacher: bool = True,
        prune: bool = False,
        stale: bool = False,
    ) -> Tuned:
        """Search settings for every row; `kdbench.commands.tune` says what each argument does and what comes back."""
        from kdbench.commands.tune import AskTune, tune

        return tune(
            self.matrix, self.runtime, AskTune(trials, storage, jobs, executor, teacher, prune, stale), self.say
        )

    def plan_text(self, *, cells: bool = False) -> str:
        """What a run would do, and how long it would take."""
        from kdbench.commands.pace import how_long

        plan = self.plan()
        paced = how_long(plan, self.runtime, default_jobs(self.runtime))
        return plan_text(plan, self.store, cells=cells, how_long=paced)

    def status(self) -> str:
        """What is done, running, failed, stale or missing."""
        return status_text(self._kept(), self.store)

    def cells(self, state: str | None = None, *, as_json: bool = False) -> str:
        """The cells, those of one state or all, a line each or as JSON."""
        return cells_text(self._kept(), self.store, state, as_json=as_json)

    def table(self, form: str, metrics: tuple[str, ...], *, sort: str = "kind") -> str:
        """The table as text, in one of the formats of `table --format`, methods in one of the orders of `--sort`."""
        from kdbench.commands.tables import table_text

        return table_text(self._kept(), self.store, form, metrics, sort=sort)

    def citations(self) -> str:
        """BibTeX of the methods and datasets that the table names."""
        from kdbench.commands.citations import citations

        return citations(self._kept())

    def cost_table(self, form: str, metrics: tuple[str, ...]) -> str:
        """What the networks of the table cost and how well each does: markdown, or csv (a line per row)."""
        from kdbench.commands.tables import cost_text

        return cost_text(self._kept(), self.store, form, metrics)

    def deploy_table(self, form: str) -> str:
        """What of each row goes to a device, as `take` made and judged it: markdown, or csv (a line per row)."""
        from kdbench.commands.deployed import deploy_text

        return deploy_text(self._kept(), self.store, form)

    def beside_default(self, form: str, metrics: tuple[str, ...]) -> str:
        """Every row with defaults beside itself with a preset: markdown, or csv (a line per row)."""
        from kdbench.commands.beside import beside_text

        return beside_text(self.matrix, self.store, lambda each: kept_plan(each, self.runtime), form, metrics)

    def plot(
        self,
        metric: str,
        path: Path,
        *,
        costs: bool = False,
        deploy: str | None = None,
        figure: str = "gain",
        width: str = "two",
        rows: Sequence[str] = (),
    ) -> None:
        """Draw a figure by name, or the metric of networks alone against multiply-adds, or what was taken against
        its ``size`` or ``latency``, which ``deploy`` says."""
        from kdbench.commands.figures import draw, draw_costs, draw_deployed

        if costs:
            draw_costs(self._kept(), self.store, metric, path)
        elif deploy:
            draw_deployed(self._kept(), self.store, deploy, path, width=width)
        else:
            draw(self._kept(), self.store, metric, path, figure=figure, width=width, rows=tuple(rows))

    def plot_all(self, metric: str, folder: Path, *, width: str = "two", rows: Sequence[str] = ()) -> Iterator[str]:
        """Draw every figure into a folder; yields a line on each, the reason where one cannot be drawn."""
        from kdbench.commands.figures import draw_all

        return draw_all(self._kept(), self.store, metric, folder, width=width, rows=tuple(rows))

    def stats(self, metric: str, form: str = "markdown", *, equivalent: float = 0.005) -> str:
        """What the answer for a metric rests on; ``equivalent`` is the fraction that is practically no difference."""
        from kdbench.commands.stats import stats_text

        return stats_text(self._kept(), self.store, metric, form, equivalent=equivalent)

    def view(self, name: str, form: str = "markdown", *, metric: str = "macro_f1", rows: Sequence[str] = ()) -> str:
        """What is recorded and no table of scores has, such as ``people``; `kdbench.results.views` has them."""
        from kdbench.commands.views import view_text

        return view_text(self._kept(), self.store, name, form, metric, tuple(rows))

    def import_teacher(self, path: Path | str, *, show: Callable[[str], None] = lambda text: None) -> Imported:
        """Take weights for the matrix's teacher from a file, and measure them; `kdbench.commands.teachers` has more."""
        from kdbench.commands.teachers import import_teacher

        def plan(matrix: Matrix) -> Plan:
            return fresh_plan(matrix, self.runtime, chosen=self._chosen, warn=self._shout)

        return import_teacher(Path(path), self.matrix, plan, self.runtime, show)

    def report(self, path: Path | str, metrics: Sequence[str] = ("macro_f1", "accuracy")) -> None:
        """Write one HTML file that needs nothing else: answer, tables, figures, provenance, how to make it again."""
        from kdbench.commands.report import write_report

        write_report(self._kept(), self.store, Path(path), tuple(metrics))

    def publish(self, folder: Path | str, *, show: Callable[[str], None] = lambda text: None) -> list[str]:
        """Write records, tables, figure and report into a folder that stands for itself; returns the pages' names.

        Of pages that were there and that the records do not give any more, ``show`` is told that they are removed."""
        from kdbench.commands.publish import publish

        return publish(self.matrix, self.store, Path(folder), show)

    def alarms(self, metric: str, form: str = "markdown") -> str:
        """How often the tests behind the answer cry wolf, on these records and on simulated people."""
        from kdbench.commands.stats import alarms_text

        return alarms_text(self._kept(), self.store, metric, form)

    def compare(self, first: str, second: str, metric: str, form: str = "markdown") -> str:
        """Two rows of the table, person by person."""
        from kdbench.commands.stats import compare_rows

        return compare_rows(self._kept(), self.store, first, second, metric, form)

    def compare_with(self, other: Session, row: str | None, metric: str, form: str = "markdown") -> str:
        """The rows that this store shares with another one, or one of them, each beside itself."""
        from kdbench.commands.stats import compare_stores

        named = [(str(each.store.root), each._kept(), each.store) for each in (self, other)]
        return compare_stores(named[0], named[1], row, metric, form)

    def _kept(self) -> Plan:
        return kept_plan(self.matrix, self.runtime)

"""One selection in one store, and what can be done with it: the command line from Python."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kdbench.commands.planning import fresh_plan, kept_plan
from kdbench.commands.runs import other_unfinished
from kdbench.commands.status import plan_text, status_text
from kdbench.errors import KdbenchError
from kdbench.machine import DEFAULT_STORE, Runtime
from kdbench.plan.model import Plan
from kdbench.spec.matrix import Matrix
from kdbench.spec.selection import Selection
from kdbench.store.memory import chosen, matrices
from kdbench.store.plugins import look_in, named_by_content
from kdbench.store.records import Store

if TYPE_CHECKING:
    from kdbench.commands.run import Ran
    from kdbench.commands.tune import Tuned


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
        store=Path(store or os.environ.get("KDBENCH_STORE") or DEFAULT_STORE),
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
        selection: what was asked for.
        where: store, cache, data and device.
        say: prints a line about how it goes, for people.
        last: whether a selection of nothing means the matrix that was run last in the store.
    """

    def __init__(
        self, selection: Selection, where: Runtime, *, say: Callable[[str], None] = print, last: bool = False
    ) -> None:
        self.runtime, self.say = where, say
        self.store = Store(where.store)
        look_in(self.store)
        self.matrix = named_by_content(selection.matrix(self._base(selection, last=last)))
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
            raise KdbenchError(f"no matrix was run in {self.store.root} yet (--store, KDBENCH_STORE)")
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
        retry_failed: bool = False,
        rerun_stale: bool = False,
        executor: str | None = None,
        show: Callable[[str], None] = lambda text: None,
    ) -> Ran:
        """Run what is missing; `kdbench.commands.run` says what each argument does and what comes back."""
        from kdbench.commands.run import Ask, run

        ask = Ask(jobs, track, retry_failed, rerun_stale, executor)
        plan = self.plan()
        if not self._named and (other := other_unfinished(self.store, plan.matrix)):
            self.say(other)
        return run(plan, self.runtime, ask, self.say, show)

    def tune(
        self,
        *,
        trials: int = 20,
        storage: str | None = None,
        jobs: int | None = None,
        executor: str | None = None,
        teacher: bool = True,
    ) -> Tuned:
        """Search settings for every row; `kdbench.commands.tune` says what each argument does and what comes back."""
        from kdbench.commands.tune import AskTune, tune

        return tune(self.matrix, self.runtime, AskTune(trials, storage, jobs, executor, teacher), self.say)

    def plan_text(self, *, cells: bool = False) -> str:
        """What a run would do, and how long it would take."""
        from kdbench.commands.pace import how_long
        from kdbench.commands.run import default_jobs

        plan = self.plan()
        paced = how_long(plan, self.runtime, default_jobs(self.runtime))
        return plan_text(plan, self.store, cells=cells, how_long=paced)

    def status(self) -> str:
        """What is done, running, failed, stale or missing."""
        return status_text(self._kept(), self.store)

    def table(self, form: str, metrics: tuple[str, ...]) -> str:
        """The table as text: markdown, csv (a line per run) or csv-wide (a line per row)."""
        from kdbench.commands.tables import table_text

        return table_text(self._kept(), self.store, form, metrics)

    def cost_table(self, form: str, metrics: tuple[str, ...]) -> str:
        """What the networks of the table cost and how well each does: markdown, or csv (a line per row)."""
        from kdbench.commands.tables import cost_text

        return cost_text(self._kept(), self.store, form, metrics)

    def plot(self, metric: str, path: Path, *, costs: bool = False) -> None:
        """Draw the gain over the student alone, or the metric against multiply-adds."""
        from kdbench.commands.tables import draw

        draw(self._kept(), self.store, metric, path, costs=costs)

    def stats(self, metric: str, form: str = "markdown", *, equivalent: float = 0.005) -> str:
        """What the answer for a metric rests on; ``equivalent`` is the fraction that is practically no difference."""
        from kdbench.commands.stats import stats_text

        return stats_text(self._kept(), self.store, metric, form, equivalent=equivalent)

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

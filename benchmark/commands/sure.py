"""What `run --seeds auto` does: seeds are added, to all methods alike, until they are a small part of the noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from kdbench.commands.run import Ask, Ran, run, spoken_with
from kdbench.machine import Runtime
from kdbench.plan.model import Plan
from kdbench.results.statistics.variance import ENOUGH
from kdbench.results.tables.seeds import Need, seeds_needed

JUDGED = "macro_f1"


def run_until_sure(
    plan: Plan,
    replan: Callable[[int], Plan],
    where: Runtime,
    ask: Ask,
    say: Callable[[str], None],
    show: Callable[[str], None],
) -> Ran:
    """Run a matrix with more and more seeds; it stops on variance or at the matrix's budget, never on a p-value.

    Args:
        plan: the matrix with the seeds to begin with.
        replan: writes it out with that many seeds.
        where: as `run` has it, like the rest.
        ask: likewise.
        say: likewise.
        show: likewise; called once, at the end.
    """
    budget = plan.matrix.max_seeds
    with spoken_with(where, ask) as control:
        while True:
            ran = run(plan, where, replace(ask, ending=False), say, show, control)
            seeds = len(plan.matrix.seeds)
            need = seeds_needed(ran.entries, JUDGED)
            say(_said(need, seeds, budget))
            if need is None or need.share < ENOUGH or seeds >= budget:
                return run(plan, where, replace(ask, retry=(), rerun_stale=False, force=False), say, show, control)
            plan = replan(_next(need, seeds, budget))


def _next(need: Need, seeds: int, budget: int) -> int:
    """As many as the variance seen by now asks for, at most twice as many as there are."""
    wanted = math.ceil(min(need.wanted, 2 * seeds))
    return min(budget, max(seeds + 1, wanted))


def _said(need: Need | None, seeds: int, budget: int) -> str:
    if need is None:
        return f"{seeds} seeds: no gain can be split into people and seeds, so no seed is added"
    share = f"{seeds} seeds: they are at most {100 * need.share:.0f} % of the variance of a gain"
    if need.share < ENOUGH:
        return f"{share}, which is enough"
    return f"{share}; the budget of {budget} is spent" if seeds >= budget else f"{share}; more are added"

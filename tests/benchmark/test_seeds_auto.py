"""Seeds are added, to all rows alike, until they are a small part of the noise or the budget is spent."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from kdbench.commands.sure import _next
from kdbench.errors import KdbenchError
from kdbench.machine import Runtime
from kdbench.results.tables.seeds import Need
from kdbench.session import Session
from kdbench.spec.matrix import Matrix
from kdbench.spec.selection import Selection
from kdbench.store.memory import identity_of
from kdbench.store.records import Store
from kdbench.store.talk import ask


@pytest.mark.slow
def test_seeds_are_added_up_to_the_budget_and_the_caption_says_so(call: Any) -> None:
    job = ("-d", "synthetic(people=12, windows=2, length=32)", "-p", "mlp(hidden=16):mlp(hidden=8)", "-m", "kd")
    job += ("-S", "recipe.epochs=1", "--seeds", "auto", "--max-seeds", "4")
    ended = call("run", *job, "--no-track", "-j", "1")
    assert ended.code == 0, ended.err
    told = [line for line in ended.err.splitlines() if " seeds: " in line]
    assert told[0].startswith("3 seeds: they are at most ")
    assert told[-1].endswith((", which is enough", "; the budget of 4 is spent"))
    assert ended.out.count("## Macro-F1") == 1
    assert "(added, to all rows alike, until they are below 10 % of the variance" in ended.out
    reached = ", which was reached" if "seeds 0, 1, 2, 3 " in ended.out else ""
    assert f"every gain in macro-F1, at most 4{reached})" in ended.out
    assert ended.out.count("kdbench plot") + ended.err.count("kdbench plot") == 1
    assert "1 " not in call("list", "runs").out.splitlines()[0]
    assert len(call("list", "runs").out.splitlines()) == 2  # a heading, and one matrix whatever its seeds
    assert call("table").out.split("# kdbench", 1)[1] in ended.out
    again = call("run", *job, "--no-track", "-j", "1")
    assert again.code == 0
    assert "0 to run" in again.err


@pytest.mark.slow
def test_a_pause_between_two_rounds_holds_for_the_next_one(where: Runtime) -> None:
    store, seen = Store(where.store), list[int]()

    def resume() -> None:
        for _ in range(2):
            time.sleep(1)
            seen.append(len(store.digests()))
        ask(store, "resume")

    waiting = threading.Thread(target=resume)

    def say(line: str) -> None:
        if line.endswith("; more are added"):
            assert "paused: " in ask(store, "pause")
            waiting.start()

    job = Selection(
        datasets=("synthetic(people=12, windows=2, length=32)",),
        pairs=("mlp(hidden=16):mlp(hidden=8)",),
        methods=("kd",),
        seeds="auto",
        max_seeds=4,
        settings=("recipe.epochs=1",),
    )
    ran = Session(job, where, say=say).run(jobs=1, track=False)
    waiting.join()
    assert ran.exit_code == 0
    assert seen == [9, 9]  # three seeds of three cells
    assert len(store.digests()) == 12


def test_the_matrix_is_the_same_with_however_many_seeds_where_they_are_added() -> None:
    matrix = Selection(seeds="auto").matrix()
    assert (matrix.seeds, matrix.max_seeds) == ((0, 1, 2), 12)
    more = replace(matrix, seeds=tuple(range(7)))
    assert identity_of(more) == identity_of(matrix)
    assert Matrix.from_plain(more.plain()) == replace(more, fallback=more.fallback)
    stated = Selection(seeds="3").matrix()
    assert identity_of(stated) != identity_of(matrix)
    assert "max_seeds" not in stated.plain()


@pytest.mark.parametrize(("seeds", "budget"), [(None, 5), ("3", 5), ("auto", 1)])
def test_a_budget_that_means_nothing_is_refused(seeds: str | None, budget: int) -> None:
    with pytest.raises(KdbenchError, match=r"a budget of \d seeds came"):
        Selection(seeds=seeds, max_seeds=budget).matrix()


@pytest.mark.parametrize(
    ("wanted", "seeds", "budget", "more"),
    [(4.2, 3, 12, 5), (50, 3, 12, 6), (float("inf"), 8, 12, 12), (3.0, 3, 12, 4), (9, 5, 6, 6)],
)
def test_as_many_are_added_as_the_variance_asks_for_but_never_more_than_as_many_again(
    wanted: float, seeds: int, budget: int, more: int
) -> None:
    assert _next(Need(0.5, wanted), seeds, budget) == more

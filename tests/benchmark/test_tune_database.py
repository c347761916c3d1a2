"""A search that several machines share: on a PostgreSQL of its own, which the tests start and stop."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kdbench.commands.studies import kept_studies
from kdbench.tune.ledger import Ledger

TRIALS = 6
TUNE = ("tune", "-d", "synthetic(people=3, windows=2, length=32)", "-p", "resnet_lstman(width=0.05):mlp(hidden=16)")
TUNE += ("-m", "student_aux", "--no-teacher", "-S", "recipe.epochs=1", "-S", "recipe.batch_size=16")
TUNE += ("--trials", str(TRIALS), "-j", "1")


def trials_of(store: Path, storage: str | None) -> dict[str, list[tuple[Any, ...]]]:
    with kept_studies(store, storage) as studies:
        return {study.name: [(t.number, t.settings, t.state, t.value) for t in study.trials()] for study in studies}


@pytest.mark.slow
def test_two_machines_share_a_search_and_one_of_them_dies(
    database: str, forks: Any, call: Any, store: Path, tmp_path: Path
) -> None:
    """Machines are processes with stores of their own; a third one is killed in the middle of a trial."""
    assert call(*TUNE, "-o", tmp_path / "serial.toml").code == 0
    shared = (*TUNE, "--storage", database)
    stores = [tmp_path / name for name in ("one", "two", "three")]
    presets = [tmp_path / f"{path.name}.toml" for path in stores]
    machines = [
        forks.begin(*shared, "--store", path, "-o", preset) for path, preset in zip(stores, presets, strict=True)
    ]
    dying = machines.pop()
    time.sleep(1.5)
    dying.kill(signal.SIGKILL)
    dying.wait()
    ended = [machine.wait() for machine in machines]
    assert [each.code for each in ended] == [0, 0], [each.err for each in ended]
    assert trials_of(store, database) == trials_of(store, None)
    told = Counter(line for each in ended for line in each.err.splitlines() if ": trial " in line)
    assert set(told.values()) == {1}, "a trial was told twice"
    assert presets[0].read_text() == presets[1].read_text() == (tmp_path / "serial.toml").read_text()
    status = call("tune", "status", "--storage", database).out
    assert status.count(f"{TRIALS}/{TRIALS} trials, best") == 2


OPENED = """
from kdbench.tune.ledger import Ledger
ledger = Ledger({!r})
ledger.study("one")
ledger.close()
"""


def studies_of(url: str) -> list[str]:
    with closing(Ledger(url)) as ledger:
        return ledger.names()


@pytest.mark.slow
def test_several_begin_on_an_empty_database_at_once_and_some_of_them_are_killed(
    forks: Any, empty: Callable[[], str]
) -> None:
    moments = Random(14)
    for _ in range(4):
        url = empty()
        begun = [forks.start(OPENED.format(url)) for _ in range(5)]
        for process in begun[:2]:
            time.sleep(moments.uniform(0, 0.2))
            process.kill(signal.SIGKILL)
        ended = [process.wait() for process in begun][2:]
        assert [each.code for each in ended] == [0] * 3, [each.err for each in ended]
        assert studies_of(url) == ["one"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "left",
    [
        "DROP TABLE alembic_version; DELETE FROM version_info",
        "DROP TABLE alembic_version",
        "DELETE FROM alembic_version",
        "DROP TABLE trial_heartbeats",
    ],
)
def test_tables_that_were_left_half_made_are_completed(database: str, left: str) -> None:
    assert studies_of(database) == []
    run_in(database, left)
    assert studies_of(database) == []


def run_in(url: str, statements: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements.encode())


@pytest.mark.slow
def test_a_database_of_another_program_or_another_optuna_is_refused_and_left_as_it_is(
    empty: Callable[[], str], call: Any
) -> None:
    theirs, older = empty(), empty()
    run_in(theirs, "CREATE TABLE alembic_version (version_num text)")
    for _ in range(2):
        refused = call("tune", "status", "--storage", theirs)
        assert refused.code == 2
        assert "is another program's, such as MLflow's; give one of its own" in refused.error
    assert studies_of(older) == []
    run_in(older, "UPDATE alembic_version SET version_num = 'v3.0.0.a'")
    assert "tables of another Optuna (v3.0.0.a, wanted " in call("tune", "status", "--storage", older).error


def test_a_server_that_is_not_there_is_one_line(call: Any) -> None:
    pytest.importorskip("psycopg")
    ended = call(*TUNE, "--storage", "postgresql://kd@127.0.0.1:1/postgres")
    assert ended.code == 2
    assert ended.error.startswith("--storage: ")
    assert "127.0.0.1" in ended.error

"""A search that several machines share: on a PostgreSQL of its own, which the tests start and stop."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kdbench.commands.studies import kept_studies

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
    assert call("tune", "status", "--storage", database).code == 2  # nothing is tuned yet; the tables are made, by one
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


def test_a_server_that_is_not_there_is_one_line(call: Any) -> None:
    pytest.importorskip("psycopg")
    ended = call(*TUNE, "--storage", "postgresql://kd@127.0.0.1:1/postgres")
    assert ended.code == 2
    assert ended.error.startswith("--storage: ")
    assert "127.0.0.1" in ended.error

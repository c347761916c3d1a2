"""Stores of a kdbench whose cells were known by more than their numbers depend on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdbench.store.records import Store
from kdbench.store.upgrade import upgrade

NAMES = {"name": "quick(epochs=4, batch_size=16)", "note": "a first look, not for publication"}


def old_cell(cell: dict[str, Any], digests: dict[str, str]) -> dict[str, Any]:
    """A cell as it was once written: with its recipe's name and note, and without its dataset's own name."""
    old = {key: value for key, value in cell.items() if key != "dataset_name"}
    teacher = cell["teacher_cell"]
    return {**old, "recipe": {**cell["recipe"], **NAMES}, "teacher_cell": teacher and digests[teacher]}


def old_digest(cell: dict[str, Any]) -> str:
    text = json.dumps(cell, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@pytest.fixture
def old(copy: Path, cells: Callable[[Path], list[Path]]) -> dict[str, str]:
    """Turns this test's store into an old one; today's digests to those of then."""
    contents = {path.name: json.loads((path / "record.json").read_text()) for path in cells(copy)}
    digests: dict[str, str] = {}
    for digest in sorted(contents, key=lambda digest: contents[digest]["cell"]["teacher_cell"] is not None):
        content = contents[digest]
        cell = old_cell(content["cell"], digests)
        digests[digest] = old_digest(cell)
        then = {**content, "cell": cell, "digest": digests[digest], "sources": {"loop": "0123456789abcdef"}}
        for younger in ("files", "teacher_weights", "check"):
            del then[younger]
        (copy / digest / "record.json").write_text(json.dumps(then))
        (copy / digest).rename(copy / digests[digest])
    for path in (copy / "plans").glob("*.json"):
        plan = json.loads(path.read_text())
        plan["cells"] = {digests[key]: old_cell(cell, digests) for key, cell in plan["cells"].items()}
        for place in plan["places"]:
            place["digest"] = digests[place["digest"]]
            place["part"] = place.pop("role")
        del plan["warning"]
        path.write_text(json.dumps(plan))
    return digests


def test_an_old_store_is_read_as_it_is_and_what_cannot_be_told_is_said_once(
    call: Callable[..., Any], copy: Path, old: dict[str, str]
) -> None:
    status = call("status")
    assert status.code == 0
    assert status.out.count("1 done") == len(old)
    assert status.out.count("made by an older kdbench") == 1
    assert "stale" not in status.out
    table = call("table").out
    assert "4 runs: " not in table.splitlines()[0]
    assert table.count("older kdbench") == 2  # a caption for each metric
    assert "†" not in table
    figure = copy / "gain.svg"
    assert call("plot", "-o", figure).code == 0


def test_an_upgrade_gives_the_cells_their_names_of_today_and_trains_nothing(
    call: Callable[..., Any], copy: Path, done: Path, old: dict[str, str], job: Any, cells: Any
) -> None:
    before = call("table", "--format", "csv").out
    told = call("store", "upgrade", "--dry-run").out
    assert told.startswith(f"{len(old)} cells would be renamed, 0 dropped as doubles of others, 0 left under old names")
    assert {path.name for path in cells(copy)} == set(old.values())
    assert call("store", "upgrade").out.startswith(f"{len(old)} cells renamed, 0 dropped")
    assert [path.name for path in cells(copy)] == [path.name for path in cells(done)]
    for digest in old:
        record, original = Store(copy).record(digest), Store(done).record(digest)
        assert record is not None
        assert original is not None
        assert (record.digest, record.cell, record.metrics) == (digest, original.cell, original.metrics)
    after = call("table", "--format", "csv").out
    for today, then in old.items():
        before = before.replace(then, today)
    assert after == before
    assert " 4 done before;" in call("run", *job, "--no-track", "-j", 1).err
    assert call("store", "upgrade").out.startswith("0 cells renamed")


@pytest.mark.parametrize("step", range(1, 14))
def test_an_upgrade_that_was_killed_anywhere_goes_on(
    step: int, call: Callable[..., Any], copy: Path, done: Path, old: dict[str, str], cells: Any
) -> None:
    steps = 0

    def counted(real: Any) -> Any:
        def act(*args: Any, **named: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == step:
                raise KeyboardInterrupt
            return real(*args, **named)

        return act

    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "replace"):
            patch.setattr(os, name, counted(getattr(os, name)))
        with contextlib.suppress(KeyboardInterrupt, AssertionError):
            upgrade(Store(copy))
    assert call("store", "upgrade").code == 0
    assert [path.name for path in cells(copy)] == [path.name for path in cells(done)]
    for digest in old:
        record = Store(copy).record(digest)
        assert record is not None
        assert record.digest == digest
    assert all(digest in call("table", "--format", "csv").out for digest in old)


def test_two_old_cells_that_are_one_today_are_joined_where_they_agree_and_refused_where_not(
    call: Callable[..., Any], copy: Path, old: dict[str, str], cells: Any
) -> None:
    then = old[next(iter(old))]
    for number, change in enumerate(({}, {"facts": {"other": 1.0}})):
        content = json.loads((copy / then / "record.json").read_text())
        recipe = {**content["cell"]["recipe"], "name": f"mine{number}"}
        content["cell"] = {**content["cell"], "recipe": recipe}
        content |= {"digest": old_digest(content["cell"]), **change}
        (copy / content["digest"]).mkdir()
        (copy / content["digest"] / "record.json").write_text(json.dumps(content))
    plan = next((copy / "plans").glob("*.json"))
    left = json.loads(plan.read_text())  # another matrix, whose teacher is the cell that will be refused
    text = json.dumps(left).replace(then, content["digest"])
    (copy / "plans" / "other-00000000.json").write_text(text)
    told = call("store", "upgrade").out.splitlines()
    assert told[0] == f"{len(old)} cells renamed, 1 dropped as doubles of others, 1 left under old names"
    kept = json.loads((copy / "plans" / "other-00000000.json").read_text())
    assert content["digest"] in kept["cells"]  # the refused cell is not taken for the one with other numbers
    assert next(iter(old)) not in kept["cells"]
    assert "the same name today and other numbers" in told[1]
    assert len(cells(copy)) == len(old) + 1


def test_cells_whose_data_were_known_by_their_place_are_left_and_so_are_their_students(
    call: Callable[..., Any], copy: Path, old: dict[str, str]
) -> None:
    for path in copy.glob("*/record.json"):
        content = json.loads(path.read_text())
        content["cell"]["dataset"] = {"name": "own", "settings": {"path": "study"}, "version": 2}
        path.write_text(json.dumps(content))
    told = call("store", "upgrade").out.splitlines()
    assert told[0] == f"0 cells renamed, 0 dropped as doubles of others, {len(old)} left under old names"
    assert sum("known by what it calls itself now" in line for line in told) == 3
    assert sum("its teacher" in line for line in told) == 1


def test_a_store_that_is_not_there_is_named(call: Callable[..., Any], store: Path) -> None:
    ended = call("store", "upgrade")
    assert (ended.code, ended.error) == (2, f"there is no store {store} (--store, KDBENCH_STORE)")

"""Stores of several machines made one; what nobody asks for found and removed; cells run again and compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdbench.store.records import Store

SEEDS = ("--seeds", "2", "--no-track", "-j", "1")


@pytest.fixture
def shards(call: Callable[..., Any], sizes: Any, tmp_path: Path) -> list[Path]:
    """Two stores of which each has a part of a matrix."""
    stores = [tmp_path / "one", tmp_path / "two"]
    for number, store in enumerate(stores, 1):
        ended = call("run", *sizes, "-m", "kd", "-m", "hmkd", *SEEDS, "--shard", f"{number}/2", "--store", store)
        assert ended.code == 0, ended.err
    return stores


def test_parts_that_were_run_apart_are_merged_to_what_one_run_gives(
    call: Callable[..., Any], sizes: Any, shards: list[Path], tmp_path: Path, store: Path
) -> None:
    merged = tmp_path / "merged"
    assert "8 cells would be copied" in call("merge", *shards, "--store", merged, "--dry-run").out
    assert not merged.exists()
    ended = call("merge", *shards, "--store", merged)
    assert ended.code == 0, ended.err
    assert ended.out.startswith("8 cells copied to ")
    again = call("merge", *shards, "--store", merged).out
    assert again.startswith("0 cells copied to ")
    whole = ("run", *sizes, "-m", "kd", "-m", "hmkd", *SEEDS)
    assert "8 cells, 8 done before; 0 to run" in call(*whole, "--store", merged).err, "nothing is trained again"
    assert call(*whole, "--store", store).code == 0
    tables = [call("table", "--format", "csv", "--store", each).out for each in (merged, store)]
    assert tables[0] == tables[1]
    for digest in Store(store).digests():
        one, other = Store(store).record(digest), Store(merged).record(digest)
        assert one
        assert other
        assert one.files == other.files, "weights, predictions and curves to the byte"
        assert one.metrics == other.metrics


def test_two_results_of_one_cell_are_refused_and_what_differs_is_said(
    call: Callable[..., Any], shards: list[Path], tmp_path: Path
) -> None:
    digest = next(each for each in Store(shards[0]).digests() if each not in Store(shards[1]).digests())
    shutil.copytree(shards[0] / digest, shards[1] / digest)
    path = shards[1] / digest / "record.json"
    plain = json.loads(path.read_text())
    plain["metrics"]["student"]["accuracy"] = 0.125
    del plain["check"]  # as a record of an older kdbench, whose numbers nothing protects
    path.write_text(json.dumps(plain))
    ended = call("merge", *shards, "--store", tmp_path / "merged")
    assert ended.code == 2
    assert f"{digest}: {shards[0]} and {shards[1]}: metrics differ (accuracy " in ended.err
    assert " and 12.50; macro_f1 " in ended.err
    assert "nothing was copied" in ended.err
    assert not Store(tmp_path / "merged").digests()


def test_a_damaged_cell_is_not_merged(call: Callable[..., Any], shards: list[Path], tmp_path: Path) -> None:
    digest = Store(shards[0]).digests()[0]
    weights = shards[0] / digest / "student.pt"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    ended = call("merge", *shards, "--store", tmp_path / "merged")
    assert ended.code == 2
    assert "student.pt is damaged" in ended.err


@pytest.mark.parametrize(("other", "wanted"), [("nothing", "is no folder"), (".", "the store that is merged into")])
def test_what_is_no_other_store_is_refused(call: Callable[..., Any], copy: Path, other: str, wanted: str) -> None:
    ended = call("merge", copy / other if other != "." else copy)
    assert ended.code == 2
    assert wanted in ended.err


def test_what_no_matrix_names_is_shown_and_removed_only_when_asked(
    call: Callable[..., Any], sizes: Any, copy: Path
) -> None:
    assert call("run", *sizes, "-m", "kd", "--no-track", "-j", "1").code == 0
    cells = Store(copy).digests()
    for plan in (copy / "plans").glob("*.json"):
        if len(json.loads(plan.read_text())["cells"]) == 4:  # the matrix of all four, with hmkd
            plan.unlink()
    (copy / ("0" * 20)).mkdir()
    (copy / ("0" * 20) / "checkpoint.pt").write_bytes(b"half")
    shown = call("gc")
    assert shown.code == 0
    assert "left by a run that was stopped" in shown.out
    assert "no matrix that was run here names it" in shown.out
    assert "nothing was removed, --remove does it" in shown.out
    assert Store(copy).digests() == cells
    assert "removed" in call("gc", "--remove").out
    assert len(Store(copy).digests()) == 3
    assert call("gc").out.endswith("0 things, 0.0 MB\n")
    assert "3 cells: 3 done (100 %)" in call("status").out


@pytest.mark.slow
def test_a_cell_that_is_run_again_beside_the_store_is_the_same_or_is_named(
    call: Callable[..., Any], job: Any, copy: Path
) -> None:
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    ended = call("verify", "--sample", 9)
    assert ended.code == 0, ended.err
    assert ended.err.count("the same, bit for bit") == 4
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    digest = Store(copy).digests()[0]
    path = copy / digest / "record.json"
    plain = json.loads(path.read_text())
    plain["metrics"]["student"]["accuracy"] = 0.125
    del plain["check"]
    path.write_text(json.dumps(plain))
    ended = call("verify", digest[:12])
    assert ended.code == 1
    assert "metrics differ (accuracy 12.50 and " in ended.err


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("verify",), "give the cells, or how many are to be drawn"),
        (("verify", "zz"), "no cell in "),
        (("logs", ""), "no cell in "),
        (("logs", "zz"), "`kdbench plan --cells` lists the digests"),
    ],
)
def test_cells_that_cannot_be_meant_are_refused(
    call: Callable[..., Any], copy: Path, words: tuple[str, ...], wanted: str
) -> None:
    ended = call(*words)
    assert ended.code == 2
    assert wanted in ended.err


def test_logs_show_what_was_kept_or_say_why_there_is_nothing(call: Callable[..., Any], copy: Path) -> None:
    digest = Store(copy).digests()[0]
    assert "printed nothing that was kept" in call("logs", digest[:8]).err
    (copy / digest / "log.txt").write_bytes(b"a line\n\xff\n")
    assert call("logs", digest[:8]).out == "a line\n\ufffd\n"
    assert call("logs", digest[:8], "--follow").out == "a line\n\ufffd\n"
    assert f"{digest} has no traceback" in call("logs", digest[:8], "--last-error").err
    (copy / digest / "traceback.txt").write_text("Traceback\n")
    assert call("logs", digest[:8], "--last-error").out == "Traceback\n"

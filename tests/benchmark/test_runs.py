"""The matrices of a store: listed, named, and not taken for each other."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TINY = ("-d", "synthetic(people=4, windows=1, length=16)", "-p", "mlp(hidden=8):mlp(hidden=4)", "-S", "recipe.epochs=1")
RUN = ("--no-track", "-j", 1)


def identity(root: Path, name: str) -> str:
    (path,) = (root / "matrices").glob(f"{name}-*.json")
    return path.stem


@pytest.mark.slow
def test_the_matrices_of_a_store_are_listed_and_any_is_named(call: Callable[..., Any], store: Path) -> None:
    assert call("run", *TINY, "-m", "kd", "--name", "first", *RUN).code == 0
    assert call("run", *TINY, "-m", "dkd", "--name", "second", *RUN).code == 0
    listed = call("list", "runs").out.splitlines()
    assert re.split(r"\s{2,}", listed[0]) == ["name", "id (--matrix)", "cells done", "run last"]
    assert [line.split()[:2] for line in listed[1:]] == [[n, identity(store, n)] for n in ("second", "first")]
    assert all("3 of 3" in line for line in listed[1:])
    assert "| kd " in call("table", "--matrix", "first").out
    assert "| dkd " in call("table").out
    assert call("status", "--matrix", identity(store, "first")).out.startswith(f"first in {store}: 3 ")
    assert call("plan", "--matrix", "first").out.startswith("first: 3 cells, 3 done, 0 to run")
    again = call("run", "--matrix", "first", *RUN)
    assert (again.code, "first: 3 cells, 3 done before;" in again.err) == (0, True)
    assert "| kd " in call("table").out


@pytest.mark.slow
def test_the_json_that_a_store_holds_is_a_matrix(call: Callable[..., Any], store: Path) -> None:
    assert call("run", *TINY, "-m", "kd", "--name", "first", *RUN).code == 0
    (path,) = (store / "matrices").glob("*.json")
    assert call("plan", "-c", path).out.startswith("first: 3 cells, 3 done, 0 to run")
    assert call("run", "-c", path, *RUN).code == 0
    assert len(list((store / "matrices").iterdir())) == 1
    path.write_text("[]")
    assert call("plan", "-c", path).err.startswith(f"error: {path}: wanted a table")


@pytest.mark.slow
def test_a_copied_store_shows_the_matrix_that_was_run_last(
    call: Callable[..., Any], store: Path, tmp_path: Path
) -> None:
    for name in ("zulu", "alfa"):
        assert call("run", *TINY, "-m", "kd", "--name", name, *RUN).code == 0
    copied = tmp_path / "copied"
    shutil.copytree(store, copied)
    for age, path in enumerate(sorted((copied / "matrices").iterdir())):
        os.utime(path, (age, age))
    assert call("status", "--store", copied).out.startswith("alfa in ")


@pytest.mark.slow
def test_another_matrix_that_is_not_finished_is_named(call: Callable[..., Any], store: Path) -> None:
    assert call("run", *TINY, "-m", "kd", "--name", "study", *RUN).code == 0
    (record, *_) = store.glob("*/record.json")
    record.unlink()
    other = call("run", *TINY, "-m", "kd", *RUN)
    assert f"the matrix run last here, {identity(store, 'study')}, has 2 of 3 cells done" in other.err
    assert f"`kdbench run --matrix {identity(store, 'study')}` goes on with it" in other.err
    assert "run last here" not in call("run", *TINY, "-m", "kd", *RUN).err


def test_two_ways_to_say_which_matrix_are_one_too_many(call: Callable[..., Any], copy: Path) -> None:
    assert call("plan", "-c", "quick", "--matrix", "quick").error.startswith("-c and --matrix both say which matrix")
    assert call("status", "--matrix", "quik").error.startswith("no 'quik' in the matrices run in ")
    assert call("run", "--name", "a/b", "-d", "synthetic").error.startswith("name 'a/b' is not 1 to 80 letters")
    assert call("list", "runs", "--store", copy / "nothing").error.startswith("no matrix was run in ")


def test_a_matrix_of_a_store_that_cannot_be_read_is_named(call: Callable[..., Any], copy: Path) -> None:
    (path,) = (copy / "matrices").iterdir()
    plain = json.loads(path.read_text())
    for content in (
        "[]",
        "",
        "[" * 100_000,
        json.dumps({**plain, "run_at": "yesterday"}),
        json.dumps({**plain, "run_at": 7}),
    ):
        path.write_text(content)
        assert call("status").error.startswith(f"{path}: ")

"""What the commands show and say when all is well."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import kdbench
from kdbench.catalog.find import NETWORKS
from kdbench.costs.counting import multiply_adds, parameters
from kdbench.machine import Runtime
from kdbench.provenance.environment import device_name
from kdbench.session import Session, runtime
from kdbench.spec.matrix import Matrix
from kdbench.spec.selection import Selection
from kdbench.store.records import Store

CONSOLE = str(Path(sys.executable).with_name("kdbench"))


def test_a_first_run_trains_and_shows_a_table_and_a_second_trains_nothing(
    call: Callable[..., Any], job: Any, store: Path, same: Callable[[Path], None], cells: Any
) -> None:
    planned = call("plan", *job, "--cells")
    assert planned.code == 0
    assert "4 cells, 0 done, 4 to run\n" in planned.out
    assert planned.out.count("  to run  ") == 4
    assert not store.exists()
    first = call("run", *job, "--no-track", "-j", 1)
    assert first.code == 0, first.err
    for row in ("teacher alone", "student alone", "kd", "hmkd"):
        assert f"| {row} " in first.out
    assert [line[:5] for line in first.err.splitlines() if line.startswith("[")] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    same(store)
    planning = ("matrices", "plans")  # written again, so that the matrix is the one run last
    times = {path: path.stat().st_mtime_ns for path in store.glob("*/*") if path.parent.name not in planning}
    second = call("run", *job, "--no-track")
    assert second.code == 0
    assert second.out == first.out
    assert " 4 done before;" in second.err
    assert {path: path.stat().st_mtime_ns for path in store.glob("*/*") if path.parent.name not in planning} == times
    assert "4 cells, 4 done, 0 to run\n" in call("plan", *job).out


@pytest.mark.slow
def test_without_options_the_matrix_run_last_is_shown(call: Callable[..., Any], copy: Path, job: Any) -> None:
    table = call("table")
    assert table.code == 0
    assert table.err == ""
    assert table.out == call("table", *job).out
    assert call("status").out.splitlines()[0] == f"quick in {copy}: 4 cells: 4 done (100 %)"
    two = call("status", *job, "--seeds", 2).out.splitlines()[0]
    assert two == f"quick in {copy}: 8 cells: 4 done, 4 missing (50 %)"
    other = call("run", *job, "-S", "recipe.epochs=1", "--no-track", "-j", 1)
    assert other.code == 0
    assert call("table").out.strip() == other.out.strip()
    assert call("table", *job).out == table.out


def test_a_cell_that_was_stopped_is_shown_with_its_epoch(
    call: Callable[..., Any], copy: Path, job: Any, cells: Any
) -> None:
    digest = cells(copy)[0].name
    Store(copy).forget(digest)
    Store(copy).write_epoch(digest, 2)
    status = call("status", *job).out
    assert f"stopped: {digest} " in status
    assert "epoch 2/4\n" in status


def test_the_tidy_table_has_a_line_per_run_in_full_precision(call: Callable[..., Any], copy: Path, job: Any) -> None:
    shown = call("table", *job, "--format", "csv", "--metric", "accuracy", "--metric", "agreement")
    lines = list(csv.DictReader(io.StringIO(shown.out)))
    assert [line["row"] for line in lines] == ["teacher alone", "student alone", "kd", "hmkd"]
    for line in lines:
        record = Store(copy).record(line["digest"])
        assert record is not None
        assert float(line["accuracy"]) == record.metrics["student"]["accuracy"]
    wide = call("table", *job, "--format", "csv-wide")
    assert wide.out.splitlines()[1].startswith("macro_f1,")


def test_a_table_and_a_figure_go_into_files(
    call: Callable[..., Any], copy: Path, job: Any, tmp_path: Path, forks: Any
) -> None:
    table = call("table", *job, "-o", tmp_path / "table.md")
    assert (table.code, table.out) == (0, f"wrote {tmp_path / 'table.md'}\n")
    assert (tmp_path / "table.md").read_text() == call("table", *job).out
    figure = forks("plot", "-o", tmp_path / "gain.svg")
    assert (figure.code, figure.out) == (0, f"wrote {tmp_path / 'gain.svg'}\n")
    assert "<svg" in (tmp_path / "gain.svg").read_text()


def test_everything_is_listed_and_can_be_shown(call: Callable[..., Any]) -> None:
    every = call("list")
    assert every.code == 0
    kinds = [line[:-1] for line in every.out.splitlines() if line.endswith(":")]
    assert kinds == ["methods", "networks", "references", "datasets", "matrices", "pairs", "recipes", "protocols"]
    for kind in kinds:
        listed = call("list", kind)
        assert listed.out.strip() in every.out
        lines = listed.out.splitlines()
        for line in lines[1:] if lines[0].startswith("name ") else lines:  # a head of columns
            shown = call("show", line.split()[0])
            assert shown.code == 0
            assert shown.out.startswith(line.split()[0])
            assert len(shown.out.splitlines()) > 2


def test_a_matrix_file_is_shown_as_what_it_means(call: Callable[..., Any], tmp_path: Path, copy: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'datasets = ["uci_har", "hapt"]\npairs = ["resnet:mlp"]\nseeds = "0-2"\nmethods = ["kd"]\n'
        '[[method]]\nname = "hmkd"\nlabel = "own"\nrole = "tuned"\nsettings = {mid_weight = 0.5}\n'
    )
    shown = call("show", path).out
    assert shown.startswith(
        "mine (matrix)\n\n2 blocks of 4 rows, each at 3 seeds\n\ndatasets  uci_har\n          hapt\n"
    )
    assert "own = hmkd(role=tuned, mid_weight=0.5)\n" in shown
    assert "\nrecipe    har: epochs=" in shown
    (kept,) = (copy / "matrices").iterdir()
    assert call("show", kept).out.startswith("quick (matrix)\n")
    path.write_text("datasets = 3")
    assert call("show", path).error == f"{path}: 'pairs' is missing or empty"
    assert "built" not in call("show", "paper").out


def test_every_key_of_a_matrix_is_documented() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "matrix.md").read_text(encoding="utf-8")
    plain = Matrix.load("quick").plain()
    documented = set(re.findall(r"^\| `(?:\[\[)?(\w+)(?:\]\])?` \|", page, flags=re.MULTILINE))
    assert documented == {*plain, "methods", "fallback", "max_seeds", "preset", "teacher_gate", "teacher"}
    example = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)[0]
    matrix = Matrix.from_toml(example, "mine", "mine")
    assert [row.name for row in matrix.methods] == ["kd", "my_method.py", "hmkd, tuned"]


def test_no_student_of_the_first_look_is_larger_than_its_teacher() -> None:
    for teacher, student in Matrix.load("quick").pairs:
        big, small = (NETWORKS.get(spec.name)(9, 128, 6, **spec.settings) for spec in (teacher, student))
        assert parameters(small) < parameters(big)
        assert multiply_adds(small, 9, 128) < multiply_adds(big, 9, 128)


def test_settings_of_a_method_are_shown_with_their_limits(call: Callable[..., Any]) -> None:
    lines = [line.split() for line in call("show", "kd").out.splitlines()]
    assert ["temperature", "float", "4.0", "[0.1,", "100]", "search", "[1,", "10]", "log"] in lines


def test_the_recipe_and_a_method_are_set_from_the_command_line(call: Callable[..., Any], sizes: Any) -> None:
    plan = call("plan", *sizes, "-m", "kd", "-S", "kd.temperature=2", "--seeds", "0,3", "--recipe", "cpu").out
    assert "recipe cpu(epochs=4, batch_size=16), seeds 0,3\n" in plan
    assert "  kd(temperature=2.0): 0 of 2 done\n" in plan


def test_a_shipped_matrix_can_be_given_by_name_or_as_a_file(call: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'datasets = ["synthetic(people=4, windows=1, length=16)"]\npairs = ["mlp(hidden=8):mlp(hidden=4)"]\nseeds = 2\n'
        'methods = ["kd"]\n[[method]]\nname = "kd"\nlabel = "hot"\nsettings = {temperature = 50}\n'
        '[recipe]\nname = "mine"\nepochs = 1\n'
    )
    plan = call("plan", "-c", path).out
    assert plan.startswith("mine: 8 cells, 0 done, 8 to run\nprotocol subject-v1, recipe mine, seeds 0-1\n")
    assert "  hot: 0 of 2 done\n" in plan


def test_python_can_do_what_the_command_line_does(where: Runtime, selection: Selection, done: Path) -> None:
    assert kdbench.Session is Session
    assert kdbench.Selection is Selection
    with pytest.raises(AttributeError, match="no attribute 'Sesion'"):
        kdbench.Sesion  # noqa: B018
    session = Session(selection, runtime(store=done, cache=where.cache))
    assert "| hmkd " in session.table("markdown", ("macro_f1",))


@pytest.mark.slow
def test_random_streams_and_threads_of_the_caller_are_left_alone(
    where: Runtime, selection: Selection, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(7)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    few = Selection(**{**vars(selection), "methods": ("kd",), "settings": ("recipe.epochs=1", "recipe.batch_size=16")})
    assert Session(few, where, say=lambda line: None).run(jobs=1, track=False).exit_code == 0
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


LIGHT = """
import contextlib, io, sys
sys.argv = ["kdbench", *{arguments!r}]
from kdbench.cli import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as out:
    main()
assert "kdbench" in out.getvalue()
print(sorted({{"torch", "numpy", "pandas", "mlflow", "optuna", "matplotlib", "rich"}} & set(sys.modules)))
"""


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = LIGHT.format(arguments=arguments)
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


@pytest.mark.parametrize("command", [[CONSOLE], [sys.executable, "-m", "kdbench"]])
def test_the_installed_command_runs(cache: Path, copy: Path, command: list[str]) -> None:
    env = {**os.environ, "KDBENCH_CACHE": str(cache), "KDBENCH_STORE": str(copy)}
    shown = subprocess.run([*command, "status"], capture_output=True, text=True, env=env, check=False)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"quick in {copy}: 4 cells: 4 done (100 %)\n")


BARE = """
import sys
for name in ("mlflow", "optuna", "rich", "pooch", "pandas", "seaborn", "matplotlib", "sklearn"):
    sys.modules[name] = None  # as if it were not installed
from kdbench.cli import main

def kdbench(*args):
    print("$", *args, file=sys.stderr)
    try:
        main.main(args=list(args))
    except SystemExit as end:
        print("=", end.code, file=sys.stderr)

job = {job!r}
kdbench("plan", *job)
kdbench("run", *job, "--no-track", "-j", "1")
kdbench("run", *job)
kdbench("status")
kdbench("table")
kdbench("run", *job, "-j", "2", "--seeds=2")
kdbench("ui")
kdbench("track", "rebuild")
"""


@pytest.mark.slow
def test_without_the_packages_that_are_not_needed_everything_else_works(
    job: Any, cache: Path, store: Path, same: Callable[[Path], None]
) -> None:
    env = {**os.environ, "KDBENCH_CACHE": str(cache), "KDBENCH_STORE": str(store)}
    code = BARE.format(job=list(job))
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    codes = [line[2:] for line in ended.stderr.splitlines() if line.startswith("= ")]
    assert codes == ["0", "0", "0", "0", "0", "0", "2", "2"], ended.stderr
    assert "mlflow is not installed: results are kept, not tracked" in ended.stderr
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert errors == ["error: mlflow is not installed (pip install mlflow); runs work without it, with --no-track"] * 2
    assert "Traceback" not in ended.stderr
    same(store)


def test_a_record_says_where_its_numbers_come_from(done: Path, cells: Any) -> None:
    for folder in cells(done):
        content = json.loads((folder / "record.json").read_text())
        assert content["status"] == "done"
        assert content["digest"] == folder.name
        assert content["versions"]["torch"] == torch.__version__
        assert content["device"] == device_name(torch.device("cpu"))
        assert set(content["sources"]) >= {"dataset", "method", "student"}
        assert content["cell"]["method"]["settings"].keys() >= (
            {"temperature", "alpha"} if content["cell"]["method"]["name"] == "kd" else set()
        )

"""What is printed comes out, or is given up in a line: other encodings, closed, full and broken streams, odd names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kdbench.cli._output import SIGNS

IN = """
import sys
for stream in (sys.stdout, sys.stderr):
    stream.reconfigure(encoding={encoding!r}, errors="strict")
import kdbench.cli
sys.argv[1:] = {args!r}
kdbench.cli.main()
"""
NEITHER = ["ascii", "cp1252", "latin-1", "shift_jis"]


def printed(forks: Any, encoding: str, *args: str) -> Any:
    return forks.start(IN.format(encoding=encoding, args=list(map(str, args))))


def python(*args: str, env: dict[str, str], shell: str = "") -> subprocess.CompletedProcess[bytes]:
    """The command line in a Python of its own, with redirections of a shell."""
    command = [sys.executable, "-m", "kdbench", *args]
    if shell:
        command = ["sh", "-c", f'"$@" {shell}', "sh", *command]
    return subprocess.run(command, env={**os.environ, **env}, capture_output=True, check=False)


@pytest.mark.parametrize("encoding", NEITHER)
@pytest.mark.parametrize("command", [["table"], ["plan", "-m", "kd"], ["status"], ["list"], ["show", "kd"]])
def test_no_command_fails_on_a_sign_that_an_encoding_lacks(
    command: list[str], encoding: str, forks: Any, copy: Path
) -> None:
    ended = printed(forks, encoding, *command)
    log = ended.log
    code = forks.ask({"wait": ended.pid})
    forks.running.discard(ended.pid)
    assert code == 0, log.with_suffix(".err").read_bytes()
    assert log.with_suffix(".out").read_bytes().decode(encoding)
    assert b"Traceback" not in log.with_suffix(".err").read_bytes()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_run_prints_its_table_with_what_there_is_of_signs(encoding: str, forks: Any, copy: Path, job: Any) -> None:
    process = printed(forks, encoding, "run", *job, "-j", "1", "--no-track")
    code = forks.ask({"wait": process.pid})
    forks.running.discard(process.pid)
    out = process.log.with_suffix(".out").read_bytes().decode(encoding)
    assert code == 0
    assert "student alone" in out
    assert ("–" in out) == (encoding == "cp1252")


@pytest.mark.parametrize("env", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1252"}, {"LC_ALL": "C"}])
def test_a_table_in_a_file_is_utf_8_and_on_a_pipe_what_python_was_told(
    env: dict[str, str], copy: Path, tmp_path: Path
) -> None:
    env = {"PYTHONIOENCODING": "", **env, "KDBENCH_STORE": str(copy), "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    shown = python("table", env=env)
    assert shown.returncode == 0, shown.stderr
    assert "student alone" in shown.stdout.decode(env["PYTHONIOENCODING"] or "ascii")
    written = python("table", "-o", str(tmp_path / "é.md"), env=env)
    assert written.returncode == 0, written.stderr
    assert "–" in (tmp_path / "é.md").read_text(encoding="utf-8")


def test_every_sign_has_a_plain_one_and_the_rest_is_escaped() -> None:
    for plain in SIGNS.values():
        assert plain.isascii()
    code = "from kdbench.cli._output import echo, prepare; prepare(); echo('±↓†× é \\u6bd4 \\udcff', nl=False)"
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    assert done.stdout == rb"+-v+x \xe9 \u6bd4 \xff"


FULL = "/dev/full"


@pytest.mark.skipif(not Path(FULL).exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("shell", ["2>&-", "2>/dev/full", ">/dev/full", "<&- >&- 2>&-"])
def test_a_run_whose_output_is_closed_or_full_ends_as_its_cells_do(shell: str, copy: Path, job: Any) -> None:
    env = {"KDBENCH_STORE": str(copy)}
    ended = python("run", *map(str, job), "-j", "1", "--no-track", env=env, shell=shell)
    assert ended.returncode == 0, ended.stderr
    assert b"Traceback" not in ended.stderr
    if shell == ">/dev/full":
        assert b"the table could not be printed: No space left on device\n" in ended.stderr
        assert b"prints this again" in ended.stderr
    if ">&-" not in shell.split() and ">/dev/full" not in shell.split():
        assert b"student alone" in ended.stdout


@pytest.mark.slow
@pytest.mark.skipif(not Path(FULL).exists(), reason="there is no device that is always full")
def test_cells_are_trained_and_kept_where_nothing_can_be_said(
    store: Path, cache: Path, job: Any, same: Any, tmp_path: Path
) -> None:
    env = {"KDBENCH_STORE": str(store), "KDBENCH_CACHE": str(cache)}
    ended = python("run", *map(str, job), "-j", "2", "--no-track", env=env, shell=">/dev/full 2>&-")
    assert ended.returncode == 0
    same(store)
    assert not any(b"cells" in path.read_bytes() for path in store.glob("*/curve.csv"))  # no line went into a file


def test_what_only_prints_says_in_one_line_that_it_could_not(copy: Path) -> None:
    ended = python("table", env={"KDBENCH_STORE": str(copy)}, shell=">/dev/full")
    assert ended.returncode == 1
    assert ended.stderr == b"error: No space left on device\n"


def test_what_only_prints_to_a_closed_output_has_nothing_to_complain_of(copy: Path) -> None:
    ended = python("table", env={"KDBENCH_STORE": str(copy)}, shell=">&-")
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_reader_that_has_gone_is_no_error_to_speak_of(copy: Path) -> None:
    ended = python("table", env={"KDBENCH_STORE": str(copy)}, shell="| true; exec true")
    assert b"Traceback" not in ended.stderr
    assert b"Broken pipe" not in ended.stderr


def test_a_run_whose_reader_has_gone_still_tells_how_to_go_on(copy: Path, job: Any) -> None:
    env = {"KDBENCH_STORE": str(copy)}
    ended = python("run", *map(str, job), "-j", "1", "--no-track", env=env, shell="| true")
    assert b"prints this again" in ended.stderr
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize("option", ["error", "ignore,error::UserWarning"])
def test_warnings_of_others_end_no_command_where_python_is_told_to_raise_them(
    option: str, copy: Path, tmp_path: Path
) -> None:
    env = {"KDBENCH_STORE": str(copy), "PYTHONWARNINGS": option}
    for args in (["table"], ["plot", "-o", str(tmp_path / "gain.pdf")]):
        ended = python(*args, env=env)
        assert ended.returncode == 0, ended.stderr


ODD = os.fsdecode(b"r\xffn")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
@pytest.mark.parametrize(
    "args",
    [
        ["table", "--store", ODD],
        ["run", "-d", ODD],
        ["run", "-m", ODD],
        ["run", "-p", f"{ODD}:mlp"],
        ["run", "-c", ODD],
        ["run", "--seeds", ODD],
        ["run", "-S", f"{ODD}=1"],
        ["show", ODD],
        ["list", ODD],
        ["check", ODD],
        ["profile", ODD],
        ["data", "show", ODD],
        ["data", "show", f"own(path={ODD})"],
        ["data", "splits", "synthetic", "--protocol", ODD],
        ["table", "--format", ODD],
        ["table", "--metric", ODD],
        ["plot", "--metric", ODD],
        [ODD],
        [f"--{ODD}"],
    ],
    ids=lambda args: " ".join(args).replace(ODD, "odd"),
)
def test_a_name_that_is_no_text_is_refused_in_a_line(args: list[str], call: Any, copy: Path, forks: Any) -> None:
    ended = forks(*args)
    assert ended.code in (1, 2), ended.out
    assert "Traceback" not in ended.err
    assert re.search(r"r(\\xff|\\udcff|\N{REPLACEMENT CHARACTER})n", ended.err), ended.err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_files_and_folders_whose_names_are_no_text_are_worked_with(forks: Any, tmp_path: Path, job: Any) -> None:
    odd = tmp_path / ODD
    env = {"KDBENCH_STORE": str(odd / "runs"), "KDBENCH_CACHE": str(odd / "cache"), "HOME": str(odd), "USER": ODD}
    ended = forks("run", *job, "-j", 1, env=env)
    assert ended.code == 0, ended.err
    assert "cannot be written" not in ended.err
    assert (odd / "runs" / "mlflow.db").exists()
    assert forks("track", "rebuild", env=env).code == 0
    for args in (["table", "-o", odd / "t.md"], ["plot", "-o", odd / "g.png"], ["status"], ["plan", *job]):
        ended = forks(*args, env=env)
        assert ended.code == 0, ended.err
    made = {path.name for path in odd.iterdir() if not path.name.startswith(".")}  # others' caches are hidden
    assert made == {"cache", "g.png", "runs", "t.md"}

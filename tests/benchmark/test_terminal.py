"""What stands in a real terminal, and in a script of somebody's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")


@pytest.fixture
def environment(store: Path, cache: Path) -> dict[str, str]:
    return {**os.environ, "KDBENCH_STORE": str(store), "KDBENCH_CACHE": str(cache), "TERM": "xterm", "COLUMNS": "80"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_terminal_of_80_columns_shows_a_bar_the_count_and_the_time_left(
    jobs: int, environment: dict[str, str], job: list[str]
) -> None:
    import pty

    main, end = pty.openpty()
    command = [sys.executable, "-c", "from kdbench.cli import main; main()"]
    with subprocess.Popen(
        [*command, "run", *map(str, job), "--no-track", "-j", str(jobs)], env=environment, stdout=end, stderr=end
    ) as process:
        os.close(end)
        shown = b""
        while True:
            try:
                piece = os.read(main, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not piece:
                break
            shown += piece
    os.close(main)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert process.returncode == 0, text
    assert "Traceback" not in text
    assert re.search(r"[━╸╺]+ +[0-4]/4 +(about 0:\d\d:\d\d left|time left)", text)
    assert "Answer (macro-F1" in text


@pytest.mark.slow
def test_the_python_example_of_the_readme_runs_as_a_script(
    environment: dict[str, str], tmp_path: Path, job: list[str]
) -> None:
    example = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)[0]
    options = dict(zip(map(str, job[::2]), map(str, job[1::2]), strict=True))
    small = f"datasets=({options['-d']!r},), pairs=({options['-p']!r},), settings=({options['-S']!r},), "
    script = tmp_path / "example.py"
    script.write_text(example.replace("Selection(", f"Selection({small}").replace('seeds="3"', 'seeds="1"'))
    done = subprocess.run([sys.executable, script], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Answer (macro-F1" in done.stdout


@pytest.mark.slow
def test_a_script_needs_no_guard_for_its_workers(environment: dict[str, str], tmp_path: Path, job: list[str]) -> None:
    options = dict(zip(map(str, job[::2]), map(str, job[1::2]), strict=True))
    small = f"datasets=({options['-d']!r},), pairs=({options['-p']!r},), settings=({options['-S']!r},)"
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from kdbench import Selection, Session, runtime\n"
        f"Session(Selection({small}), runtime()).run(jobs=2, track=False)\nprint('once')\n"
    )
    done = subprocess.run([sys.executable, script], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines().count("once") == 1

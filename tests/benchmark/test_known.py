"""What is known of kdbench's own code is kept between processes, and never beyond a change of that code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kdbench
from kdbench.provenance import known
from kdbench.provenance.known import NAME, Known

ASK = """
import sys
from pathlib import Path
from kdbench.provenance import reach, sources
from kdbench.provenance.known import KNOWN

followed = []
reached = sources.reached_hash
sources.reached_hash = lambda *entries: followed.append(entries) or reached(*entries)
KNOWN.folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
print(sources._of(sources.METHOD_NAMES, "kd"), sources._of(sources.NETWORK_NAMES, "mlp"), len(followed))
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A folder with a copy of the package as it is installed."""
    rooms = {"kdbench": Path(kdbench.__path__[0])}
    for room in known.ELSEWHERE:
        module = __import__(f"kdbench.{room}", fromlist=["__path__"])
        rooms[f"kdbench/{room}"] = Path(module.__path__[0])
    for room, path in rooms.items():
        target = tmp_path / "code" / room
        shutil.copytree(path, target, ignore=shutil.ignore_patterns("published", "__pycache__"), dirs_exist_ok=True)
    return tmp_path / "code"


def asked(code: Path, *cache: Path) -> list[str]:
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(code)!r})\n{ASK}", *map(str, cache)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=code)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()


def test_an_answer_is_kept_until_the_code_changes(code: Path, tmp_path: Path) -> None:
    plain = asked(code)
    assert plain[2] == "2"
    assert asked(code, tmp_path) == plain  # found out, and kept
    assert asked(code, tmp_path) == [*plain[:2], "0"]
    kd = code / "kdbench" / "methods" / "kd.py"
    source = kd.read_text(encoding="utf-8")
    kd.write_text(f"{source}\n\nMORE = 1\n", encoding="utf-8")
    assert asked(code, tmp_path) == plain  # all is asked again, though nothing that is asked for changed
    kd.write_text(source.replace("1 - self.alpha", "2 - self.alpha"), encoding="utf-8")
    changed = asked(code, tmp_path)
    assert (changed[0] != plain[0], changed[1:]) == (True, plain[1:])
    assert changed == asked(code)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"code": 1}', '{"code": "CODE", "answers": 3}', "[" * 100_000])
def test_a_damaged_file_counts_for_nothing_and_is_written_again(text: str, tmp_path: Path) -> None:
    file = tmp_path / NAME
    file.write_text(text.replace("CODE", known._code()))
    asked = Known()
    asked.folder = tmp_path
    assert asked.answer("what", lambda: "this") == "this"
    assert json.loads(file.read_text())["answers"] == {"what": "this"}


def test_where_nothing_can_be_kept_the_answer_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for folder in (None, tmp_path / "file"):
        asked = Known()
        asked.folder = folder
        assert asked.answer("what", lambda: "this") == "this"

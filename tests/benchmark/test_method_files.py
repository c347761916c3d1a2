"""A method in a file of no package is run as one that is installed, and the store keeps what it was."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SOURCE = '''
"""A method of somebody's own."""

from typing import Annotated

from kdbench.architectures import Range
from kdbench.methods import Method, cross_entropy


class Mine(Method):
    """Cross-entropy, weighted."""

    kind = "logit"

    def __init__(self, setup, *, weight: Annotated[float, Range(0, 9)] = 1.0) -> None:
        super().__init__(setup)
        self.weight = weight

    def losses(self, batch, student, teacher):
        return {"hard": self.weight * cross_entropy(student.logits, batch.y)}
'''
TINY = ("-d", "synthetic(people=4, windows=2, length=16)", "-p", "mlp(hidden=8):mlp(hidden=4)")
TINY += ("-S", "recipe.epochs=1", "-S", "recipe.batch_size=8")
RUN = ("--no-track", "-j", 1)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_method_in_a_file_is_run_and_its_content_is_in_the_cell(
    jobs: int, forks: Any, mine: Path, store: Path
) -> None:
    run = ("run", *TINY, "-m", f"{mine}(weight=2)", "-m", "kd", "--no-track", "-j", jobs)
    ended = forks(*run)
    assert ended.code == 0, ended.err
    assert "| mine(weight=2.0) | logit " in ended.out
    (kept,) = store.glob("plugins/*/mine.py")
    assert kept.read_text() == SOURCE
    assert " 4 done before;" in forks(*run).err

    mine.write_text(SOURCE.replace("self.weight *", "0.5 * self.weight *"))
    assert " 3 done before; 1 to run;" in forks(*run).err  # another content, another cell


@pytest.mark.slow
def test_a_cell_of_a_file_can_be_run_again_when_the_file_is_gone(
    call: Callable[..., Any], mine: Path, store: Path
) -> None:
    first = call("run", *TINY, "-m", mine, *RUN)
    assert first.code == 0, first.err
    mine.unlink()
    (record,) = (p for p in store.glob("*/record.json") if '"mine@' in p.read_text())
    curve = (record.parent / "curve.csv").read_text()
    shutil.rmtree(record.parent)
    assert "  not begun: mine\n" in call("status").out
    again = call("run", "--matrix", "quick", *RUN)
    seconds = re.compile(r" *\d+\.\d s")  # of the training, which no two runs share
    assert (again.code, seconds.sub("", again.out)) == (0, seconds.sub("", first.out))
    assert (record.parent / "curve.csv").read_text() == curve
    assert "stale" not in call("status").out


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["changed", "absent"])
def test_a_store_whose_file_is_absent_or_changed_can_be_read(damage: str, forks: Any, mine: Path, store: Path) -> None:
    first = forks("run", *TINY, "-m", mine, *RUN)
    mine.unlink()
    (kept,) = store.glob("plugins/*/mine.py")
    if damage == "changed":
        kept.write_text(SOURCE + "1")
    else:
        shutil.rmtree(store / "plugins")
    status = forks("status").out
    assert "  mine: 1 done\n" in status
    assert "1 result made by an older kdbench, or by a plug-in that is not here" in status
    table = forks("table")
    assert table.code == 0
    assert next(line for line in first.out.splitlines() if line.startswith("| mine")) in table.out
    refused = forks("run", "--matrix", "quick", *RUN)
    assert refused.code == 2
    assert refused.error.endswith(" in methods is not here, or no longer of that content")


def test_a_file_in_a_matrix_is_labelled_and_set_as_any_method(
    call: Callable[..., Any], mine: Path, tmp_path: Path
) -> None:
    matrix = tmp_path / "own.toml"
    matrix.write_text(
        'datasets = ["synthetic(people=4, windows=2, length=16)"]\npairs = ["mlp(hidden=8):mlp(hidden=4)"]\n'
        f'recipe = {{name = "one", epochs = 1}}\n[[method]]\nname = "{mine}"\nlabel = "half"\n'
        f'settings = {{weight = 0.5}}\n[[method]]\nname = "{mine}"\n'
    )
    planned = call("plan", "-c", matrix).out
    assert planned.startswith("own: 4 cells, 0 done, 4 to run\n")
    assert "  half: 0 of 1 done\n" in planned
    assert "  mine: 0 of 1 done" in planned
    assert (
        call("plan", *TINY, "-m", mine, "-S", "mine.weight=3").out.rstrip().endswith("  mine(weight=3.0): 0 of 1 done")
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("absent.py", None, "there is no file "),
        ("syntax.py", "class Broken(:", "invalid syntax"),
        ("empty.py", "", "defines 0 public methods, wanted exactly one"),
        ("leaves.py", "raise SystemExit(0)", "cannot be imported: SystemExit(0)"),
        ("base.py", "raise BaseException('deep')", "cannot be imported: BaseException('deep')"),
        ("generator.py", "raise GeneratorExit", "cannot be imported: GeneratorExit()"),
        ("mute.py", "class E(Exception):\n    def __repr__(self): raise ValueError\nraise E", "be imported: E()"),
        ("lines.py", "class E(Exception):\n    def __repr__(self): return 'a\\nb'\nraise E", "imported: a b"),
        ("two words.py", SOURCE, "such a file is called by letters, digits and _"),
        ("a copy (1).py", SOURCE, "such a file is called by letters, digits and _"),
        ("made.py", SOURCE + "    def __init__(self, setup): raise SystemExit(0)\n", "cannot be made: SystemExit(0)"),
        ("notes.py", SOURCE + "    def notes(self): raise ValueError(1)\n", "cannot be made: ValueError(1)"),
        ("told.py", SOURCE + "    def notes(self): return 3\n", "cannot be made: TypeError("),
        ("folder.py", "/", "cannot read "),
    ],
)
def test_a_file_that_is_no_method_is_refused_in_a_line(
    call: Callable[..., Any], tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    path = tmp_path / name
    if content == "/":
        path.mkdir()
    elif content is not None:
        path.write_text(content)
    ended = call("run", *TINY, "-m", path, *RUN)
    assert ended.code == 2
    assert said in ended.error

"""A network in a file of no package is trained as one that is installed, and the store keeps what it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SOURCE = '''
"""A network of somebody's own."""

from typing import Annotated

from torch import nn

from kdbench.architectures import Backbone, Outputs, Range


class Own(Backbone):
    """One layer over the whole window."""

    family = "mlp"

    def __init__(self, channels, length, classes, *, width: Annotated[int, Range(1, 64)] = 6) -> None:
        super().__init__()
        self.layer = nn.Linear(channels * length, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        stage = self.layer(x.flatten(1)).relu()
        return Outputs(self.head(stage), (stage[:, :, None],), stage)
'''
TINY = (
    "-d",
    "synthetic(people=4, windows=2, length=16)",
    "-m",
    "kd",
    "-S",
    "recipe.epochs=1",
    "-S",
    "recipe.batch_size=8",
)
RUN = ("--no-track", "-j", 1)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.slow
def test_a_network_in_a_file_teaches_and_learns_in_workers_and_its_content_is_in_the_cell(
    forks: Any, own: Path, store: Path
) -> None:
    run = ("run", *TINY, "-p", f"{own}(width=9):mlp(hidden=4)", "-p", f"mlp(hidden=8):{own}", "--no-track", "-j", 2)
    ended = forks(*run)
    assert ended.code == 0, ended.err
    assert "own(width=9):mlp(hidden=4)" in ended.out
    assert "mlp(hidden=8):own" in ended.out
    (kept,) = store.glob("plugins/*/own.py")
    assert kept.read_text() == SOURCE
    assert " 6 done before;" in forks(*run).err
    own.write_text(SOURCE.replace(".relu()", ".tanh()"))
    assert " 2 done before; 4 to run;" in forks(*run).err  # another content: neither as teacher nor as student


@pytest.mark.slow
def test_its_cells_can_be_run_again_when_the_file_is_gone_and_read_when_the_copy_is_too(
    call: Callable[..., Any], forks: Any, own: Path, store: Path
) -> None:
    first = call("run", *TINY, "-p", f"mlp(hidden=8):{own}", *RUN)
    assert first.code == 0, first.err
    own.unlink()
    again = call("verify", "--sample", "3")
    assert again.code == 0
    assert again.err.count("the same, bit for bit") == 3
    assert "stale" not in call("status").out
    shutil.rmtree(store / "plugins")
    assert "mlp(hidden=8):own" in forks("table").out  # a process that has not loaded it
    refused = forks("run", "--matrix", "quick", *RUN)
    assert refused.code == 2
    assert refused.error.endswith(" in architectures is not here, or no longer of that content")


def test_a_network_in_a_file_is_shown_and_profiled(call: Callable[..., Any], own: Path) -> None:
    shown = call("show", own)
    assert shown.code == 0, shown.err
    assert "own (network)" in shown.out
    assert "width" in shown.out
    profiled = call("profile", own, f"{own}(width=9):mlp", "--no-latency")
    assert profiled.code == 0, profiled.err
    assert "own(width=9) / mlp" in profiled.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no file "),
        ("", "defines 0 public architectures, wanted exactly one"),
        ("class Broken(:", "invalid syntax"),
        (
            SOURCE.replace("nn.Linear(width, classes)", "nn.Linear(wide, classes)"),
            "wrong cannot be made or run: NameError",
        ),
        (SOURCE.replace("self.layer(x", "self.leyer(x"), "wrong cannot be made or run: AttributeError("),
        (
            SOURCE.replace("        return Outputs(", "        import sys; sys.exit(0)\n        return Outputs("),
            "SystemExit(0)",
        ),
        (SOURCE.replace("return Outputs(self.head(stage), (stage[:, :, None],), stage)", "return stage"), "wrong"),
        (SOURCE.replace("super().__init__()", "raise BaseException(1)"), "cannot be made or run: BaseException(1)"),
    ],
)
def test_a_file_that_is_no_network_is_refused_in_a_line(
    call: Callable[..., Any], tmp_path: Path, content: str | None, said: str
) -> None:
    path = tmp_path / "wrong.py"
    if content is not None:
        path.write_text(content)
    ended = call("run", *TINY, "-p", f"{path}:mlp", *RUN)
    assert ended.code == 2
    assert said in ended.error

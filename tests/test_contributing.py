"""The examples of CONTRIBUTING.md, copied in as they stand, and run."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kdbench.architectures
import kdbench.methods
import kdbench.results

TEXT = Path(__file__).parent.parent.joinpath("CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLE, NETWORK, DATASET = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
GROUP = re.findall(r"```toml\n(.*?)```", TEXT, flags=re.DOTALL)[0]
JOB = [
    "-d",
    "synthetic(people=4, windows=8)",
    "-p",
    "resnet_lstman(width=0.05):mlp(hidden=16)",
    "-S",
    "recipe.epochs=2",
]


def kdbench_runs(*arguments: str, folder: Path, path: str = "") -> str:
    environment = {**os.environ, "KDBENCH_STORE": str(folder / "runs"), "KDBENCH_CACHE": str(folder / "cache")}
    environment["PYTHONPATH"] = path
    command = [sys.executable, "-c", "from kdbench.cli import main; main()", *arguments]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows_done(folder: Path, path: str = "") -> dict[str, str]:
    table = kdbench_runs("table", "--format", "csv", folder=folder, path=path)
    return {line["row"]: line["status"] for line in csv.DictReader(io.StringIO(table))}


@pytest.fixture
def copied_in(tmp_path: Path) -> str:
    """A copy of the package, for other tests read the one that is installed, with the examples in it."""
    package = tmp_path / "copy" / "kdbench"
    parts = {".": kdbench, "methods": kdbench.methods}
    parts |= {"architectures": kdbench.architectures, "results": kdbench.results}
    for name, part in parts.items():
        shutil.copytree(part.__path__[0], package / name, dirs_exist_ok=True)
    (package / "methods" / "logit_mse.py").write_text(EXAMPLE, encoding="utf-8")
    (package / "architectures" / "pooled_cnn.py").write_text(NETWORK, encoding="utf-8")
    (package / "data" / "pendulum.py").write_text(DATASET, encoding="utf-8")
    return str(package.parent)


def test_a_method_is_one_file(copied_in: str, tmp_path: Path) -> None:
    def runs(*arguments: str) -> str:
        return kdbench_runs(*arguments, folder=tmp_path, path=copied_in)

    assert "Match the teacher's logits by their squared distance" in runs("list", "methods")
    assert "weight  float  1.0" in runs("show", "logit_mse")
    assert "36 of 36 passed" in runs("check", "logit_mse")
    out = runs("run", *JOB, "-m", "kd", "-m", "logit_mse(weight=0.5)", "--no-track", "-j", "1")
    assert "logit_mse(weight=0.5)" in out
    assert rows_done(tmp_path, path=copied_in)["logit_mse(weight=0.5)"] == "done"


@pytest.mark.slow
def test_a_network_and_a_dataset_are_one_file_each(copied_in: str, tmp_path: Path) -> None:
    def runs(*arguments: str) -> str:
        return kdbench_runs(*arguments, folder=tmp_path, path=copied_in)

    assert "One convolution over the window" in runs("list", "networks")
    assert "width     int  32   [1, 1024]" in runs("show", "pooled_cnn")
    assert "pooled_cnn" in runs("profile", "pooled_cnn", "--no-latency")
    assert "120 windows of 1 x 64 samples at 50 Hz" in runs("data", "show", "pendulum")
    job = ["-d", "pendulum", "-p", "pooled_cnn:mlp(hidden=8)", "-m", "kd", "-S", "recipe.epochs=1"]
    assert "pendulum, pooled_cnn:mlp(hidden=8)" in runs("run", *job, "--no-track", "-j", "1")


OTHERS = {
    "results/render/shout.py": "def page_text(page):\n    return page.title.upper() + '!\\n'\n",
    "executors/in_turn.py": "from kdbench.executors.serial import Serial\n\n\n"
    "def make(runtime, jobs):\n    return Serial(runtime)\n",
    "observers/tally.py": "from kdbench.schedule.observer import Observer\n\n\nclass Tally(Observer):\n"
    "    def __init__(self, say):\n        self.say, self.count = say, 0\n\n    def finished(self, job, record):\n"
    "        self.count += 1\n\n    def close(self):\n        self.say(f'tally: {self.count}')\n\n\n"
    "def watch(run, progress):\n    return Tally(run.say)\n",
}


def test_a_format_an_executor_and_an_observer_are_one_file_each(copied_in: str, tmp_path: Path) -> None:
    for name, source in OTHERS.items():
        (Path(copied_in) / "kdbench" / name).write_text(source, encoding="utf-8")
    environment = {**os.environ, "KDBENCH_STORE": str(tmp_path / "runs"), "KDBENCH_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", "from kdbench.cli import main; main()", "run", *JOB, "--no-track", "-j", "1"]
    done = subprocess.run(
        [*command, "--executor", "in_turn"],
        env={**environment, "PYTHONPATH": copied_in},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "tally: 4" in done.stderr
    shouted = kdbench_runs("table", "--format", "shout", folder=tmp_path, path=copied_in)
    assert shouted.startswith("KDBENCH: KNOWLEDGE DISTILLATION ON")


def test_a_method_may_come_from_an_outside_package(tmp_path: Path) -> None:
    place = tmp_path / "site"
    package = place / "my_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "logit_mse.py").write_text(EXAMPLE, encoding="utf-8")
    installed = place / "my_package-1.0.dist-info"  # what pip leaves of the table in pyproject.toml
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    group, point = re.fullmatch(r'\[project\.entry-points\."(.+)"\]\n(.+)\n', GROUP).groups()  # type: ignore[union-attr]
    (installed / "entry_points.txt").write_text(f"[{group}]\n{point.replace(chr(34), '')}\n")
    kdbench_runs("run", *JOB, "-m", "logit_mse", "--no-track", "-j", "1", folder=tmp_path, path=str(place))
    assert rows_done(tmp_path, path=str(place))["logit_mse"] == "done"

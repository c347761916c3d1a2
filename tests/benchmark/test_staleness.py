"""Records are stale exactly where the code that their numbers reach has changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kdbench.architectures
import kdbench.methods
import kdbench.results
from kdbench.catalog.names import METHOD_NAMES
from kdbench.provenance import environment
from kdbench.provenance.reach import Entry, explain
from kdbench.provenance.sources import LOOP


def test_a_method_reaches_its_formula_and_no_other_method() -> None:
    base = Entry("kdbench.methods._base", "Method")
    for name in METHOD_NAMES.built_in:
        reached = explain(Entry.extending(base, f"kdbench.methods.{name}"))
        modules = {each.split(":")[0] for each in reached}
        assert f"kdbench.methods.{name}" in modules
        assert "kdbench.methods._base" in modules
        assert not modules & {f"kdbench.methods.{other}" for other in METHOD_NAMES.built_in if other != name}
        assert not any(module.startswith(("kdbench.costs", "kdbench.store", "kdbench.cli")) for module in modules)


def test_every_run_reaches_the_loop_the_network_builder_and_the_metrics_and_no_cost_or_table() -> None:
    reached = set(explain(*LOOP))
    assert {
        "kdbench.training.loop:Training",
        "kdbench.training.teachers:FrozenTeacher",
        "kdbench.catalog.build:make_network",
        "kdbench.data._normalise:Normalisation",
        "kdbench.results.metrics:score",
        "kdbench.seeds:derive",
    } <= reached
    rooms = {each.split(".")[1] for each in reached}
    assert not rooms & {"costs", "store", "schedule", "commands", "track", "observers", "cli", "contract", "plan"}


def test_all_that_is_built_in_is_hashed_without_loading_it() -> None:
    code = (
        "import sys\nfrom kdbench.catalog.names import *\nfrom kdbench.provenance import sources\n"
        "for names in (METHOD_NAMES, NETWORK_NAMES, DATASET_NAMES):\n"
        "    for name in names.built_in:\n        assert len(sources._of(names, name)) == 16\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


PLANTED = [
    (
        "costs/counting.py",
        "def parameters(",
        "def _more(x: int) -> int:\n    return x + 1\n\n\ndef parameters(",
        "done",
    ),
    ("costs/timing.py", "BATCH = 64", "BATCH = 32", "done"),
    ("training/loop.py", '"""The training loop, the only one', '"""The one training loop', "done"),
    ("architectures/__init__.py", "Backbone, Outputs, Shapes", "Outputs, Backbone, Shapes", "done"),
    ("catalog/build.py", "    network = cls(len(", "    torch.zeros(1)\n    network = cls(len(", "stale"),
    ("methods/_functional.py", "def cross_entropy(", "def cross_entropy(*_, ", "stale"),
    ("training/loop.py", "lowest + (1 - lowest)", "lowest + (1.0 - lowest)", "stale"),
    (
        "training/determinism.py",
        "torch.default_generator.manual_seed(seed)",
        "torch.default_generator.manual_seed(1 + seed)",
        "stale",
    ),
    ("methods/kd.py", "import", "import  ", "done"),
    ("data/_protocols.py", "return ~windows.test, windows.test", "return ~windows.test, windows.test.copy()", "stale"),
    ("data/_protocols.py", "judged[order[: max(1,", "judged[order[: max(2,", "done"),  # another protocol's
]


@pytest.mark.slow
def test_records_are_stale_exactly_where_their_code_changed(tmp_path: Path, cache: Path) -> None:
    package = tmp_path / "copy" / "kdbench"
    for name, part in {".": kdbench, "methods": kdbench.methods, "architectures": kdbench.architectures}.items():
        shutil.copytree(part.__path__[0], package / name, dirs_exist_ok=True)
    shutil.copytree(kdbench.results.__path__[0], package / "results", dirs_exist_ok=True)
    where = {"KDBENCH_STORE": str(tmp_path / "runs"), "KDBENCH_CACHE": str(cache), "PYTHONPATH": str(package.parent)}

    def call(*arguments: str) -> str:
        command = [sys.executable, "-c", "from kdbench.cli import main; main()", *arguments]
        done = subprocess.run(command, env={**os.environ, **where}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    tiny = ("-d", "synthetic(people=4, windows=1, length=16)", "-p", "mlp(hidden=8):mlp(hidden=4)", "-m", "kd")
    call("run", *tiny, "-S", "recipe.epochs=1", "--no-track", "-j", "1")
    assert "kd: 1 done" in call("status")
    for file, old, new, state in PLANTED:
        path = package / file
        source = path.read_text(encoding="utf-8")
        assert old in source, f"{old!r} is not in {file}"
        path.write_text(source.replace(old, new), encoding="utf-8")
        assert f"kd: 1 {state}" in call("status"), f"{old!r} in {file}"
        path.write_text(source, encoding="utf-8")


GITS = {
    "none": None,
    "one that may not be run": "",
    "one that is no program": "\x00\x01",
    "one that refuses": "#!/bin/sh\necho fatal: dubious ownership >&2; exit 128",
    "one that says no hash": "#!/bin/sh\necho HEAD",
    "one that says no text": "#!/bin/sh\nprintf '\\377\\376'",
    "one that says nothing": "#!/bin/sh\ntrue",
    "one that waits": "#!/bin/sh\nexec /bin/sleep 60",
    "one that asks": "#!/bin/sh\nread answer; echo $answer",
    "one that is killed": "#!/bin/sh\nkill -9 $$",
}


@pytest.mark.parametrize("git", GITS)
def test_a_record_is_made_from_a_checkout_whatever_git_there_is(
    git: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    content = GITS[git]
    if content is not None:
        (tmp_path / "git").write_text(content)
        (tmp_path / "git").chmod(0o755 if content else 0o644)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "benchmark" / "provenance" / "environment.py"))
    monkeypatch.setattr(environment, "PATIENCE", 0.2)
    assert environment.commit.__wrapped__() is None


def test_a_record_names_the_commit_where_git_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "git").write_text(f"#!/bin/sh\necho {'0123abcd' * 5}")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "benchmark" / "provenance" / "environment.py"))
    assert environment.commit.__wrapped__() == "0123abcd" * 5

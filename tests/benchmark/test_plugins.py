"""Packages from outside: found, run, and told apart when they are broken or change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdbench.store.records import Store

OUTSIDE = '''
"""An outside package."""

from typing import Annotated

import torch

from kdbench.architectures import Range
from kdbench.methods import Method


class Hard(Method):
    """Cross-entropy, from outside."""

    kind = "logit"

    def __init__(self, setup, *, weight: Annotated[float, Range(0, 9)] = 1.0) -> None:
        super().__init__(setup)
        self.weight = weight

    def losses(self, batch, student, teacher):
        return {"hard": self.weight * torch.nn.functional.cross_entropy(student.logits, batch.y)}
'''

BROKEN = {
    "absent": "nothing = 1",
    "syntax": "class Broken(:",
    "missing": "import no_such_package_anywhere",
    "base": "raise BaseException('deep')",
    "stranger": "class Broken: pass",
    "kindless": "from kdbench.methods import Method\nclass Broken(Method):\n    pass",
    "untyped": "from kdbench.methods import Method\nclass Broken(Method):\n    kind = 'logit'\n"
    "    def __init__(self, setup, *, size: list = ()):\n        super().__init__(setup)",
    "raising": "from kdbench.methods import Method\nclass Broken(Method):\n    kind = 'logit'\n"
    "    def __init__(self, setup):\n        raise LookupError('the moon is full')",
    "leaving": "from kdbench.methods import Method\nclass Broken(Method):\n    kind = 'logit'\n"
    "    def __init__(self, setup):\n        raise SystemExit(0)",
}

LATER = ("base", "leaving")
"""Kinds that only the long run tries."""


@pytest.fixture
def outside(plug: Callable[..., Path]) -> Callable[..., Path]:
    """Writes the package, with its source changed or not."""

    def write(*changes: tuple[str, str]) -> Path:
        source = OUTSIDE
        for old, new in changes:
            assert old in source
            source = source.replace(old, new)
        return plug("outside", source, "kdbench.methods: hard = outside:Hard")

    return write


def test_a_method_from_outside_is_listed_shown_planned_and_run(
    forks: Any, outside: Any, sizes: Any, done: Path, copy: Path
) -> None:
    path = [outside()]
    listed = forks("list", "methods", path=path)
    assert any(line.split()[:2] == ["hard", "logit"] for line in listed.out.splitlines())
    shown = forks("show", "hard", path=path)
    assert "weight  float  1.0  [0, 9]" in shown.out
    assert forks("plan", *sizes, "-m", "hard(weight=10)", path=path).error == "hard: weight=10.0 is outside [0, 9]"
    ended = forks("run", *sizes, "-m", "hard", "--no-track", "-j", 1, path=path)
    assert ended.code == 0, ended.err
    assert "| hard " in ended.out
    assert forks("run", *sizes, "-m", "hard").error.startswith("no 'hard' in methods")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "absent:Broken, the plug-in 'broken' in methods: AttributeError("),
        ("syntax", "syntax:Broken, the plug-in 'broken' in methods: SyntaxError("),
        ("missing", "missing:Broken, the plug-in 'broken' in methods: ModuleNotFoundError("),
        ("stranger", "stranger:Broken is not a subclass of Method"),
        ("kindless", "kindless:Broken lacks the class attribute 'kind'"),
        ("untyped", "Broken: size needs a default and a type among str, int, float, bool"),
        ("raising", "broken: Broken cannot be made: LookupError('the moon is full')"),
    ],
)
def test_a_broken_package_is_named_in_one_line_where_it_is_asked_for(
    name: str, message: str, forks: Any, plug: Any, sizes: Any, store: Path
) -> None:
    path = [plug(name, BROKEN[name], f"kdbench.methods: broken = {name}:Broken")]
    ended = forks("run", *sizes, "-m", "broken", "--no-track", path=path)
    assert ended.code == 2
    assert ended.error.startswith(message)
    assert not store.exists()


def test_a_broken_package_does_not_disturb_who_does_not_ask_for_it(forks: Any, plug: Any, job: Any) -> None:
    path = [plug("missing", BROKEN["missing"], "kdbench.methods: broken = missing:Broken")]
    assert forks("plan", *job, path=path).code == 0


def test_a_name_claimed_twice_from_outside_names_both(forks: Any, plug: Any, sizes: Any) -> None:
    path = [plug(name, OUTSIDE, f"kdbench.methods: hard = {name}:Hard") for name in ("one", "two")]
    ended = forks("plan", *sizes, "-m", "hard", path=path)
    assert ended.code == 2
    assert ended.error == "'hard' in methods is claimed by one:Hard and two:Hard; uninstall all but one"


def test_a_built_in_name_claimed_from_outside_names_who(forks: Any, plug: Any, sizes: Any) -> None:
    path = [plug("thief", OUTSIDE, "kdbench.methods: kd = thief:Hard")]
    ended = forks("plan", *sizes, "-m", "kd", path=path)
    assert ended.code == 2
    assert ended.error == "'kd' in methods is built in and claimed by thief:Hard too"


@pytest.mark.slow
def test_results_older_than_their_source_are_stale_until_they_are_run_again(
    forks: Any, outside: Any, sizes: Any, done: Path, copy: Path, cells: Any
) -> None:
    rows = (*sizes, "-m", "kd", "-m", "hard")
    run = ("run", *rows, "--no-track", "-j", 1)
    assert forks(*run, path=[outside()]).code == 0
    (hard,) = {path.name for path in cells(copy)} - {path.name for path in cells(done)}
    before = {path.name: Store(copy).curve(path.name) for path in cells(copy)}

    better_said = [outside(("Cross-entropy, from outside.", "Said better."), ("return", "# a comment\n        return"))]
    assert "hard: 1 done" in forks("status", path=better_said).out

    changed = [outside(("self.weight * ", "0.5 * self.weight * "))]
    status = forks("status", path=changed).out
    assert "hard: 1 stale" in status
    assert "kd: 1 done" in status
    table = forks("table", path=changed).out
    assert "†" in next(line for line in table.splitlines() if line.startswith("| hard "))
    assert "†" not in next(line for line in table.splitlines() if line.startswith("| kd "))
    assert " 3 done, 1 stale before; 0 to run;" in forks(*run, path=changed).err  # it is said, and left to the user
    again = forks(*run, "--stale", path=changed)
    assert again.code == 0
    assert " 3 done before;" in again.err
    assert "hard: 1 done" in forks("status", path=changed).out
    after = {path.name: Store(copy).curve(path.name) for path in cells(copy)}
    assert after.pop(hard) != before.pop(hard)
    assert after == before

    raised = [outside(("kind = ", "version = 2\n    kind = "))]
    assert "not begun: hard\n" in forks("status", path=raised).out


TEACHER = '''
"""A network from outside."""

import os

import torch

from kdbench.architectures import Backbone, Outputs


class Net(Backbone):
    """A dense layer."""

    family = "mlp"

    def __init__(self, channels, length, classes):
        super().__init__()
        self.body, self.head = torch.nn.Linear(channels * length, 8), torch.nn.Linear(8, classes)
        self.scale = 1.0

    def forward(self, x):
        if self.training and os.environ.get("SICK"):
            raise RuntimeError("feverish")
        embedding = self.scale * torch.tanh(self.body(x.flatten(1)))
        return Outputs(self.head(embedding), (embedding[:, :, None],), embedding)
'''


BLOCK = "synthetic(people=4, windows=1, length=16) net:mlp(hidden=4)"


@pytest.mark.slow
def test_students_of_a_teacher_that_is_run_again_are_run_again_too(forks: Any, plug: Any) -> None:
    def net(scale: str) -> list[Path]:
        source = TEACHER.replace("self.scale = 1.0", f"self.scale = {scale}")
        return [plug("net", source, "kdbench.architectures: net = net:Net")]

    tiny = ("-d", "synthetic(people=4, windows=1, length=16)", "-p", "net:mlp(hidden=4)", "-m", "kd", "-m", "hmkd")
    run = ("run", *tiny, "-S", "recipe.epochs=1", "--no-track", "-j", 1)
    assert forks(*run, path=net("1.0")).code == 0
    assert forks("status", path=net("2.0")).out.count(" 1 stale\n") == 3  # all but the student alone
    ended = forks(*run, "--stale", path=net("2.0"))
    assert ended.code == 0
    assert [line.split(": ")[0] for line in ended.err.splitlines() if line.startswith("[")] == [
        f"[1/3] {BLOCK} teacher alone seed 0",
        f"[2/3] {BLOCK} hmkd seed 0",  # the longer one of the two
        f"[3/3] {BLOCK} kd seed 0",
    ]


@pytest.mark.slow
def test_a_failed_teacher_costs_its_students_and_nobody_else(forks: Any, plug: Any) -> None:
    where = {"path": [plug("net", TEACHER, "kdbench.architectures: net = net:Net")]}
    sick = {**where, "env": {"SICK": "1"}}
    tiny = ("-d", "synthetic(people=4, windows=1, length=16)", "-p", "net:mlp(hidden=4)", "-m", "kd")
    run = ("run", *tiny, "-S", "recipe.epochs=1", "--no-track", "-j", 1)
    ended = forks(*run, **sick)
    assert ended.code == 1
    assert "teacher alone seed 0: FAILED: RuntimeError: feverish (net.py, line " in ended.err
    assert f"{BLOCK} kd seed 0: not run: its teacher failed: RuntimeError: feverish" in ended.err
    assert f"{BLOCK} student alone seed 0: accuracy" in ended.err
    status = forks("status", **sick).out
    assert "student alone: 1 done" in status
    assert "teacher alone: 1 failed" in status
    assert f"{BLOCK} kd seed 0: its teacher failed" in status
    again = forks(*run, **sick)
    assert again.code == 1
    assert not any("accuracy" in line or "FAILED" in line for line in again.err.splitlines())  # nothing was trained
    healed = forks(*run, "--retry-failed", **where)
    assert healed.code == 0, healed.err
    assert "3 cells, 2 done before" not in healed.err
    assert f"[2/2] {BLOCK} kd seed 0: accuracy" in healed.err


@pytest.mark.parametrize(
    "broken",
    [pytest.param(code, id=name, marks=[pytest.mark.slow] * (name in LATER)) for name, code in BROKEN.items()],
)
def test_a_broken_plug_in_breaks_only_itself(broken: str, forks: Any, plug: Any) -> None:
    path = [
        plug("wreck", broken, "kdbench.methods: wreck = wreck:Broken", "kdbench.architectures: hulk = wreck:Broken")
    ]
    path.append(plug("crooked", "", "kdbench.methods: crooked = ???", "kdbench.datasets: gone = no_such:Thing"))
    listed = forks("list", path=path)
    assert listed.code == 0, listed.err
    assert "\nkd " in listed.out
    assert "\nhulk " in listed.out
    for name in (
        ("wreck", "hulk", "crooked", "gone") if "raise" not in broken.partition("class")[2] else ("crooked", "gone")
    ):
        (line,) = (line for line in listed.out.splitlines() if line.startswith(f"{name} "))
        assert "broken: " in line or (name, broken) == ("wreck", BROKEN["untyped"])
    assert forks("show", "kd", path=path).code == 0
    profiled = forks("profile", "--no-latency", path=path)
    assert profiled.code == 0, profiled.err
    assert "\nmlp " in profiled.out
    assert "hulk: broken: " in profiled.out
    planned = forks("plan", "-d", "synthetic(people=4, windows=1, length=16)", "-p", "mlp:mlp(hidden=4)", path=path)
    assert planned.code == 0, planned.err


@pytest.mark.slow
def test_a_store_can_be_read_where_a_plug_in_is_absent(forks: Any, outside: Any, sizes: Any, copy: Path) -> None:
    assert forks("run", *sizes, "-m", "hard", "--no-track", "-j", 1, path=[outside()]).code == 0
    for command in ("status", "table"):
        shown = forks(command)
        assert shown.code == 0, shown.err
        assert "hard" in shown.out
    assert "  hard: 1 done\n" in forks("status").out
    figure = forks("plot", "-o", copy / "gain.svg")
    assert figure.code == 0, figure.err
    assert forks("list", "runs").code == 0

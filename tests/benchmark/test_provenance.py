"""What a record hashes: the code that its numbers reach, all of it and no more."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import kdbench.architectures
import kdbench.methods
import kdbench.results
from kdbench.catalog.names import DATASET_NAMES, METHOD_NAMES, NETWORK_NAMES
from kdbench.errors import KdbenchError
from kdbench.provenance.modules import Library
from kdbench.provenance.reach import Entry, Reach, class_attribute, public_class
from kdbench.provenance.sources import LOOP

FILES = {
    "__init__": "",
    "main": '''
"""The entry."""
from __future__ import annotations

import math
from typing import TYPE_CHECKING

import {pkg}.constants
from {pkg} import tools
from {pkg}.base import Child
from {pkg}.front import helper as help_me

if TYPE_CHECKING:
    from {pkg}.unused import Thing

LIMIT = 3


def entry(x: int, *, by: float = 2.0) -> float:
    """Say something."""
    def inner(y):
        return y + LIMIT
    total = help_me(x) + inner(x)  # a comment
    return Child().work(total) * tools.factor(by) * {pkg}.constants.SCALE + math.pi


def neighbour():
    return "nobody asks"
''',
    "front": "from {pkg}.helpers import helper, other\n",
    "helpers": """
from dataclasses import dataclass


@dataclass
class Fields:
    first: int = 1
    second: int


def helper(x):
    return deeper(x) + Fields.first


def deeper(x):
    return x * 2


def other(x):
    return x * 3
""",
    "base": """
from {pkg}.roots import Root


class Child(Root):
    def work(self, x):
        return self.shared(x)
""",
    "roots": """
from {pkg}.tools import shared_step


def trace(function):
    return function


class Root:
    kind = "root"

    @trace
    def shared(self, x):
        return shared_step(x)
""",
    "tools": """
def factor(by):
    return by + 1


def shared_step(x):
    return x - 1


def unreached():
    return 0
""",
    "constants": "SCALE = 10\nUNUSED = 11\n",
    "unused": "class Thing:\n    pass\n",
}
numbers = itertools.count()

Change = tuple[str, str, str]


@pytest.fixture
def hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes the package with some changes, and hashes what its entry reaches."""

    def write(*changes: Change, more: dict[str, str] | None = None, entry: str = "entry") -> str:
        name = f"reached{next(numbers)}"
        folder = tmp_path / name
        (folder / name).mkdir(parents=True)
        sources = {**FILES, **(more or {})}
        for module, old, new in changes:
            assert old in sources[module], f"{old!r} is not in {module}"
            sources[module] = sources[module].replace(old, new)
        for module, source in sources.items():
            (folder / name / f"{module}.py").write_text(source.replace("{pkg}", name))
        monkeypatch.syspath_prepend(str(folder))
        texts = Reach([Entry(f"{name}.main", entry)], Library())
        # Names of the package stand in what it says of itself; they are what differs between two copies.
        return "\n".join(sorted(each.replace(name, "pkg") for each in texts.texts()))

    return write


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(("helpers", "x * 2", "x * 4"), id="a function two calls away"),
        pytest.param(("tools", "by + 1", "by + 2"), id="a function of a module that is imported whole"),
        pytest.param(("tools", "x - 1", "x - 2"), id="what a base's method calls"),
        pytest.param(("roots", "return shared_step(x)", "return shared_step(x) + 1"), id="a base's method"),
        pytest.param(("roots", 'kind = "root"', 'kind = "tree"'), id="a base's attribute"),
        pytest.param(("roots", "return function", "return lambda *a: function(*a)"), id="a decorator"),
        pytest.param(("base", "class Child(Root)", "class Child"), id="another base"),
        pytest.param(("constants", "SCALE = 10", "SCALE = 12"), id="a constant by its full name"),
        pytest.param(("main", "LIMIT = 3", "LIMIT = 4"), id="a constant that an inner function uses"),
        pytest.param(("main", "by: float = 2.0", "by: float = 3.0"), id="a default"),
        pytest.param(("helpers", "first: int = 1", "first: int = 2"), id="a field's default"),
        pytest.param(
            ("helpers", "first: int = 1\n    second: int", "second: int\n    first: int = 1"), id="the order of fields"
        ),
        pytest.param(
            ("tools", "def factor", "import os\nos.environ.setdefault('A', '1')\n\n\ndef factor"), id="an act"
        ),
        pytest.param(("front", "import helper, other", "import other as helper"), id="a re-export of something else"),
    ],
)
def test_what_is_reached_counts(hashed: Callable[..., str], change: Change) -> None:
    assert hashed(change) != hashed()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(("main", "nobody asks", "nobody hears"), id="a neighbour in the same file"),
        pytest.param(("helpers", "x * 3", "x * 5"), id="what is re-exported beside it"),
        pytest.param(("tools", "return 0", "return 1"), id="a neighbour in a module imported whole"),
        pytest.param(("constants", "UNUSED = 11", "UNUSED = 12"), id="a neighbour among constants"),
        pytest.param(("front", "helper, other", "helper"), id="an import line"),
        pytest.param(("main", "Say something.", "Say something else."), id="a docstring"),
        pytest.param(("main", "# a comment", "# another"), id="a comment"),
        pytest.param(("main", "x: int, *", "x: 'float', *"), id="an annotation"),
        pytest.param(("helpers", "first: int = 1", "first: float = 1"), id="a field's annotation"),
        pytest.param(("main", "help_me(x) + inner(x)", "(help_me( x )+inner(x))"), id="formatting"),
        pytest.param(("main", "{pkg}.unused import Thing", "{pkg}.unused import Other"), id="what a type checker sees"),
    ],
)
def test_what_is_not_reached_or_computes_nothing_does_not_count(hashed: Callable[..., str], change: Change) -> None:
    assert hashed(change) == hashed()


def test_where_a_definition_stands_does_not_count(hashed: Callable[..., str]) -> None:
    factor = "def factor(by):\n    return by + 1\n\n\n"
    moved = [("tools", factor, ""), ("constants", "UNUSED = 11", f"UNUSED = 11\n\n\n{factor}")]
    elsewhere = [
        ("main", "tools.factor", "factor"),
        ("main", "from {pkg} import tools", "from {pkg}.constants import factor"),
    ]
    at_home = [
        ("main", "tools.factor", "factor"),
        ("main", "from {pkg} import tools", "from {pkg}.tools import factor"),
    ]
    assert hashed(*moved, *elsewhere) == hashed(*at_home)


def test_the_order_of_definitions_does_not_count(hashed: Callable[..., str]) -> None:
    turned = FILES["tools"].strip().split("\n\n\n")
    assert hashed(more={"tools": "\n\n\n".join(reversed(turned)) + "\n"}) == hashed()


@pytest.mark.parametrize(
    "body",
    [
        "def entry(SCALE):\n    return SCALE",
        "def entry():\n    SCALE = 1\n    return SCALE",
        "def entry():\n    return [SCALE for SCALE in ()]",
        "def entry():\n    for SCALE in ():\n        pass\n    return SCALE",
        "def entry():\n    with open('x') as SCALE:\n        return SCALE",
        "def entry():\n    try:\n        pass\n    except OSError as SCALE:\n        return SCALE",
        "def entry(x):\n    if (SCALE := x):\n        return SCALE",
        "def entry(x):\n    match x:\n        case [SCALE]:\n            return SCALE",
        "def entry():\n    return lambda SCALE: SCALE",
        "class entry:\n    SCALE = 1\n    other = SCALE",
        "def entry():\n    def SCALE():\n        return 1\n    return SCALE",
    ],
)
def test_a_name_of_ones_own_hides_the_module_s(hashed: Callable[..., str], body: str) -> None:
    main = "from {pkg}.constants import SCALE\n\n\n" + body + "\n"
    changed = ("constants", "SCALE = 10", "SCALE = 12")
    assert hashed(changed, more={"main": main}) == hashed(more={"main": main})


@pytest.mark.parametrize(
    "body",
    [
        "from {pkg}.constants import SCALE\n\n\ndef entry():\n    return SCALE",
        "from {pkg}.constants import SCALE as other\n\n\ndef entry():\n    return other",
        "from {pkg} import constants\n\n\ndef entry():\n    return constants.SCALE",
        "import {pkg}.constants as c\n\n\ndef entry():\n    return c.SCALE",
        "import {pkg}.constants\n\n\ndef entry():\n    return {pkg}.constants.SCALE",
        "from .constants import SCALE\n\n\ndef entry():\n    return SCALE",
        "from . import constants\n\n\ndef entry():\n    return constants.SCALE",
        "from {pkg}.constants import *\n\n\ndef entry():\n    return SCALE",
        "def entry():\n    from {pkg}.constants import SCALE\n    return SCALE",
        "def entry():\n    import {pkg}.constants as c\n    return c.SCALE",
        "try:\n    from {pkg}.constants import SCALE\nexcept ImportError:\n    SCALE = 0\n\ndef entry(): return SCALE",
        "from {pkg} import constants\n\n\ndef entry():\n    return vars(constants)",
        "from {pkg}.constants import SCALE\n\n\nclass entry:\n    other = [SCALE for _ in ()]",
        "from {pkg}.constants import SCALE\n\nclass entry:\n    SCALE = 1\n    def f(self):\n        return SCALE",
        "from {pkg}.constants import SCALE\n\n\ndef entry(x=SCALE):\n    return x",
        "from {pkg}.constants import SCALE\n\n\ndef entry():\n    return lambda: [SCALE for x in ()]",
    ],
)
def test_a_name_is_followed_however_it_was_imported(hashed: Callable[..., str], body: str) -> None:
    changed = ("constants", "SCALE = 10", "SCALE = 12")
    assert hashed(changed, more={"main": body + "\n"}) != hashed(more={"main": body + "\n"})


def test_modules_may_import_each_other_in_a_circle(hashed: Callable[..., str]) -> None:
    more = {
        "main": "from {pkg} import around\n\n\ndef entry():\n    return around.back()\n\n\ndef one():\n    return 1\n",
        "around": "from {pkg} import main\n\n\ndef back():\n    return main.one()\n",
    }
    assert hashed(("main", "return 1", "return 2"), more=more) != hashed(more=more)


def test_a_lone_file_reaches_kdbench_and_its_own_code(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from kdbench.methods import Method, cross_entropy\n\n\ndef mine(x):\n    return x\n\n\n"
        "class Mine(Method):\n    version = 7\n\n    def losses(self, batch, student, teacher):\n"
        '        return {"hard": cross_entropy(mine(student.logits), batch.y)}\n'
    )
    entry = public_class("kdbench_file_mine", Entry("kdbench.methods._base", "Method"), path)
    assert (entry.name, class_attribute(entry, "version")) == ("Mine", 7)
    reached = Reach([entry]).explain()
    assert {"kdbench_file_mine:mine", "kdbench.methods._functional:cross_entropy"} <= set(reached)


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(KdbenchError, match=r"there is no nothing in kdbench\.methods\.kd"):
        Reach([Entry("kdbench.methods.kd", "nothing")])
    with pytest.raises(KdbenchError, match="there is no Thing in no_such_package"):
        Reach([Entry("no_such_package", "Thing")])
    broken = tmp_path / "broken.py"
    broken.write_text("def (:\n")
    with pytest.raises(KdbenchError, match=r"broken\.py"):
        Reach([Entry("broken", "x", broken)])


def test_a_method_reaches_its_formula_and_no_other_method() -> None:
    base = Entry("kdbench.methods._base", "Method")
    for name in METHOD_NAMES.built_in:
        reached = Reach([public_class(f"kdbench.methods.{name}", base)]).explain()
        modules = {each.split(":")[0] for each in reached}
        assert f"kdbench.methods.{name}" in modules
        assert "kdbench.methods._base" in modules
        assert not modules & {f"kdbench.methods.{other}" for other in METHOD_NAMES.built_in if other != name}
        assert not any(module.startswith(("kdbench.costs", "kdbench.store", "kdbench.cli")) for module in modules)


def test_every_run_reaches_the_loop_the_network_builder_and_the_metrics_and_no_cost_or_table() -> None:
    reached = set(Reach([LOOP]).explain())
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
    assert NETWORK_NAMES.built_in
    assert DATASET_NAMES.built_in


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
    ("catalog/build.py", "    return cls(len(about", "    torch.zeros(1)\n    return cls(len(about", "stale"),
    ("methods/_functional.py", "def cross_entropy(", "def cross_entropy(*_, ", "stale"),
    ("training/loop.py", "lowest + (1 - lowest)", "lowest + (1.0 - lowest)", "stale"),
    ("data/_protocols.py", "return ~windows.test, windows.test", "return ~windows.test, windows.test.copy()", "stale"),
    ("data/_protocols.py", "judged[order[: max(1,", "judged[order[: max(2,", "done"),  # another protocol's
]


def test_records_are_stale_exactly_where_their_code_changed(tmp_path: Path, cache: Path) -> None:
    package = tmp_path / "copy" / "kdbench"
    for name, part in {".": kdbench, "methods": kdbench.methods, "architectures": kdbench.architectures}.items():
        shutil.copytree(part.__path__[0], package / name, dirs_exist_ok=True)
    shutil.copytree(kdbench.results.__path__[0], package / "results")
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

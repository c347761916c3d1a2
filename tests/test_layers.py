"""The direction of imports and the borders between files, read off the syntax trees of all source files."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from kdbench.catalog.find import METHODS

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"benchmark": "kdbench", "methods": "kdbench.methods"}
FOLDERS |= {"architectures": "kdbench.architectures", "results": "kdbench.results"}
GROUND = {"errors", "files", "folders", "kinds", "machine", "roles", "seeds", "settings", "text"}
"""Modules of the standard library alone; everyone may import them."""
MAY_IMPORT: dict[str, set[str]] = {  # rooms of kdbench, each with the others that it may import, beside the ground
    "architectures": set(),
    "methods": {"architectures"},
    "results": set(),
    "data": set(),
    "spec": set(),
    "references": set(),
    "catalog": {"architectures", "data", "methods", "references", "spec"},
    "costs": {"architectures", "catalog", "data", "spec"},
    "plan": {"architectures", "catalog", "data", "methods", "results", "spec"},
    "provenance": {"catalog", "results", "spec"},
    "store": {"catalog", "data", "plan", "provenance", "results", "spec"},
    "training": {"architectures", "catalog", "data", "methods", "references", "results", "spec"},
    "account": {"catalog", "provenance", "results", "spec", "training"},
    "fitting": {"account", "catalog", "data", "results", "spec", "store", "training"},
    "schedule": {"plan", "provenance", "results", "spec", "store"},
    "worker": {
        "account",
        "catalog",
        "costs",
        "data",
        "fitting",
        "provenance",
        "results",
        "schedule",
        "spec",
        "store",
        "training",
    },
    "executors": {"catalog", "provenance", "results", "schedule", "store", "worker"},
    "tune": {"catalog", "plan", "provenance", "results", "schedule", "spec", "store"},
    "track": {"architectures", "catalog", "methods", "plan", "provenance", "results", "store", "tune"},
    "observers": {"plan", "results", "schedule", "store", "track"},
    "contract": {"architectures", "catalog", "methods", "spec", "training"},
    "deploy": {"architectures", "catalog", "data", "provenance", "results", "spec", "store", "training"},
    "commands": {
        "catalog",
        "costs",
        "data",
        "deploy",
        "executors",
        "methods",
        "observers",
        "plan",
        "provenance",
        "references",
        "results",
        "schedule",
        "spec",
        "store",
        "tune",
    },
    "session": {"commands", "executors", "plan", "provenance", "spec", "store"},
    "cli": {"commands", "contract", "executors", "results", "session", "spec", "store", "track"},
    "__main__": {"cli"},
    "": {"session", "spec"},  # the package itself, on use
}
WITHOUT_TORCH = ["plan.model", "store.records", "store.memory", "store.entries", "store.upgrade", "schedule.runner"]
WITHOUT_TORCH += [
    "store.index",
    "executors.processes",
    "results",
    "observers",
    "session",
    "catalog.citations",
    "commands.citations",
    "commands.stats",
    "commands.status",
    "commands.tables",
]
FROM_OTHERS = {  # not stated among what is always installed
    "sqlalchemy": {"benchmark/track/tracker.py", "benchmark/tune/ledger.py"},  # mlflow's and optuna's own
    "pyarrow": {"benchmark/data/whar.py"},  # of the extra `whar`
    "onnx": {"benchmark/deploy/onnx_forms.py", "benchmark/deploy/chain.py"},  # of the extra `onnx`
    "onnxruntime": {"benchmark/deploy/onnx_forms.py"},
    "safetensors": {"benchmark/commands/teachers.py"},  # of the extra `safetensors`
    "litert_torch": {"benchmark/deploy/tflite_forms.py"},  # of the extra `litert`, which brings the two below
    "ai_edge_litert": {"benchmark/deploy/tflite_forms.py"},
    "ai_edge_quantizer": {"benchmark/deploy/tflite_forms.py"},
    "executorch": {"benchmark/deploy/executorch_forms.py"},  # of the extra `executorch`, which brings torchao
    "ray": {"benchmark/executors/_cluster.py"},  # of the extra `ray`
    "torchao": {"benchmark/deploy/executorch_forms.py"},
}
IMPORTED_AS = {"scikit_learn": "sklearn"}  # by what they are called where they are installed from
IN_ONE_FILE = ["sklearn", "optuna", "mlflow", "pooch", "rich"]


def sources(folder: str) -> list[Path]:
    """What is installed: scripts beside published records are of those pages."""
    left_out = {"__pycache__", "published"}
    return sorted(path for path in (ROOT / folder).rglob("*.py") if left_out.isdisjoint(path.parts))


FILES = [path for folder in FOLDERS for path in sources(folder)]


def module_of(path: Path) -> str:
    folder, *inside = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([FOLDERS[folder], *inside]).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def room_of(module: str) -> str:
    """The sub-package of kdbench that a module is in, or itself; empty for kdbench."""
    return f"{module}..".split(".")[1]


def imports(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Full names of what is imported; ``from a import b`` is a.b where that is a module, else a."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else str(node.module)


def first_run(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Statements that run when a module is imported, not those in functions or for type checkers alone."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        for block in ("body", "orelse", "finalbody"):
            yield from first_run(getattr(node, block, []))
        for handler in getattr(node, "handlers", []):
            yield from first_run(handler.body)


def of_kdbench(name: str) -> bool:
    return name.split(".")[0] == "kdbench"


def outside() -> dict[str, set[str]]:
    """What is imported from elsewhere, by file relative to the root; its first name alone."""
    return {
        str(path.relative_to(ROOT)): {name.split(".")[0] for name in imports(ast.walk(tree(path)))} for path in FILES
    }


def arrows() -> dict[str, set[str]]:
    """The rooms that each room imports, its own left out, with the file that does."""
    found: dict[str, set[str]] = {room_of(module): set() for module in MODULES}
    for module, path in MODULES.items():
        used = {room_of(name) for name in imports(ast.walk(tree(path))) if of_kdbench(name)}
        found[room_of(module)] |= used - {room_of(module)}
    return found


def test_every_room_imports_what_its_line_says_and_nothing_else() -> None:
    found = arrows()
    assert set(found) == set(MAY_IMPORT) | GROUND
    for room in GROUND:
        assert found[room] <= GROUND, f"{room} is on the ground floor"
    for room, allowed in MAY_IMPORT.items():
        extra = found[room] - GROUND - {""}
        assert extra <= allowed, f"{room} imports from {extra - allowed}"
        assert allowed <= extra, f"{room} need not be allowed {allowed - extra}"


def test_no_arrow_points_up() -> None:
    """In the order of the lines above each room imports from those that come before it."""
    order = list(MAY_IMPORT)
    for room, allowed in MAY_IMPORT.items():
        later = {other for other in allowed if order.index(other) > order.index(room)}
        assert not later or room == "", f"{room} imports {later}"


@pytest.mark.parametrize("module", sorted(GROUND))
def test_the_ground_floor_is_of_the_standard_library(module: str) -> None:
    assert outside()[f"benchmark/{module}.py"] <= {"kdbench", *sys.stdlib_module_names}


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_what_only_reads_or_orders_loads_without_torch(module: str) -> None:
    code = f"import sys, kdbench.{module}; sys.exit(any(name in sys.modules for name in ('torch', 'optuna', 'mlflow')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_imports_are_absolute_and_never_of_a_folder_by_its_bare_name() -> None:
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path.relative_to(ROOT)}, line {node.lineno}"
    for name, used in outside().items():
        assert not used & set(FOLDERS), f"{name} makes a second copy of every class"
    assert not set(FOLDERS) & set(sys.modules)


def test_results_know_no_torch() -> None:
    loaded = {name: used for name, used in outside().items() if name.startswith("results/")}
    assert loaded
    assert not any("torch" in used for used in loaded.values())


def test_networks_and_methods_need_torch_and_nothing_else() -> None:
    for name, used in outside().items():
        if name.startswith(("architectures/", "methods/")):
            assert used <= {"kdbench", "torch", *sys.stdlib_module_names}, name


@pytest.mark.parametrize("library", IN_ONE_FILE)
def test_a_library_that_may_be_replaced_is_imported_in_one_file(library: str) -> None:
    users = [name for name, used in outside().items() if library in used]
    assert len(users) <= 1, f"{library} is imported in {users}"
    assert all(name.startswith("benchmark/") for name in users)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_and_a_function_are_short_enough_to_be_read_at_once(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 350
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            assert (node.end_lineno or first) - first + 1 < 50, f"{path.name}, {node.name}"


def test_every_library_is_a_stated_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[^\w-]", line)[0].replace("-", "_") for line in project["dependencies"]}
    stated = {IMPORTED_AS.get(name, name) for name in names}
    for name, used in outside().items():
        known = stated | {library for library, files in FROM_OTHERS.items() if name in files}
        unknown = used - set(sys.stdlib_module_names) - known - {"kdbench"}
        assert not unknown, f"{name}: {unknown} come with other libraries at best"


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {
        module: {name for name in imports(first_run(tree(path).body)) if name in MODULES and name != module}
        for module, path in MODULES.items()
    }
    assert any(graph.values())
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
    assert set(order) == set(MODULES)


def test_every_package_folder_is_in_setuptools_tables() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packages = {module for module, path in MODULES.items() if path.name == "__init__.py"}
    assert set(table["packages"]) == packages
    assert table["package-dir"] == {package: folder for folder, package in FOLDERS.items()}
    for path in FILES:
        assert (path.parent / "__init__.py").exists(), f"{path.relative_to(ROOT)} is in no package"


def test_every_data_file_of_the_benchmark_is_in_setuptools_tables() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    base = ROOT / "benchmark"
    listed = {path for pattern in table["package-data"]["kdbench"] for path in base.glob(pattern)}
    files = (path for path in base.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc"))
    found = {path for path in files if not any(part.startswith(".") for part in path.relative_to(base).parts)}
    assert found
    assert found == listed


def public_files(folder: str) -> list[Path]:
    return [path for path in (ROOT / folder).glob("*.py") if not path.name.startswith("_")]


@pytest.mark.parametrize("path", public_files("methods") + public_files("architectures"), ids=lambda path: path.stem)
def test_a_public_file_defines_one_public_class_that_names_its_source(path: Path) -> None:
    classes = [node for node in tree(path).body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    assert len(classes) == 1, f"{path.name} defines {[c.name for c in classes]}"
    said = ast.get_docstring(classes[0]) or ""
    kinds = [ast.unparse(node.value) for node in classes[0].body if isinstance(node, ast.Assign)]
    assert "Source: " in said or "'reference'" in kinds, "whose idea is it?"
    assert "Deviation" in said


def test_no_two_files_are_one_name() -> None:
    """A method and a network of one name could not be told apart in a table's columns."""
    names = [path.stem for folder in ("methods", "architectures") for path in public_files(folder)]
    assert len(names) == len(set(names))


@cache
def words(path: Path) -> list[tuple[int, str]]:
    """Identifiers and whole string literals with their lines; docstrings and parts of formatted strings left out."""
    silent = {id(node.value) for node in ast.walk(tree(path)) if isinstance(node, ast.Expr)}
    silent |= {id(part) for node in ast.walk(tree(path)) if isinstance(node, ast.JoinedStr) for part in node.values}
    silent |= {id(part) for node in ast.walk(tree(path)) if claims(node) for part in ast.walk(node)}
    found = []
    for node in ast.walk(tree(path)):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            found.append((line, node.value))
        elif isinstance(node, ast.Name):
            found.append((line, node.id))
        elif isinstance(node, ast.Attribute):
            found.append((line, node.attr))
        elif isinstance(node, ast.alias):
            found.append((line, node.name))
        elif isinstance(node, ast.ImportFrom):
            found.append((line, node.module or ""))
    return found


@pytest.mark.parametrize("path", public_files("methods"), ids=lambda path: path.stem)
def test_no_line_outside_its_own_file_names_a_method(path: Path) -> None:
    """The teacher's own training is the one exception: the plan must say how teachers are made."""
    name = path.stem
    defined = METHODS.get(name).__name__
    specification = re.compile(rf"{re.escape(name)}(\s*\(.*\))?")  # as in a matrix: kd, or kd(temperature=2)
    for other in FILES:
        allowed = {path, ROOT / "benchmark" / "plan" / "expand.py"} if METHODS.get(name).kind == "reference" else {path}
        if other in allowed:
            continue
        for line, word in words(other):
            found = word == defined or word == f"kdbench.methods.{name}" or f"kdbench.methods.{name}." in word
            found = found or (specification.fullmatch(word.strip()) is not None and is_literal(other, line, word))
            assert not found, f"{other.relative_to(ROOT)}, line {line}: {word!r}"


ENGLISH = {"at"}  # names that are words too; these are only looked for as whole strings, above


@pytest.mark.parametrize("path", public_files("methods"), ids=lambda path: path.stem)
def test_no_text_outside_its_own_file_names_a_method(path: Path) -> None:
    """In strings, parts of formatted ones and comments; docstrings may, as all documents."""
    name = path.stem
    allowed = {path, ROOT / "benchmark" / "plan" / "expand.py"} if METHODS.get(name).kind == "reference" else {path}
    for other in (file for file in FILES if file not in allowed and name not in ENGLISH):
        for line, text in texts(other):
            assert not re.search(rf"\b{re.escape(name)}\b", text), f"{other.relative_to(ROOT)}, line {line}: {text!r}"


@cache
def texts(path: Path) -> list[tuple[int, str]]:
    """Strings and comments with their lines, without docstrings and names of reference numbers."""
    nodes = list(ast.walk(tree(path)))
    silent = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    silent |= {id(name) for node in nodes if claims(node) for name in ast.walk(node)}
    found = [(node.lineno, node.value) for node in nodes if isinstance(node, ast.Constant) and id(node) not in silent]
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    comments = [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]
    return [(line, text) for line, text in found if isinstance(text, str)] + comments


def claims(node: ast.AST) -> bool:
    """Whether a node says which reference numbers a method is compared with: those are named after methods."""
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "checked_against"


def is_literal(path: Path, line: int, word: str) -> bool:
    """Whether the word is a string there: short names such as ``at`` are ordinary identifiers too."""
    constants = (node for node in ast.walk(tree(path)) if isinstance(node, ast.Constant))
    return any(node.value == word and node.lineno == line for node in constants)

"""Source files taken apart without importing them: what a module defines, imports and does."""

from __future__ import annotations

import ast
import copy
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kdbench.errors import KdbenchError

Target = tuple[str, str | None]
"""A module, and a name in it; None for the module itself."""

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass
class Module:
    """A source file.

    Args:
        name: full name of the module.
        path: of its file.
        package: whether it is one.
        definitions: name to the statements at its top that bind it, without what does not count.
        imports: name to what an import binds it to.
        stars: modules of which everything is imported.
        acts: statements that bind nothing, such as a call that changes another module's state.
    """

    name: str
    path: Path
    package: bool
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, list[Target]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    acts: list[ast.stmt] = field(default_factory=list)

    @classmethod
    def read(cls, name: str, path: Path) -> Module:
        """Take a file apart.

        Raises:
            KdbenchError: if it cannot be read as Python.
        """
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError) as error:
            raise KdbenchError(f"{path}: {error}") from None
        module = cls(name, path, path.name == "__init__.py")
        for statement in _Bare().visit(tree).body:
            module._add(statement)
        return module

    def _add(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Pass):
            return
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self._bind(statement)
            return
        inner = [node for node in within(statement) if isinstance(node, ast.Import | ast.ImportFrom)]
        for each in inner:  # of a block: try the one, else the other
            self._bind(each)
        names = {*bound(statement)} - {"__all__"}
        for name in names:
            self.definitions.setdefault(name, []).append(statement)
        if not names and not inner and not (isinstance(statement, ast.Assign) and _is_all(statement)):
            self.acts.append(statement)

    def _bind(self, statement: ast.Import | ast.ImportFrom) -> None:
        for name, target in import_targets(statement, self.name, package=self.package):
            if name == "*":
                self.stars.append(target[0])
            else:
                self.imports.setdefault(name, []).append(target)


def import_targets(statement: ast.Import | ast.ImportFrom, here: str, *, package: bool) -> Iterator[tuple[str, Target]]:
    """The names that an import binds, and what to."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            yield (
                alias.asname or alias.name.split(".")[0],
                (alias.name if alias.asname else alias.name.split(".")[0], None),
            )
        return
    base = statement.module or ""
    if statement.level:
        parts = here.split(".")
        kept = len(parts) - statement.level + package
        base = ".".join([*parts[:kept], *filter(None, [base])])
    for alias in statement.names:
        yield alias.asname or alias.name, (base, alias.name)


def within(node: ast.AST) -> Iterator[ast.AST]:
    """What belongs to the scope of a statement: everything in it but the insides of functions and classes."""
    yield node
    if isinstance(node, SCOPES):
        return
    for child in ast.iter_child_nodes(node):
        yield from within(child)


def bound(statement: ast.AST) -> Iterator[str]:
    """Names that a statement binds in its own scope, imports left out."""
    for node in within(statement):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest


def _is_all(statement: ast.Assign) -> bool:
    return all(isinstance(target, ast.Name) and target.id == "__all__" for target in statement.targets)


class _Bare(ast.NodeTransformer):
    """Leaves out what changes no number: docstrings, annotations, and what only a type checker or a script runs."""

    def visit_If(self, node: ast.If) -> ast.AST:
        test = ast.unparse(node.test)
        if test in ("TYPE_CHECKING", "typing.TYPE_CHECKING") or test.startswith("__name__ =="):
            rest = [self.visit(statement) for statement in node.orelse]
            return ast.If(ast.Constant(True), rest, []) if rest else ast.Pass()
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return ast.Pass() if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(node.arg)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._without_passes(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self._without_passes(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._without_passes(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        # The field stays where it is, since dataclasses are made from them in order.
        node.annotation = ast.Constant(...)
        node.target = self.visit(node.target)
        node.value = node.value and self.visit(node.value)
        return node

    def _without_passes(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        node.body = [each for each in node.body if not isinstance(each, ast.Pass)] or [ast.Pass()]
        return node


def normal(statement: ast.stmt) -> str:
    """The text of a definition, however it was formatted; import lines within it are left out."""
    return ast.unparse(ast.fix_missing_locations(_NoImports().visit(copy.deepcopy(statement))))


class _NoImports(ast.NodeTransformer):
    def visit_Import(self, node: ast.Import) -> ast.AST:
        return ast.Pass()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        return ast.Pass()


class Library:
    """The modules of some packages, each read once.

    Args:
        files: lone files, by the name of their module.
    """

    def __init__(self, files: dict[str, Path] | None = None) -> None:
        self._files = files or {}
        self._read: dict[str, Module | None] = {}

    def get(self, name: str) -> Module | None:
        """A module by its full name, or None where there is no such source file."""
        if name not in self._read:
            path = self._files.get(name) or _file_of(name)
            self._read[name] = None if path is None else Module.read(name, path)
        return self._read[name]


def _file_of(name: str) -> Path | None:
    """The source file of a module; only its top package may come to be imported, and only kdbench's, which is light."""
    top, *rest = name.split(".")
    places = _places(top)
    if isinstance(places, Path):
        return None if rest else places
    for depth, part in enumerate(rest):
        last = depth == len(rest) - 1
        inner = [place / part for place in places if (place / part / "__init__.py").is_file()]
        if not inner and top == "kdbench" and depth == 0:
            found = _places(f"kdbench.{part}")  # a folder of its own where kdbench runs from its checkout
            inner = [] if isinstance(found, Path) else found
        if last and not inner:
            return next((place / f"{part}.py" for place in places if (place / f"{part}.py").is_file()), None)
        places = inner
    return next((place / "__init__.py" for place in places if (place / "__init__.py").is_file()), None)


def _places(name: str) -> list[Path] | Path:
    """Folders of a package, or the file of a module."""
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return []
    if found is None:
        return []
    if found.submodule_search_locations is None:
        return Path(found.origin) if found.origin and found.origin.endswith(".py") else []
    return [Path(place) for place in found.submodule_search_locations]

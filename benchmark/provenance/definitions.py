"""What a source file binds, does and uses, read off its syntax tree; nothing is imported.

The unit is the statement at module level. Its text is what can change numbers: docstrings, comments, formatting,
annotations, import lines and what only type checkers or ``__main__`` see are left out of it.
"""

from __future__ import annotations

import ast
import hashlib
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kdbench.provenance.scopes import (
    AnyImport,
    Import,
    Use,
    bound_names,
    dotted,
    imported_names,
    loaded_modules,
    nodes_of_scope,
    uses,
)


@dataclass(frozen=True, eq=False)
class Statement:
    """A statement at module level; an ``if``, ``try``, ``with`` or loop is one, with all that it binds.

    Args:
        names: what it binds.
        line: where it stands.
        digest: of its text.
        uses: what it reads, functions and methods in it included.
        loads: what it imports when its functions run.
        acts: whether it changes something elsewhere, so that nobody need name it for it to matter.
    """

    names: tuple[str, ...]
    line: int
    digest: str
    uses: tuple[Use, ...]
    loads: tuple[Import, ...]
    acts: bool


@dataclass(frozen=True, eq=False)
class Source:
    """A module's statements.

    Args:
        name: of the module.
        is_package: whether modules may stand below it.
        statements: in their order, without imports.
        bindings: what binds each name, in order.
        stars: modules of which every name is imported.
        loads: what is imported when the module is.
        bases: what each class extends.
        constants: what each class sets its attributes to, where that is written out.
    """

    name: str
    is_package: bool
    statements: Sequence[Statement] = ()
    bindings: Mapping[str, Sequence[Statement | Import]] = field(default_factory=dict)
    stars: tuple[str, ...] = ()
    loads: tuple[Import, ...] = ()
    bases: Mapping[str, Sequence[tuple[str, ...]]] = field(default_factory=dict)
    constants: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


_SILENT = {"ctx", "kind", "type_comment", "type_ignores", "type_params"}
_FIELD_KINDS = re.compile(r"\b(?:ClassVar|InitVar|KW_ONLY)\b")


def read_source(code: bytes, name: str, package: str, *, is_package: bool) -> Source:
    """Read a module.

    Args:
        code: of its file.
        name: of the module.
        package: what its relative imports start from.
        is_package: whether modules may stand below it.

    Raises:
        SyntaxError: if it is not Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # doubtful escapes are for whoever imports the file
        tree = _Plain().visit(ast.parse(code))
    statements: list[Statement] = []
    bindings: dict[str, list[Statement | Import]] = {}
    bases: dict[str, list[tuple[str, ...]]] = {}
    constants: dict[str, dict[str, object]] = {}
    loads: list[Import] = []
    for node in tree.body:
        inside = list(nodes_of_scope([node]))
        for each in (n for n in inside if isinstance(n, AnyImport)):
            loads += loaded_modules(each, package)
            for bound, target in imported_names(each, package):
                bindings.setdefault(bound, []).append(target)
        if isinstance(node, AnyImport):
            continue
        statement = _statement(node, inside, package)
        statements.append(statement)
        for bound in statement.names:
            bindings.setdefault(bound, []).append(statement)
        for made in (n for n in inside if isinstance(n, ast.ClassDef)):
            parents = (base.value if isinstance(base, ast.Subscript) else base for base in made.bases)
            bases.setdefault(made.name, []).extend(filter(None, map(dotted, parents)))
            constants.setdefault(made.name, {}).update(_constants(made))
    stars = tuple(target.module for target in loads if target.name == "*")
    return Source(name, is_package, statements, bindings, stars, tuple(loads), bases, constants)


def _constants(made: ast.ClassDef) -> Iterator[tuple[str, object]]:
    for node in made.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
                yield target.id, value.value


def _statement(node: ast.stmt, inside: Sequence[ast.AST], package: str) -> Statement:
    names = tuple(dict.fromkeys(bound_names(inside)))
    acts = set(names) <= {"_"} or any(
        isinstance(n, ast.Expr | ast.Raise | ast.Assert)
        or (isinstance(n, ast.Attribute | ast.Subscript) and not isinstance(n.ctx, ast.Load))
        for n in inside
    )
    loads = [load for n in ast.walk(node) if isinstance(n, AnyImport) for load in loaded_modules(n, package)]
    digest = hashlib.sha256(_text(node).encode()).hexdigest()
    return Statement(names, node.lineno, digest, uses(node, package), tuple(loads), acts)


def _text(value: object) -> str:
    """A tree in words that are the same in every version of Python."""
    if isinstance(value, ast.AST):
        fields = ((name, inner) for name, inner in ast.iter_fields(value) if name not in _SILENT)
        said = (f"{name}={_text(inner)}" for name, inner in fields if inner is not None and inner != [])
        return f"{type(value).__name__}({','.join(said)})"
    if isinstance(value, list):
        return f"[{','.join(_text(inner) for inner in value if not isinstance(inner, AnyImport))}]"
    return ascii(value)


class _Plain(ast.NodeTransformer):
    """Takes out what no number depends on, import lines apart: the names that they bind are still to be read."""

    def __init__(self) -> None:
        self.in_class = False

    def _scope(self, node: ast.AST, *, in_class: bool) -> ast.AST:
        before, self.in_class = self.in_class, in_class
        self.generic_visit(node)
        self.in_class = before
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._scope(node, in_class=True)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._scope(node, in_class=False)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self._scope(node, in_class=False)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if self.in_class:  # dataclasses are made from these, and only these kinds of annotation make a difference
            node.annotation = ast.Constant(" ".join(_FIELD_KINDS.findall(ast.unparse(node.annotation))))
            node.simple = 1
            return self.generic_visit(node)
        if node.value is None:
            return None
        plain = ast.Assign([node.target], node.value)
        return self.visit_Assign(ast.copy_location(plain, node))

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        return None if all(_is_list_of_exports(target) for target in node.targets) else self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST | None:
        return None if _is_list_of_exports(node.target) else self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        called = node.value.func if isinstance(node.value, ast.Call) else None
        if isinstance(called, ast.Attribute) and _is_list_of_exports(called.value):
            return None
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Pass(self, node: ast.Pass) -> None:
        return None

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.AST]:
        runs = _branch_that_runs(node)
        if runs is None:
            return self.generic_visit(node)
        holder = ast.Module(runs, [])
        self.generic_visit(holder)
        return list(holder.body)


def _is_list_of_exports(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "__all__"


def _branch_that_runs(node: ast.If) -> list[ast.stmt] | None:
    """The statements that run where an ``if`` is about type checkers or the main module; None where it is not."""
    said = ast.unparse(node.test) if isinstance(node.test, ast.Name | ast.Attribute | ast.UnaryOp | ast.Compare) else ""
    if re.fullmatch(r"(\w+\.)*TYPE_CHECKING|__name__ == '__main__'|'__main__' == __name__", said):
        return node.orelse
    return node.body if re.fullmatch(r"not (\w+\.)*TYPE_CHECKING", said) else None

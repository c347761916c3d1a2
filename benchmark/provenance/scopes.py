"""Which names code binds, and which it reads from outside itself, by Python's rules of scope."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class Import(NamedTuple):
    """Where an import leads: to a module, or to a name in one."""

    module: str
    name: str = ""


class Use(NamedTuple):
    """A dotted name that code reads from outside itself.

    Args:
        chain: as it is spelled, ``a.b.c`` in three.
        through: the import in a function that its first part comes from; None where that is a name of the module.
    """

    chain: tuple[str, ...]
    through: Import | None


_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Scoped = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
AnyImport = ast.Import | ast.ImportFrom


def uses(node: ast.AST, package: str) -> tuple[Use, ...]:
    """What code reads from outside itself, in the order of the names; of one name, in the order of the code."""
    reader = _Reader(package)
    reader.visit(node)
    return tuple(sorted(reader.uses, key=lambda use: use.chain))  # stable


def nodes_of_scope(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes of a scope; functions and classes in it as nodes, without what is inside them."""
    for node in nodes:
        yield node
        if isinstance(node, _Comprehension):
            yield from (inner.target for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr))
        elif not isinstance(node, _Scoped):
            yield from nodes_of_scope(ast.iter_child_nodes(node))


def bound_names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Names that the nodes bind."""
    for node in nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, AnyImport):
            yield from (name for name, _ in imported_names(node, ""))
        elif isinstance(node, _Function | ast.ClassDef | ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
            yield from filter(None, [node.name])
        elif isinstance(node, ast.MatchMapping):
            yield from filter(None, [node.rest])


def imported_names(node: AnyImport, package: str) -> Iterator[tuple[str, Import]]:
    """Names that an import binds, and to what."""
    for alias in node.names:
        if isinstance(node, ast.Import):
            top = alias.name.split(".")[0]
            yield (alias.asname, Import(alias.name)) if alias.asname else (top, Import(top))
        elif alias.name != "*":
            yield alias.asname or alias.name, Import(_absolute(node, package), alias.name)


def loaded_modules(node: AnyImport, package: str) -> list[Import]:
    """What an import loads; the name in it may be a module too."""
    if isinstance(node, ast.Import):
        return [Import(alias.name) for alias in node.names]
    return [Import(_absolute(node, package), alias.name) for alias in node.names]


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    above = parts[: len(parts) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def dotted(node: ast.expr) -> tuple[str, ...] | None:
    """``a.b.c`` in three; None of what is no dotted name."""
    if isinstance(node, ast.Name):
        return (node.id,)
    above = dotted(node.value) if isinstance(node, ast.Attribute) else None
    return (*above, node.attr) if above and isinstance(node, ast.Attribute) else None


@dataclass
class _Scope:
    """Names that shadow those of the module, as far as the code being read."""

    names: set[str]
    imports: dict[str, list[Import]] = field(default_factory=dict)
    of_module: set[str] = field(default_factory=set)
    is_class: bool = False


class _Reader(ast.NodeVisitor):
    """Collects what a statement reads from outside itself."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.uses: dict[Use, None] = {}
        self.scopes: list[_Scope] = []

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) or (self.scopes and node.id in self.scopes[-1].of_module):
            self._use((node.id,))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        chain = dotted(node)
        if chain:
            self._use(chain)
        else:
            self.visit(node.value)

    def _use(self, chain: tuple[str, ...]) -> None:
        for scope in reversed(self.scopes):
            if scope.is_class and scope is not self.scopes[-1]:
                continue  # functions do not see the names of the class around them
            if chain[0] in scope.of_module:
                break
            if chain[0] in scope.names:
                self.uses.update(dict.fromkeys(Use(chain, target) for target in scope.imports.get(chain[0], ())))
                return
        self.uses[Use(chain, None)] = None

    def _function(self, node: _Function | ast.Lambda) -> None:
        defaults = [default for default in (*node.args.defaults, *node.args.kw_defaults) if default is not None]
        self._all([*([] if isinstance(node, ast.Lambda) else node.decorator_list), *defaults])
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        inside = list(nodes_of_scope(body))
        of_module = {name for n in inside if isinstance(n, ast.Global) for name in n.names}
        elsewhere = of_module.union(*(n.names for n in inside if isinstance(n, ast.Nonlocal)))
        arguments = {n.arg for n in ast.iter_child_nodes(node.args) if isinstance(n, ast.arg)}
        scope = _Scope((arguments | set(bound_names(inside))) - elsewhere, of_module=of_module)
        for each in (n for n in inside if isinstance(n, AnyImport)):
            for bound, target in imported_names(each, self.package):
                scope.imports.setdefault(bound, []).append(target)
                if bound in of_module:
                    self.uses[Use((bound,), target)] = None  # others have it as a name of the module
        self._within(scope, body)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _function  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._all([*node.decorator_list, *node.bases, *node.keywords])
        scope = _Scope(set(), is_class=True)
        self.scopes.append(scope)
        for statement in node.body:
            self.visit(statement)
            inside = list(nodes_of_scope([statement]))
            scope.names |= set(bound_names(inside))  # only now: ``x = x`` in a class reads the module's
            for each in (n for n in inside if isinstance(n, AnyImport)):
                for bound, target in imported_names(each, self.package):
                    scope.imports.setdefault(bound, []).append(target)
                    self.uses[Use((bound,), target)] = None  # instances have it as an attribute
        self.scopes.pop()

    def _comprehension(self, node: _Comprehension) -> None:
        first, *others = node.generators
        self.visit(first.iter)  # this one is read outside
        targets = [generator.target for generator in node.generators]
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        scope = _Scope(set(bound_names(nodes_of_scope(targets))))
        self._within(scope, [*targets, *first.ifs, *others, *results])

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815

    def _within(self, scope: _Scope, nodes: Iterable[ast.AST]) -> None:
        self.scopes.append(scope)
        self._all(nodes)
        self.scopes.pop()

    def _all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

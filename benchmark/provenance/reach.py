"""The code that something reaches, found by following names from definition to definition, and its hash.

A class is reached as a whole, with its bases. Import lines, docstrings, comments, annotations, formatting, and where
and in which order definitions stand do not count. Statements at the top of a module that bind nothing count where
anything of the module is reached. What is found by a name that is put together while running is not seen: callers name
it as one more entry.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kdbench.errors import KdbenchError
from kdbench.provenance.modules import (
    COMPREHENSIONS,
    SCOPES,
    Library,
    Module,
    Target,
    bound,
    import_targets,
    normal,
    within,
)

Scope = dict[str, list[Target] | None]
"""A name to what an import binds it to, or None where it is an ordinary local."""


@dataclass(frozen=True)
class Entry:
    """A definition to start from.

    Args:
        module: full name of its module.
        name: of the definition.
        file: where the module is a file of no package.
    """

    module: str
    name: str
    file: Path | None = None


@cache
def reached_hash(*entries: Entry) -> str:
    """Hash of all code that some definitions reach, 16 hexadecimal digits.

    Raises:
        KdbenchError: if an entry is not there or a file cannot be read as Python.
    """
    return Reach(entries).hash()


def public_class(module: str, base: Entry, file: Path | None = None) -> Entry:
    """The one public class of a module that extends a base.

    Raises:
        KdbenchError: if there is no such module, or not exactly one such class.
    """
    library = _LIBRARY if file is None else Library({module: file})
    found = library.get(module)
    if found is None:
        raise KdbenchError(f"there is no module {module}")
    classes = [
        name
        for name, statements in found.definitions.items()
        if not name.startswith("_") and isinstance(statements[0], ast.ClassDef)
        if (base.module, base.name) in Reach([Entry(module, name, file)], library, bases_only=True).reached
    ]
    if len(classes) != 1:
        raise KdbenchError(f"{found.path} defines {len(classes)} public {base.name}s, wanted exactly one")
    return Entry(module, classes[0], file)


@cache
def class_where(module: str, attribute: str, value: str) -> Entry:
    """The class of a module that sets an attribute to a text.

    Raises:
        KdbenchError: if there is none.
    """
    found = _LIBRARY.get(module)
    for name, statements in found.definitions.items() if found else ():
        body = statements[0].body if isinstance(statements[0], ast.ClassDef) else []
        if f"{attribute} = {value!r}" in map(ast.unparse, body):
            return Entry(module, name)
    raise KdbenchError(f"{module} has no class with {attribute} = {value!r}")


def class_attribute(entry: Entry, attribute: str) -> object:
    """What a class, or else the first of its bases that does, sets an attribute to, where that is written out.

    Raises:
        KdbenchError: if the class is not there.
    """
    library = _LIBRARY if entry.file is None else Library({entry.module: entry.file})
    chain = Reach([entry], library, bases_only=True)
    for statements in chain.reached.values():  # in the order in which they were met: a class before its bases
        for statement in statements[0].body if isinstance(statements[0], ast.ClassDef) else []:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            if isinstance(statement, ast.AnnAssign):
                targets = [statement.target]
            value = getattr(statement, "value", None)
            if isinstance(value, ast.Constant) and [ast.unparse(target) for target in targets] == [attribute]:
                return value.value
    return None


_LIBRARY = Library()
"""Everything that is installed, each file read once in a process."""


class Reach:
    """What some definitions reach.

    Args:
        entries: to start from.
        library: where modules are found; what is installed, and lone files that entries name.
        bases_only: whether to follow the bases of classes alone.

    Raises:
        KdbenchError: if an entry is not there or a file cannot be read as Python.
    """

    def __init__(self, entries: Sequence[Entry], library: Library | None = None, *, bases_only: bool = False) -> None:
        lone = {entry.module: entry.file for entry in entries if entry.file is not None}
        self.library = library or (Library(lone) if lone else _LIBRARY)
        self.tops = {"kdbench", *(entry.module.split(".")[0] for entry in entries)}
        self.reached: dict[tuple[str, str], list[ast.stmt]] = {}
        self._bases_only = bases_only
        self._left: list[tuple[Module, str]] = []
        for entry in entries:
            module = self.library.get(entry.module)
            if module is None or not self._find(module, entry.name, set()):
                raise KdbenchError(f"there is no {entry.name} in {entry.module}")
        while self._left:
            self._follow(*self._left.pop())

    def hash(self) -> str:
        """Of what is reached, wherever it stands."""
        return hashlib.sha256("\0".join(self.texts()).encode()).hexdigest()[:16]

    def texts(self) -> list[str]:
        """Every definition that is reached, as what counts of it is written."""
        return sorted(f"{name}\n{normal(each)}" for (_, name), found in self.reached.items() for each in found)

    def explain(self) -> list[str]:
        """What is reached, as ``module:name``."""
        return sorted(f"{module}:{name}" for module, name in self.reached)

    def _find(self, module: Module, name: str, seen: set[tuple[str, str]]) -> bool:
        """Reach a name of a module, through whatever imports it was handed on by; whether it is there."""
        if (module.name, name) in seen:
            return False
        seen.add((module.name, name))
        there = name in module.definitions
        if there and (module.name, name) not in self.reached:
            self.reached[module.name, name] = module.definitions[name]
            self._left.append((module, name))
        for target in module.imports.get(name, []):
            there = self._reach(target, [], seen) or there
        if not there:
            for star in filter(self._ours, module.stars):
                found = self.library.get(star)
                there = (found is not None and self._find(found, name, seen)) or there
        return there

    def _reach(self, target: Target, attributes: list[str], seen: set[tuple[str, str]] | None = None) -> bool:
        """Reach what an import is bound to, or an attribute of it."""
        name, inner = target
        if not self._ours(name):
            return True
        for part in [*([] if inner is None else [inner]), *attributes]:
            if self._is_module(f"{name}.{part}") and not self._defines(name, part):
                name = f"{name}.{part}"
                continue
            module = self.library.get(name)
            return module is None or self._find(module, part, set() if seen is None else seen)
        whole = self.library.get(name)  # a module passed on as it is: any of it may be used
        for part in [] if whole is None else [*whole.definitions, *whole.imports]:
            assert whole is not None
            self._find(whole, part, set() if seen is None else seen)
        return True

    def _ours(self, module: str) -> bool:
        return module.split(".")[0] in self.tops

    def _is_module(self, name: str) -> bool:
        return self.library.get(name) is not None

    def _defines(self, module: str, name: str) -> bool:
        found = self.library.get(module)
        return found is not None and name in found.definitions

    def _follow(self, module: Module, name: str) -> None:
        """Reach all that the statements of a name use, and what its module does besides."""
        for statement in module.definitions[name]:
            self._use(module, statement)
        parts = module.name.split(".")
        for depth in range(1, len(parts) + 1):  # a package's own acts come before its modules'
            above = self.library.get(".".join(parts[:depth]))
            if above is not None and above.acts and (above.name, "") not in self.reached and not self._bases_only:
                self.reached[above.name, ""] = above.acts
                for statement in above.acts:
                    self._use(above, statement)

    def _use(self, module: Module, statement: ast.stmt) -> None:
        if self._bases_only:
            bases = statement.bases if isinstance(statement, ast.ClassDef) else []
            chains = [chain for base in bases for chain in _chains(base, [], module)]
        else:
            chains = list(_chains(statement, [], module))
        for base, attributes in chains:
            if isinstance(base, str):
                if base in module.definitions or not module.imports.get(base):
                    self._find(module, base, set())
                for target in module.imports.get(base, []):
                    self._reach(target, attributes)
            else:
                self._reach(base, attributes)


def _chains(
    node: ast.AST, scopes: list[tuple[Scope, bool]], module: Module
) -> Iterator[tuple[str | Target, list[str]]]:
    """Names of the module that a node uses with the attributes taken of them, and what its own imports are bound to.

    ``scopes`` are those around it, the innermost last, each with whether it is a class's, which functions in it do not
    see.
    """
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((target, []) for name, target in _targets(node, module) if target[1] is not None)
        return
    if isinstance(node, ast.Name | ast.Attribute):
        attributes: list[str] = []
        inner: ast.AST = node
        while isinstance(inner, ast.Attribute):
            attributes.insert(0, inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name):
            yield from _chains(inner, scopes, module)
            return
        found = next((scope[inner.id] for scope, _ in reversed(scopes) if inner.id in scope), ())
        if found == ():
            yield inner.id, attributes
        for target in found or ():
            yield target, attributes
        return
    if isinstance(node, SCOPES):
        yield from _of_scope(node, scopes, module)
        return
    if isinstance(node, COMPREHENSIONS):
        targets = {name: None for generator in node.generators for name in bound(generator.target)}
        scopes = [*scopes, (dict(targets), False)]
    for child in ast.iter_child_nodes(node):
        yield from _chains(child, scopes, module)


def _of_scope(
    node: ast.AST, scopes: list[tuple[Scope, bool]], module: Module
) -> Iterator[tuple[str | Target, list[str]]]:
    """What a function or a class uses: decorators, defaults and bases outside of it, the body inside."""
    is_class = isinstance(node, ast.ClassDef)
    body = node.body if isinstance(node.body, list) else [node.body]  # type: ignore[attr-defined]
    for child in ast.iter_child_nodes(node):
        if child not in body:
            yield from _chains(child, scopes, module)
    own: Scope = {}
    for statement in body:
        own |= dict.fromkeys(bound(statement))
        for inner in within(statement):
            if isinstance(inner, ast.Import | ast.ImportFrom):
                for name, target in _targets(inner, module):
                    own[name] = [*(own.get(name) or []), target]
    arguments = getattr(node, "args", None)
    own |= {arg.arg: None for arg in ast.walk(arguments) if isinstance(arg, ast.arg)} if arguments else {}
    declared = {
        name
        for statement in body
        for inner in within(statement)
        if isinstance(inner, ast.Global | ast.Nonlocal)
        for name in inner.names
    }
    own = {name: target for name, target in own.items() if name not in declared}
    visible = scopes if is_class else [(scope, of_class) for scope, of_class in scopes if not of_class]
    for statement in body:
        yield from _chains(statement, [*visible, (own, is_class)], module)


def _targets(statement: ast.Import | ast.ImportFrom, module: Module) -> Iterator[tuple[str, Target]]:
    return import_targets(statement, module.name, package=module.package)

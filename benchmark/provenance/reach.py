"""A hash of the code that numbers reach, so that a result is called stale when that code changed, and only then.

From an entry point, names are followed statement by statement through the package that it lies in, and through kdbench;
from a file of no package through those that it imports, if they are neither Python's own nor installed.
No code is imported for it. A class counts as a whole, with its decorators and bases; a module that is used as a value
counts as all that it defines; so does one of which a name is asked that it does not visibly define. Statements that
act rather than define, such as ``torch.set_default_dtype(...)``, count for every module that is loaded on the way.

Not counted: docstrings, comments, formatting, annotations, the order of definitions, import lines, and the module that
a definition lies in. Other libraries are not followed, but which of their names is meant counts.

It cannot see names that are computed. ``getattr(module, name)`` counts the whole module; not followed are a class that
a catalogue finds by a string, ``importlib.import_module(...)``, what a decorator registered elsewhere, and the class of
an argument that only an annotation names. Whoever depends on such things names them as further entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from kdbench.errors import KdbenchError, nearest
from kdbench.provenance.definitions import Source, Statement
from kdbench.provenance.modules import forget_sources, is_file, is_loose, source_of
from kdbench.provenance.scopes import Import

HOME = __name__.partition(".")[0]
"""The package that is followed from everywhere."""

_OF_EVERY_MODULE = {"__name__", "__file__", "__doc__", "__path__", "__spec__", "__package__", "__loader__"}


class CodeUnavailable(KdbenchError):
    """An entry's code is not on this machine, such as that of a plug-in which is not installed: its hash is unknown."""


@dataclass(frozen=True)
class Entry:
    """Where following begins.

    Args:
        module: full name of the module, or the absolute path of a file that belongs to no package.
        name: what the module binds, itself or by an import.
    """

    module: str
    name: str

    @classmethod
    def of_file(cls, path: Path, name: str) -> Entry:
        """A definition in a file that belongs to no package."""
        return cls(str(path.resolve()), name)

    @classmethod
    def extending(cls, base: Entry, module: str | Path) -> Entry:
        """The one public class in a module, or in a file that belongs to no package, that extends a class.

        Raises:
            KdbenchError: if there is none or more than one.
        """
        source = _entered(str(module.resolve()) if isinstance(module, Path) else module)
        above = frozenset(_start(base))
        public = [name for name in source.bases if not name.startswith("_") and _extends(source, name, above)]
        if len(public) != 1:
            raise KdbenchError(f"{source.name} defines {len(public)} public {base.name}, wanted exactly one")
        return cls(source.name, public[0])

    @classmethod
    def whole(cls, module: str) -> tuple[Entry, ...]:
        """All that a module binds, for a class that it makes in a way that cannot be seen.

        Raises:
            CodeUnavailable: if there is no source of the module.
        """
        return tuple(cls(module, name) for name in sorted(_entered(module).bindings))

    @classmethod
    def stating(cls, module: str, attribute: str, value: object) -> Entry:
        """The class of a module that sets an attribute to a value.

        Raises:
            CodeUnavailable: if there is none.
        """
        for name, constants in _entered(module).constants.items():
            if constants.get(attribute) == value:
                return cls(module, name)
        raise CodeUnavailable(f"{module} has no class with {attribute} = {value!r}")

    def attribute(self, name: str) -> object:
        """What the class, or else the first of its bases that does, sets an attribute to; None where it is not written.

        Raises:
            CodeUnavailable: if the class is not there.
        """
        todo = [(place.module, each) for place in _start(self) for each in place.statement.names]
        for module, each in todo:  # grows
            source = _entered(module)
            if name in source.constants.get(each, {}):
                return source.constants[each][name]
            for chain in source.bases.get(each, ()):
                above = [target for target in _named(source, chain) if isinstance(target, _Place)]
                todo += [(target.module, other) for target in above for other in target.statement.names]
        return None


class _Place(NamedTuple):
    """A statement and its module."""

    module: str
    statement: Statement


class _Whole(NamedTuple):
    """A module as a value."""

    module: str


_Target = _Place | _Whole | str
_Seen = frozenset[tuple[str, str]]


def reached_hash(*entries: Entry) -> str:
    """Hash of all code that the entries reach, 16 hex digits.

    Raises:
        CodeUnavailable: if an entry is not there.
        KdbenchError: if a file on the way is not Python or cannot be read.
    """
    places = list(_reached(entries))
    lines = {_line(place) for place in places} | {line for place in places for line in _orders(place)}
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def _orders(place: _Place) -> Iterator[str]:
    """In which order a module's statements act, and in which a name is bound more than once: there it matters."""
    source = source_of(place.module)
    assert source is not None
    groups = [
        [bound for bound in source.bindings[name] if isinstance(bound, Statement)] for name in place.statement.names
    ]
    groups += [[each for each in source.statements if each.acts]] if place.statement.acts else []
    yield from (" ".join(each.digest for each in group) for group in groups if len(group) > 1)


def explain(*entries: Entry) -> list[str]:
    """What the entries reach, each as ``module:name``; a statement that acts and binds nothing by its line.

    Raises:
        CodeUnavailable: if an entry is not there.
        KdbenchError: if a file on the way is not Python or cannot be read.
    """
    found = set()
    for module, statement in _reached(entries):
        found |= {f"{module}:{name}" for name in statement.names or [f"<line {statement.line}>"]}
    return sorted(found)


def forget() -> None:
    """Read files anew from now on; a process reads each once."""
    forget_sources()
    for known in (_all, _targets, _line):
        known.cache_clear()


def _reached(entries: Iterable[Entry]) -> Iterator[_Place]:
    todo: list[_Place | str] = [place for entry in entries for place in _start(entry)]
    seen = set()
    while todo:
        item = todo.pop()
        if item in seen:
            continue
        seen.add(item)
        if isinstance(item, _Place):
            yield item
            todo.append(item.module)
            todo += (target for _, targets in _targets(item) for target in targets if isinstance(target, _Place))
            todo += _loads(item.module, item.statement.loads)
        elif source := source_of(item):
            todo += (_Place(item, statement) for statement in source.statements if statement.acts)
            todo += [*_loads(item, source.loads), *_parents(item)]


def _start(entry: Entry) -> list[_Place]:
    source = _entered(entry.module)
    found = list(_expanded(_named(source, tuple(entry.name.split(".")))))
    places = [target for target in found if isinstance(target, _Place)]
    if places:
        return places
    if found:
        raise CodeUnavailable(f"{entry.module}:{entry.name} is {found[0]}, which is not code of its package")
    if entry.name in source.bindings:
        raise CodeUnavailable(f"{entry.module}:{entry.name} leads to no code")
    raise CodeUnavailable(nearest(entry.module, entry.name, source.bindings))


def _entered(module: str) -> Source:
    source = source_of(module)
    if source is None:
        raise CodeUnavailable(f"there is no source of {module} here")
    return source


@cache
def _line(place: _Place) -> str:
    """A statement's text and, for each name in it, the text of what that leads to."""
    parts = [place.statement.digest]
    for spelled, targets in _targets(place):
        parts += [spelled, *(each if isinstance(each, str) else each.statement.digest for each in targets)]
    return " ".join(parts)


@cache
def _targets(place: _Place) -> tuple[tuple[str, tuple[_Place | str, ...]], ...]:
    """What the names in a statement lead to; those that lead to no code that can be followed, as full names."""
    source = source_of(place.module)
    assert source is not None
    pairs = []
    for use in place.statement.uses:
        found = _named(source, use.chain) if use.through is None else _behind(source, use.through, use.chain[1:])
        pairs.append((".".join(use.chain), tuple(dict.fromkeys(_expanded(found)))))
    return tuple((spelled, targets) for spelled, targets in pairs if targets)


def _expanded(found: Iterable[_Target]) -> Iterator[_Place | str]:
    for target in found:
        if isinstance(target, _Whole):
            yield from _all(target.module)
        else:
            yield target


def _named(source: Source, chain: tuple[str, ...], seen: _Seen = frozenset()) -> Iterator[_Target]:
    """What a name that a module binds leads to; nothing if it binds none, as builtins.

    Args:
        source: the module.
        chain: the name, and what is asked of it.
        seen: names on the way here, for imports that go round in circles.
    """
    if (source.name, chain[0]) in seen:
        return
    seen |= {(source.name, chain[0])}
    for each in _with_stars(source):
        for binding in each.bindings.get(chain[0], ()):
            if isinstance(binding, Statement):
                yield _Place(each.name, binding)
            else:
                yield from _behind(each, binding, chain[1:], seen)


def _behind(source: Source, target: Import, rest: tuple[str, ...], seen: _Seen = frozenset()) -> Iterator[_Target]:
    """What an import leads to."""
    chain = (*filter(None, [target.name]), *rest)
    inner = source_of(target.module) if _followed(source.name, target.module) else None
    if inner is None:
        yield ".".join([target.module, *chain])
    else:
        yield from _attribute(inner, chain, seen)


def _attribute(source: Source, chain: tuple[str, ...], seen: _Seen) -> Iterator[_Target]:
    """What a dotted name leads to from a module: a definition, through modules; else the whole module."""
    if not chain:
        yield _Whole(source.name)
    elif found := list(_named(source, chain, seen)):
        yield from found
    elif source.is_package and (inner := source_of(f"{source.name}.{chain[0]}")):
        yield from _attribute(inner, chain[1:], seen)
    elif chain[0] not in _OF_EVERY_MODULE:
        yield _Whole(source.name)


@cache
def _all(module: str) -> tuple[_Place, ...]:
    """All that a module defines, and the definitions that it imports, but not other modules whole."""
    source = source_of(module)
    assert source is not None
    found: set[_Target] = set()
    for each in _with_stars(source):
        found |= {_Place(each.name, statement) for statement in each.statements}
        for name, bound in each.bindings.items():
            if any(isinstance(binding, Import) and binding.name for binding in bound):
                found.update(_named(each, (name,)))
    places = [target for target in found if isinstance(target, _Place)]
    return tuple(sorted(places, key=lambda place: place.statement.digest))


def _with_stars(source: Source) -> list[Source]:
    """A module and all whose names it has by ``import *``."""
    found = [source]
    for each in found:  # grows
        stars = (source_of(star) for star in each.stars if _followed(each.name, star))
        found += [star for star in stars if star and star not in found]
    return found


def _extends(source: Source, name: str, above: frozenset[_Place], seen: _Seen = frozenset()) -> bool:
    """Whether a class extends one of those above, itself or by its bases."""
    if (source.name, name) in seen:
        return False
    seen |= {(source.name, name)}
    for chain in source.bases.get(name, ()):
        for target in _named(source, chain):
            if target in above:
                return True
            inner = source_of(target.module) if isinstance(target, _Place) else None
            names = target.statement.names if isinstance(target, _Place) else ()
            if inner and any(_extends(inner, other, above, seen) for other in names):
                return True
    return False


def _followed(source: str, target: str) -> bool:
    """Whether an import is followed: within a package, into kdbench from anywhere, from a file into those beside it."""
    if target.partition(".")[0] in (HOME, source.partition(".")[0]):
        return True
    return is_loose(target) and (is_file(source) or is_loose(source))


def _loads(source: str, targets: Iterable[Import]) -> Iterator[str]:
    """Modules that imports load."""
    for module, name in targets:
        if _followed(source, module):
            yield from (module, *_parents(module), *([f"{module}.{name}"] if name else []))


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [] if is_file(module) else [".".join(parts[:end]) for end in range(1, len(parts))]

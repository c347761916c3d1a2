"""What `kdbench list` and `kdbench show` say."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kdbench.catalog.find import DATASETS, METHODS, NETWORKS, REFERENCES, Catalog
from kdbench.catalog.schema import Setting, settings_of
from kdbench.data import PROTOCOLS
from kdbench.errors import KdbenchError, nearest
from kdbench.methods import Method
from kdbench.references import Reference
from kdbench.settings import Choice
from kdbench.spec.matrix import Matrix, shipped_matrices
from kdbench.spec.pairs import pair_lists
from kdbench.spec.recipe import RECIPES
from kdbench.spec.words import show_value
from kdbench.text import aligned, counted, first_line

KINDS: tuple[tuple[str, Catalog[Any]], ...] = (
    *(("method", METHODS), ("reference", REFERENCES)),
    *(("network", NETWORKS), ("dataset", DATASETS)),
)
"""Classes that have a page, by what each is."""


def listing(kind: str | None) -> str:
    """A table of one kind of thing, or of every kind.

    Raises:
        KdbenchError: if there is no such kind.
    """
    kinds: dict[str, Callable[[], list[list[str]]]] = {
        "methods": _methods,
        "networks": _networks,
        "references": lambda: _each(REFERENCES, lambda cls: [summary(cls)], 1),
        "datasets": lambda: _each(DATASETS, lambda cls: [summary(cls)], 1),
        "matrices": lambda: [[name, Matrix.load(name).description] for name in shipped_matrices()],
        "pairs": lambda: [[name, str(len(some.pairs)), some.description] for name, some in pair_lists().items()],
        "recipes": lambda: [[r.name, f"{r.epochs} epochs, batch {r.batch_size}", r.remark] for r in RECIPES.values()],
        "protocols": lambda: [[name, meaning] for name, meaning in PROTOCOLS.items()],
    }
    if kind is not None and kind not in kinds:
        raise KdbenchError(nearest("kinds of things to list", kind, [*kinds, "runs"]))
    wanted = list(kinds) if kind is None else [kind]
    parts = []
    for each in wanted:
        rows = kinds[each]()
        head = [] if kind is not None else [f"{each}:"]
        parts.append("\n".join(head + aligned(rows)))
    return "\n\n".join(parts)


def page(name: str) -> str:
    """Everything about a method, network, dataset, matrix, list of pairs, recipe or protocol of that name.

    Or about the method or network that a ``.py`` file defines, or the matrix of a ``.toml`` or of a store's ``.json``.

    Raises:
        KdbenchError: if there is none.
    """
    if name.endswith(".py"):
        return _file_page(Path(name))
    if name.endswith((".toml", ".json")):
        return _matrix_page(Matrix.load(name))
    parts = []
    for kind, catalog in KINDS:
        if name in catalog.names():
            parts.append(_class_page(name, kind, catalog.get(name)))
    if name in shipped_matrices():
        parts.append(_matrix_page(Matrix.load(name)))
    if name in pair_lists():
        rows = [[f"{teacher}:{student}"] for teacher, student in pair_lists()[name].pairs]
        parts.append("\n".join([f"{name} (pairs)", "", pair_lists()[name].description, "", *aligned(rows)]))
    if name in RECIPES:
        rows = [[key, str(value)] for key, value in vars(RECIPES[name]).items() if key != "name"]
        parts.append("\n".join([f"{name} (recipe)", "", *aligned(rows)]))
    if name in PROTOCOLS:
        parts.append(f"{name} (protocol)\n\n{PROTOCOLS[name]}")
    if not parts:
        names = [name for _, catalog in KINDS for name in catalog.names()]
        names += [*shipped_matrices(), *pair_lists(), *RECIPES, *PROTOCOLS]
        bare = name.partition("(")[0].strip()
        if bare != name and bare in names:
            raise KdbenchError(f"{name!r} has settings; `kdbench show {bare}` shows which it takes")
        raise KdbenchError(nearest("anything that kdbench knows", name, dict.fromkeys(names)))
    return "\n\n\n".join(parts)


def _file_page(path: Path) -> str:
    """Of a method, or else of a network."""
    try:
        return _class_page(path.stem, "method", METHODS.read(path))
    except KdbenchError as error:
        try:
            return _class_page(path.stem, "network", NETWORKS.read(path))
        except KdbenchError:
            raise error from None


def _class_page(name: str, kind: str, cls: type) -> str:
    lines = [f"{name} ({kind})", "", inspect.getdoc(cls) or ""]
    if issubclass(cls, Reference):
        lines += ["", f"stands among the methods of a matrix and is no method: {cls.note}"]
    if issubclass(cls, Method):
        lines += ["", f"kind: {cls.kind}; roles of the teacher: {', '.join(cls.roles)}"]
        checked = ", ".join(cls.checked_against) or "none"
        lines.append(f"checked against reference numbers of independent public code: {checked}")
        lines += [f"note: {cls.note}"] if cls.note else []
        lines += [f"preset {preset}: {chosen(settings) or 'the defaults'}" for preset, settings in cls.presets.items()]
    rows = [_setting(setting) for setting in settings_of(cls).values()]
    lines += ["", "settings:" if rows else "settings: none", *("  " + line for line in aligned(rows))]
    return "\n".join(lines)


def chosen(settings: Mapping[str, Any]) -> str:
    """Settings as they are written in a matrix."""
    return ", ".join(f"{key}={show_value(value)}" for key, value in settings.items())


def _each(catalog: Catalog[Any], row: Callable[[Any], list[str]], columns: int) -> list[list[str]]:
    """A row for each class, of so many columns beside the name; what a plug-in breaks is its own."""
    rows = []
    for name in catalog.names():
        try:
            rows.append([name, *row(catalog.get(name))])
        except Exception as error:  # somebody's file
            rows.append([name, *[""] * (columns - 1), f"broken: {first_line(error)}"])
    return rows


def _methods() -> list[list[str]]:
    rows = _each(METHODS, lambda cls: [cls.kind, "/".join(cls.roles), year(cls), summary(cls)], 4)
    return [["name", "kind", "teacher", "year", "what it does"], *_by_kind(rows)]


def _networks() -> list[list[str]]:
    return [["name", "family", "what it is"], *_by_kind(_each(NETWORKS, lambda cls: [cls.family, summary(cls)], 2))]


def _by_kind(rows: list[list[str]]) -> list[list[str]]:
    """Sorted by kind and name, what is broken last."""
    return sorted(rows, key=lambda row: (not row[1], row[1], row[0]))


def summary(cls: type) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(cls) or "").split("\n", 1)[0].rstrip(".")


def year(cls: type) -> str:
    """The year that the source of a docstring is of; numbers of preprints are none."""
    source = (inspect.getdoc(cls) or "").partition("Source: ")[2].partition("\n\n")[0]
    found = re.search(r"\b(?:19|20)\d\d\b(?!\.\d)", source)
    return found[0] if found else ""


def legal_values(setting: Setting) -> str:
    return "" if setting.legal is None else str(setting.legal)


def search_values(setting: Setting) -> str:
    """What a hyper-parameter search draws from; empty where it keeps the default."""
    legal = setting.legal
    if legal is None or legal.search is None:
        return ""
    if isinstance(legal, Choice):
        return "{" + ", ".join(map(str, legal.search)) + "}"
    return f"[{legal.search[0]:g}, {legal.search[1]:g}]" + (" log" if legal.log else "")


def _setting(setting: Setting) -> list[str]:
    search = search_values(setting)
    shown = [setting.name, setting.type.__name__, show_value(setting.default), legal_values(setting)]
    return [*shown, f"search {search}" if search else "not searched"]


def _matrix_page(matrix: Matrix) -> str:
    """What a matrix means, every key written out."""
    recipe = ", ".join(f"{key}={value}" for key, value in matrix.recipe.settings.items())
    said = {
        "datasets": [str(spec) for spec in matrix.datasets],
        "fallback": [str(matrix.fallback)] if matrix.fallback else [],
        "pairs": [f"{teacher}:{student}" for teacher, student in matrix.pairs],
        "methods": [f"{row.label} = {row.method}" if row.label else str(row.method) for row in matrix.methods],
        "seeds": [", ".join(map(str, matrix.seeds))],
        "protocol": [matrix.protocol],
        "recipe": [f"{matrix.recipe.name}: {recipe}", *filter(None, [matrix.recipe.remark])],
    }
    rows = [[key if first else "", text] for key, texts in said.items() for first, text in _marked(texts)]
    seeds, blocks = len(matrix.seeds), len(matrix.datasets) * len(matrix.pairs)
    size = f"{counted(blocks, 'block')} of {counted(2 + len(matrix.methods), 'row')}, each at {counted(seeds, 'seed')}"
    return "\n".join([f"{matrix.name} (matrix)", "", *filter(None, [matrix.description]), size, "", *aligned(rows)])


def _marked(texts: list[str]) -> list[tuple[bool, str]]:
    return [(number == 0, text) for number, text in enumerate(texts)]

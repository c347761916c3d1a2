"""What `kdbench list` and `kdbench show` say."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kdbench.catalog.find import DATASETS, METHODS, NETWORKS
from kdbench.catalog.schema import Setting, settings_of
from kdbench.data import PROTOCOLS
from kdbench.errors import KdbenchError, nearest
from kdbench.methods import Method
from kdbench.settings import Choice
from kdbench.spec.matrix import Matrix, shipped_matrices
from kdbench.spec.pairs import pair_lists
from kdbench.spec.recipe import RECIPES
from kdbench.spec.words import show_value
from kdbench.text import aligned


def listing(kind: str | None) -> str:
    """A table of one kind of thing, or of every kind.

    Raises:
        KdbenchError: if there is no such kind.
    """
    kinds: dict[str, Callable[[], list[list[str]]]] = {
        "methods": _methods,
        "networks": _networks,
        "datasets": lambda: [[name, summary(DATASETS.get(name))] for name in DATASETS.names()],
        "matrices": lambda: [[name, Matrix.load(name).description] for name in shipped_matrices()],
        "pairs": lambda: [[name, str(len(some.pairs)), some.description] for name, some in pair_lists().items()],
        "recipes": lambda: [[r.name, f"{r.epochs} epochs, batch {r.batch_size}", r.note] for r in RECIPES.values()],
        "protocols": lambda: [[name, meaning] for name, meaning in PROTOCOLS.items()],
    }
    if kind is not None and kind not in kinds:
        raise KdbenchError(nearest("kinds of things to list", kind, kinds))
    wanted = list(kinds) if kind is None else [kind]
    parts = []
    for each in wanted:
        rows = kinds[each]()
        head = [] if kind is not None else [f"{each}:"]
        parts.append("\n".join(head + aligned(rows)))
    return "\n\n".join(parts)


def page(name: str) -> str:
    """Everything about a method, network, dataset, matrix, list of pairs, recipe or protocol of that name.

    Or about the method that a ``.py`` file defines.

    Raises:
        KdbenchError: if there is none.
    """
    if name.endswith(".py"):
        return _class_page(Path(name).stem, "method", METHODS.read(Path(name)))
    parts = []
    for kind, catalog in (("method", METHODS), ("network", NETWORKS), ("dataset", DATASETS)):
        if name in catalog.names():
            parts.append(_class_page(name, kind, catalog.get(name)))
    if name in shipped_matrices():
        matrix = Matrix.load(name)
        rows = [[key, ", ".join(value) if isinstance(value, list) else str(value)] for key, value in _outline(matrix)]
        parts.append("\n".join([f"{name} (matrix)", "", matrix.description, "", *aligned(rows)]))
    if name in pair_lists():
        rows = [[f"{teacher}:{student}"] for teacher, student in pair_lists()[name].pairs]
        parts.append("\n".join([f"{name} (pairs)", "", pair_lists()[name].description, "", *aligned(rows)]))
    if name in RECIPES:
        rows = [[key, str(value)] for key, value in vars(RECIPES[name]).items() if key != "name"]
        parts.append("\n".join([f"{name} (recipe)", "", *aligned(rows)]))
    if name in PROTOCOLS:
        parts.append(f"{name} (protocol)\n\n{PROTOCOLS[name]}")
    if not parts:
        names = [*METHODS.names(), *NETWORKS.names(), *DATASETS.names()]
        names += [*shipped_matrices(), *pair_lists(), *RECIPES, *PROTOCOLS]
        bare = name.partition("(")[0].strip()
        if bare != name and bare in names:
            raise KdbenchError(f"{name!r} has settings; `kdbench show {bare}` shows which it takes")
        raise KdbenchError(nearest("anything that kdbench knows", name, dict.fromkeys(names)))
    return "\n\n\n".join(parts)


def _class_page(name: str, kind: str, cls: type) -> str:
    lines = [f"{name} ({kind})", "", inspect.getdoc(cls) or ""]
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


def _methods() -> list[list[str]]:
    rows = []
    for name in METHODS.names():
        cls = METHODS.get(name)
        rows.append([name, cls.kind, "/".join(cls.roles), year(cls), summary(cls)])
    return [["name", "kind", "teacher", "year", "what it does"], *sorted(rows, key=lambda row: (row[1], row[0]))]


def _networks() -> list[list[str]]:
    rows = [[name, NETWORKS.get(name).family, summary(NETWORKS.get(name))] for name in NETWORKS.names()]
    return [["name", "family", "what it is"], *sorted(rows, key=lambda row: (row[1], row[0]))]


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


def _outline(matrix: Matrix) -> list[tuple[str, object]]:
    return [
        ("datasets", list(map(str, matrix.datasets))),
        ("pairs", [f"{teacher}:{student}" for teacher, student in matrix.pairs]),
        ("methods", [row.name for row in matrix.methods]),
        ("seeds", list(map(str, matrix.seeds))),
        ("protocol", matrix.protocol),
        ("recipe", matrix.recipe.name),
    ]

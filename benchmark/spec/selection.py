"""What a user selects on the command line, or from Python, as a matrix."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kdbench.errors import KdbenchError, nearest
from kdbench.spec.classes import name_of, pair_of
from kdbench.spec.matrix import Matrix, MethodRow, matrix_name
from kdbench.spec.pairs import parse_pairs
from kdbench.spec.preset import Preset
from kdbench.spec.recipe import SEARCHED, parse_recipe
from kdbench.spec.seeds import automatic, parse_seeds
from kdbench.spec.teachers import gate_named
from kdbench.spec.words import Spec, Value, called, listed, parse_method, parse_value


@dataclass(frozen=True)
class Selection:
    """What the user asked for, as the command line has it; empty means as the matrix has it.

    ``stored`` names a matrix that was run in the store, in place of ``config``; ``name`` is what this one is called.
    ``teachers`` are weights that were imported into the store, by the beginnings of their hashes.

    Where several may stand, a text is one or, with commas between them, several. From Python a class may stand for the
    name of a method, and a teacher and a student, each a name or a class, for a pair.

    Raises:
        KdbenchError: if something is no text, nor a class that has a name or a file.
    """

    config: str | None = None
    datasets: tuple[str, ...] = ()
    pairs: tuple[Any, ...] = ()  # texts, once made
    methods: tuple[Any, ...] = ()
    seeds: str | None = None
    recipe: str | None = None
    protocol: str | None = None
    settings: tuple[str, ...] = ()
    stored: str | None = None
    name: str | None = None
    preset: str | None = None
    max_seeds: int | None = None
    teacher_gate: str | None = None
    teachers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key in ("datasets", "pairs", "methods", "settings", "teachers"):
            given: object = _with_names(key, getattr(self, key))
            texts = [given] if isinstance(given, str) else given
            if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
                raise KdbenchError(f"{key} is {given!r}, wanted a text, or a list of texts")
            if key != "settings":
                texts = [part for text in texts for part in listed(text)]
            object.__setattr__(self, key, tuple(texts))

    def matrix(self, base: Matrix | None = None) -> Matrix:
        """The matrix that was selected.

        Args:
            base: what the rest is taken from where no matrix was selected; ``quick`` by default.

        Raises:
            KdbenchError: if something selected has a wrong form.
        """
        matrix = base if base is not None and self.config is None else Matrix.load(self.config or "quick")
        if self.datasets:
            matrix = replace(matrix, datasets=tuple(map(Spec.parse, self.datasets)), fallback=None)
        if self.pairs:
            matrix = replace(matrix, pairs=parse_pairs(self.pairs))
        if self.methods:
            matrix = replace(matrix, methods=tuple(MethodRow(parse_method(text)) for text in self.methods))
        if self.seeds is not None or self.max_seeds is not None:
            seeds, budget = automatic(self.seeds, self.max_seeds) or (parse_seeds(self.seeds), 0)
            matrix = replace(matrix, seeds=seeds, max_seeds=budget)
        if self.recipe is not None:
            matrix = replace(matrix, recipe=parse_recipe(self.recipe))
        if self.protocol is not None:
            matrix = replace(matrix, protocol=self.protocol)
        if self.name is not None:
            matrix = replace(matrix, name=matrix_name(self.name))
        if self.preset is not None:
            matrix = replace(matrix, preset=Preset.load(Path(self.preset)))
        if self.teacher_gate is not None:
            matrix = replace(matrix, teacher_gate=gate_named(self.teacher_gate))
        return _with_settings(matrix, self.settings)


def _with_names(key: str, given: object) -> object:
    """The same with names in place of classes."""
    if key == "methods" and inspect.isclass(given):
        return name_of(given, key)
    if not isinstance(given, list | tuple):
        return given
    if key == "methods":
        return [name_of(each, key) if inspect.isclass(each) else each for each in given]
    if key == "pairs":
        return [pair_of(each) if isinstance(each, list | tuple) else each for each in given]
    return given


def _with_settings(matrix: Matrix, settings: tuple[str, ...]) -> Matrix:
    changes: dict[str, dict[str, Value]] = {}
    for text in settings:
        target, equals, value = text.partition("=")
        name, dot, key = target.strip().partition(".")
        if not (equals and dot and name and key and value.strip()):
            raise KdbenchError(f"-S {text!r} is not of the form method.key=value or recipe.key=value")
        changes.setdefault(name, {})[key] = parse_value(value.strip())
    names = [called(row.method) for row in matrix.methods]
    for name in changes:
        if name not in ("recipe", *names):
            raise KdbenchError(nearest("the methods selected, nor 'recipe'", name, names))

    def changed(row: MethodRow) -> MethodRow:
        change = changes.get(called(row.method), {})
        return replace(row, method=Spec(row.method.name, {**row.method.settings, **change}))

    twice = [key for key in SEARCHED if key in changes.get("recipe", {})]
    if twice and matrix.preset is not None:
        raise KdbenchError(f"-S recipe.{twice[0]} and the preset {matrix.preset.name} both say it; drop one of them")
    recipe = matrix.recipe.changed(changes.get("recipe", {}))
    return replace(matrix, methods=tuple(map(changed, matrix.methods)), recipe=recipe)

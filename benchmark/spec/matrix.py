"""A matrix: what is to be run, as people write it in TOML."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from kdbench.errors import KdbenchError, nearest
from kdbench.spec.pairs import parse_pairs
from kdbench.spec.preset import Preset
from kdbench.spec.recipe import RECIPES, Recipe, parse_recipe
from kdbench.spec.seeds import AUTO, automatic, parse_seeds
from kdbench.spec.teachers import GATES, Imported, gate_named
from kdbench.spec.words import Spec, Value, parse_method, text_of, texts_of

RUN_AT, BEGUN_AT = "run_at", "begun_at"
"""What a store adds to the JSON of a matrix: when it was run last, and when first."""


@dataclass(frozen=True)
class MethodRow:
    """A method as a matrix lists it; several rows may be one method with other settings.

    Args:
        method: name and settings; ``role`` and ``preset`` may stand among them.
        label: what the table calls the row; by default the method as written.
    """

    method: Spec
    label: str = ""

    @property
    def name(self) -> str:
        return self.label or str(self.method)


@dataclass(frozen=True)
class Matrix:
    """Datasets x teacher-student pairs x methods x seeds, under one protocol and one recipe.

    The teacher and the student alone are always part of it: every gain is measured from the student alone.

    Args:
        name: what the table is called.
        datasets: datasets with settings.
        pairs: (teacher, student) networks with settings; in a file, lists of pairs may stand among them by name.
        methods: the rows.
        seeds: one run of everything for each.
        protocol: how people are divided.
        recipe: how networks are trained.
        fallback: dataset to run on, loudly, where a dataset of the matrix cannot be had and the user named none.
        description: what it is for, one line.
        preset: settings that a search found, which take the place of defaults.
        max_seeds: at most how many seeds are run where they are added as they are needed; 0 where they are stated.
        teacher_gate: what becomes of cells whose teacher is no better than their student alone, of `GATES`.
        teachers: weights that take the place of training a teacher.
    """

    name: str
    datasets: tuple[Spec, ...]
    pairs: tuple[tuple[Spec, Spec], ...]
    methods: tuple[MethodRow, ...]
    seeds: tuple[int, ...]
    protocol: str = "subject-v1"
    recipe: Recipe = RECIPES["har"]
    fallback: Spec | None = None
    description: str = ""
    preset: Preset | None = None
    max_seeds: int = 0
    teacher_gate: str = GATES[0]
    teachers: tuple[Imported, ...] = ()

    @classmethod
    def load(cls, source: str) -> Matrix:
        """Read a matrix by the name of a shipped one, or by the path of a TOML file or of the JSON that a store keeps.

        Raises:
            KdbenchError: if there is none, or it is not a valid matrix.
        """
        if source in shipped_matrices():
            text = files("kdbench").joinpath("matrices", f"{source}.toml").read_text(encoding="utf-8")
            return cls.from_toml(text, source, source)
        path = Path(source)
        if path.is_dir():
            raise KdbenchError(f"{path} is a folder; wanted a shipped matrix by name, or a file")
        if not path.is_file():
            raise KdbenchError(nearest("shipped matrices, nor such a file", source, shipped_matrices()))
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise KdbenchError(
                f"{path} is not UTF-8 text: byte {error.start} is {error.object[error.start]:#x}"
            ) from None
        except OSError as error:
            raise KdbenchError(f"cannot read {path}: {error.strerror or error}") from None
        read = cls.from_json if path.suffix == ".json" else cls.from_toml
        return read(text, path.stem, str(path))

    @classmethod
    def from_json(cls, text: str, name: str, where: str) -> Matrix:
        """Read a matrix from the JSON that a store keeps; the arguments are those of `from_toml`."""
        try:
            table = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise KdbenchError(f"{where}: not valid JSON: {error}") from None
        if not isinstance(table, dict):
            raise KdbenchError(f"{where}: wanted a table, as a store keeps under matrices/")
        for told in (RUN_AT, BEGUN_AT):
            table.pop(told, None)
        return cls._named(table, name, where)

    @classmethod
    def from_toml(cls, text: str, name: str, where: str) -> Matrix:
        """Read a matrix from TOML text; ``name`` is used where the text gives none, ``where`` in error messages."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise KdbenchError(f"{where}: not valid TOML: {error}") from None
        return cls._named(table, name, where)

    @classmethod
    def _named(cls, table: Mapping[str, Any], name: str, where: str) -> Matrix:
        try:
            return cls.from_plain({"name": name, **table})
        except KdbenchError as error:
            raise KdbenchError(f"{where}: {error}") from None

    @classmethod
    def from_plain(cls, table: Mapping[str, Any]) -> Matrix:
        """Read a matrix from plain data, the form of a TOML file or of `plain`.

        Raises:
            KdbenchError: if a key is unknown or missing, or a value has the wrong form.
        """
        if not isinstance(table, Mapping):
            raise KdbenchError(f"a matrix is {table!r}, wanted a table")
        known = ["name", "description", "datasets", "pairs", "methods", "method"]
        known += ["seeds", "max_seeds", "protocol", "recipe", "fallback", "preset", "teacher_gate", "teacher"]
        for key in table:
            if key not in known:
                raise KdbenchError(nearest("keys of a matrix", key, known))
        for key in ("datasets", "pairs"):
            if not table.get(key):
                raise KdbenchError(f"{key!r} is missing or empty")
        rows = [MethodRow(parse_method(text)) for text in texts_of(table, "methods")]
        given = table.get("method", [])
        if not isinstance(given, list):
            raise KdbenchError(f"'method' is {given!r}, wanted tables, each under [[method]]")
        rows += map(_method_row, given)
        brought = table.get("teacher", [])
        if not isinstance(brought, list):
            raise KdbenchError(f"'teacher' is {brought!r}, wanted tables, each under [[teacher]]")
        fallback = table.get("fallback")
        seeds, budget = _seeds(table)
        return cls(
            name=matrix_name(text_of(table, "name")),
            datasets=tuple(Spec.parse(text) for text in texts_of(table, "datasets")),
            pairs=parse_pairs([pairs] if isinstance(pairs := table["pairs"], str) else texts_of(table, "pairs")),
            methods=tuple(rows),
            seeds=seeds,
            max_seeds=budget,
            protocol=text_of(table, "protocol", "subject-v1"),
            recipe=parse_recipe(table.get("recipe", "har")),
            fallback=None if fallback is None else Spec.parse(text_of(table, "fallback")),
            description=text_of(table, "description", ""),
            preset=_preset(table.get("preset")),
            teacher_gate=gate_named(text_of(table, "teacher_gate", GATES[0])),
            teachers=tuple(map(Imported.from_plain, brought)),
        )

    def plain(self) -> dict[str, Any]:
        """The matrix as `from_plain` reads it."""
        table: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "datasets": [str(dataset) for dataset in self.datasets],
            "pairs": [f"{teacher}:{student}" for teacher, student in self.pairs],
            "seeds": list(self.seeds),
            "protocol": self.protocol,
            "recipe": self.recipe.plain,
            "method": [
                {"name": row.method.name, "label": row.label, "settings": dict(row.method.settings)}
                for row in self.methods
            ],
        }
        if self.fallback:
            table["fallback"] = str(self.fallback)
        if self.max_seeds:
            table["max_seeds"] = self.max_seeds
        if self.preset:
            table["preset"] = self.preset.plain()
        if self.teacher_gate != GATES[0]:
            table["teacher_gate"] = self.teacher_gate
        if self.teachers:
            table["teacher"] = [asdict(each) for each in self.teachers]
        return table


def shipped_matrices() -> list[str]:
    """Names of the matrices that come with kdbench."""
    folder = files("kdbench").joinpath("matrices")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def _seeds(table: Mapping[str, Any]) -> tuple[tuple[int, ...], int]:
    """Seeds, and the budget where they are added as they are needed: a store keeps both, people write ``auto``."""
    given, budget = table.get("seeds", 1), table.get("max_seeds")
    if isinstance(given, list) and budget is not None:
        seeds = parse_seeds(given)
        _, most = automatic(AUTO, budget) or ((), 0)
        return seeds, most
    return automatic(given, budget) or (parse_seeds(given), 0)


def _preset(given: object) -> Preset | None:
    """A preset as a table, or the path of its file."""
    if given is None:
        return None
    return Preset.load(Path(given)) if isinstance(given, str) else Preset.from_plain(given)


def _method_row(row: object) -> MethodRow:
    if isinstance(row, str):
        raise KdbenchError(f"'method' holds {row!r}; a list of names is called 'methods', a table each [[method]]")
    if not isinstance(row, Mapping) or "name" not in row:
        raise KdbenchError("a [[method]] needs a name")
    known = ["name", "label", "role", "preset", "settings"]
    for key in row:
        if key not in known:
            raise KdbenchError(nearest("keys of a [[method]]", key, known))
    spec = parse_method(text_of(row, "name"))
    settings = row.get("settings", {})
    if not isinstance(settings, Mapping):
        raise KdbenchError(f"settings of method {spec.name!r} are not a table")
    reserved = {key: text_of(row, key) for key in ("role", "preset") if key in row}
    for key, value in settings.items():
        if not isinstance(value, Value):
            raise KdbenchError(f"method {spec.name!r}: {key}={value!r}, wanted a text, a number or a boolean")
    return MethodRow(Spec(spec.name, {**spec.settings, **reserved, **settings}), text_of(row, "label", ""))


def matrix_name(text: str) -> str:
    """A matrix's name, which becomes part of file names and queries.

    Raises:
        KdbenchError: if it cannot be one.
    """
    if not re.fullmatch(r"\w[\w .()=+-]{0,79}", text):
        raise KdbenchError(
            f"name {text!r} is not 1 to 80 letters, digits, spaces or . ( ) = + - _; set 'name' in the file, or --name"
        )
    return text

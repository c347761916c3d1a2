"""What is to be run: recipes, cells and matrices, written out in full and hashed."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from kdbench.errors import KdbenchError, nearest

Value = str | int | float | bool


@dataclass(frozen=True)
class Spec:
    """A name with settings, as people write it: ``resnet_lstman(width=0.25)``."""

    name: str
    settings: Mapping[str, Value] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Read ``name`` or ``name(key=value, key=value)``.

        Raises:
            KdbenchError: if the text has another form.
        """
        match = re.fullmatch(r"\s*([\w.-]+)\s*(?:\((.*)\))?\s*", text, flags=re.DOTALL)
        if not match:
            raise KdbenchError(f"{text!r} is not of the form name or name(key=value, ...)")
        settings: dict[str, Value] = {}
        for part in filter(None, (p.strip() for p in _SETTING.findall(match[2] or ""))):
            key, equals, value = (p.strip() for p in part.partition("="))
            if not equals or not key or not value:
                raise KdbenchError(f"{part!r} in {text!r} is not of the form key=value")
            if key in settings:
                raise KdbenchError(f"{key!r} stands twice in {text!r}")
            settings[key] = parse_value(value)
        return cls(match[1], settings)

    def __str__(self) -> str:
        if not self.settings:
            return self.name
        return f"{self.name}({', '.join(f'{k}={show_value(v)}' for k, v in self.settings.items())})"


def parse_value(text: str) -> Value:
    """Read a setting as TOML would: true, 3, 0.5, 1e-3, or else a text, which may stand in quotes."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    return text


def show_value(value: Value) -> str:
    """A setting as `parse_value` reads it; a text is quoted where it would be read as something else."""
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    plain = re.fullmatch(r"[^\s,()'\"=]+", value) and parse_value(value) == value
    return value if plain else f'"{value}"' if '"' not in value else f"'{value}'"


_SETTING = re.compile(r"""(?:[^,"']|"[^"]*"|'[^']*'|["'])+""")  # up to a comma that is not in quotes
_SPEC = r"""[^:("']*(?:\((?:[^"']|"[^"]*"|'[^']*')*\))?"""  # a name, and settings in which quotes may hide a colon


@dataclass(frozen=True)
class Recipe:
    """How networks are trained, the same for every method.

    Args:
        name: what tables call it; settings changed on the command line are added to it.
        epochs: passes over the training set.
        batch_size: windows in a batch; a smaller remainder is dropped where a full batch exists.
        learning_rate: Adam's first learning rate; it falls along a cosine.
        final_learning_rate: what it would be after the last epoch.
        weight_decay: Adam's L2 term.
        note: what a table must say about it.
    """

    name: str = "har"
    epochs: int = 120
    batch_size: int = 128
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5
    weight_decay: float = 5e-4
    note: str = ""

    def __post_init__(self) -> None:
        limits = {
            "epochs": (1, 100_000),
            "batch_size": (2, 1_000_000),
            "learning_rate": (1e-9, 100),
            "final_learning_rate": (0, 100),
            "weight_decay": (0, 100),
        }
        for key, (low, high) in limits.items():
            value, whole = getattr(self, key), key in ("epochs", "batch_size")
            wanted = "a whole number" if whole else "a number"
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                raise KdbenchError(f"recipe: {key}={value!r} is not {wanted}")
            if not low <= value <= high:
                raise KdbenchError(f"recipe: {key}={value} is outside [{low:g}, {high:g}]")
            if not whole:
                object.__setattr__(self, key, float(value))  # 1 and 1.0 are one recipe

    def changed(self, settings: Mapping[str, Value]) -> Recipe:
        """The recipe with other settings, under a name that says so."""
        known = [f.name for f in fields(self) if f.name not in ("name", "note")]
        for key in settings:
            if key not in known:
                raise KdbenchError(nearest("settings of a recipe", key, known))
        name, _, said = self.name.partition("(")
        start, asked = self, dict(settings)
        if said and name in RECIPES:  # it was changed before: say what differs from the recipe that people know
            start, asked = RECIPES[name], {**Spec.parse(self.name).settings, **settings}
        different = {key: asked[key] for key in known if key in asked and asked[key] != getattr(start, key)}
        if not different:
            return start
        return replace(start, **{**different, "name": str(Spec(start.name, different))})  # type: ignore[arg-type]


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(),
        Recipe(name="cpu", epochs=40),
        Recipe(name="quick", epochs=3, note="a first look, not for publication"),
    )
}


@dataclass(frozen=True)
class Part:
    """A dataset, network or method with every setting written out and its version."""

    name: str
    settings: tuple[tuple[str, Value], ...]
    version: int


_PARTS = ("dataset", "method", "student", "teacher")


@dataclass(frozen=True)
class Cell:
    """One training run, written out in full: what its numbers depend on, and the name and note of its recipe.

    Args:
        dataset: whose windows.
        data: digest of the parsed windows.
        protocol: how people are divided.
        fold: which division, where the protocol has several.
        method: how the student learns.
        role: what the teacher is to it.
        student: the network that is deployed.
        teacher: the other network; None where the role is absent.
        teacher_cell: digest of the cell that trained the teacher; None where it starts from scratch or there is none.
        seed: what the run's random streams are derived from.
        recipe: how long and how fast it learns.
    """

    dataset: Part
    data: str
    protocol: str
    fold: int
    method: Part
    role: str
    student: Part
    teacher: Part | None
    teacher_cell: str | None
    seed: int
    recipe: Recipe

    @cached_property
    def plain(self) -> dict[str, Any]:
        """The cell as JSON has it: lists for tuples, settings as an object."""

        def part(p: Part | None) -> dict[str, Any] | None:
            return None if p is None else {"name": p.name, "settings": dict(p.settings), "version": p.version}

        shown = {f.name: getattr(self, f.name) for f in fields(self)}
        parts = {key: part(shown[key]) for key in _PARTS}
        return {**shown, **parts, "recipe": dict(vars(self.recipe))}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Cell:
        """The cell that `plain` wrote."""

        def part(p: Mapping[str, Any] | None) -> Part | None:
            return None if p is None else Part(p["name"], tuple(p["settings"].items()), p["version"])

        parts = {key: part(plain[key]) for key in _PARTS}
        return cls(**{**plain, **parts, "recipe": Recipe(**plain["recipe"])})

    @cached_property
    def digest(self) -> str:
        """Hash of the canonical JSON; the name of the run's folder."""
        text = json.dumps(self.plain, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def __str__(self) -> str:
        taught, role = (f"{self.teacher.name}:", f" {self.role}") if self.teacher else ("", "")
        fold = f" fold {self.fold}" if self.fold else ""
        return f"{self.dataset.name} {taught}{self.student.name} {self.method.name}{role} seed {self.seed}{fold}"


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

    @classmethod
    def load(cls, source: str) -> Matrix:
        """Read a matrix by the name of a shipped one or by the path of a TOML file.

        Raises:
            KdbenchError: if there is none, or it is not a valid matrix.
        """
        if source in shipped_matrices():
            text = files("kdbench").joinpath("matrices", f"{source}.toml").read_text(encoding="utf-8")
            return cls.from_toml(text, source, source)
        path = Path(source)
        if not path.is_file():
            raise KdbenchError(nearest("shipped matrices, nor such a file", source, shipped_matrices()))
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise KdbenchError(f"cannot read {path}: {error}") from None
        return cls.from_toml(text, path.stem, str(path))

    @classmethod
    def from_toml(cls, text: str, name: str, where: str) -> Matrix:
        """Read a matrix from TOML text; ``name`` is used where the text gives none, ``where`` in error messages."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise KdbenchError(f"{where}: not valid TOML: {error}") from None
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
        known += ["seeds", "protocol", "recipe", "fallback"]
        for key in table:
            if key not in known:
                raise KdbenchError(nearest("keys of a matrix", key, known))
        for key in ("datasets", "pairs"):
            if not table.get(key):
                raise KdbenchError(f"{key!r} is missing or empty")
        rows = [MethodRow(Spec.parse(text)) for text in _strings(table, "methods")]
        given = table.get("method", [])
        if not isinstance(given, list):
            raise KdbenchError(f"'method' is {given!r}, wanted tables, each under [[method]]")
        rows += map(_method_row, given)
        fallback = table.get("fallback")
        return cls(
            name=_name(_string(table, "name")),
            datasets=tuple(Spec.parse(text) for text in _strings(table, "datasets")),
            pairs=parse_pairs([pairs] if isinstance(pairs := table["pairs"], str) else _strings(table, "pairs")),
            methods=tuple(rows),
            seeds=parse_seeds(table.get("seeds", 1)),
            protocol=_string(table, "protocol", "subject-v1"),
            recipe=parse_recipe(table.get("recipe", "har")),
            fallback=None if fallback is None else Spec.parse(_string(table, "fallback")),
            description=_string(table, "description", ""),
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
            "recipe": asdict(self.recipe),
            "method": [
                {"name": row.method.name, "label": row.label, "settings": dict(row.method.settings)}
                for row in self.methods
            ],
        }
        if self.fallback:
            table["fallback"] = str(self.fallback)
        return table


def shipped_matrices() -> list[str]:
    """Names of the matrices that come with kdbench."""
    folder = files("kdbench").joinpath("matrices")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


@dataclass(frozen=True)
class PairList:
    """Pairs that have a name: an entry of ``pairs.toml``.

    Args:
        description: what they are for, one line.
        pairs: (teacher, student) networks with settings.
    """

    description: str
    pairs: tuple[tuple[Spec, Spec], ...]


@cache
def pair_lists() -> Mapping[str, PairList]:
    """The lists of pairs that come with kdbench, by name."""
    text = files("kdbench").joinpath("pairs.toml").read_text(encoding="utf-8")
    return {
        name: PairList(entry["description"], tuple(map(parse_pair, entry["pairs"])))
        for name, entry in tomllib.loads(text).items()
    }


def parse_pairs(texts: Sequence[str]) -> tuple[tuple[Spec, Spec], ...]:
    """Read pairs and names of lists of pairs.

    A list brings the pairs that are not there by themselves or by another list; a pair written twice stays twice. Pairs
    are the same here if they are written the same: ``fcn(width=1.0):mlp`` is not taken for the ``fcn:mlp`` of a list,
    and a plan, which knows the defaults, refuses the two.

    Raises:
        KdbenchError: if a text is neither a pair nor a known list's name.
    """
    lists = pair_lists()
    written = {text: parse_pair(text) for text in texts if text not in lists}
    found: list[tuple[Spec, Spec]] = []
    for text in texts:
        if text in lists:
            found += [pair for pair in lists[text].pairs if pair not in found and pair not in written.values()]
        else:
            found.append(written[text])
    return tuple(found)


def parse_pair(text: str) -> tuple[Spec, Spec]:
    """Read ``teacher:student``, each with or without settings."""
    match = re.fullmatch(f"({_SPEC}):({_SPEC})", text)
    if not match:
        lists = nearest("lists of pairs", text, pair_lists())
        raise KdbenchError(f"pair {text!r} is not of the form teacher:student, as in resnet_lstman:mlp; {lists}")
    return Spec.parse(match[1]), Spec.parse(match[2])


def parse_seeds(given: object) -> tuple[int, ...]:
    """Read seeds: ``5`` is 0 to 4, ``0-4`` likewise, ``0,3`` those two, a list as it is.

    Raises:
        KdbenchError: if the text has another form, repeats a seed or names none.
    """
    if isinstance(given, list) and given and all(isinstance(s, int) and not isinstance(s, bool) for s in given):
        seeds = list(given)
    elif isinstance(given, int) and not isinstance(given, bool):
        seeds = list(range(min(given, 1_000_001)))
    elif isinstance(given, str) and (match := re.fullmatch(r"\s*(\d{1,9})\s*", given)):
        seeds = list(range(min(int(match[1]), 1_000_001)))
    elif isinstance(given, str) and re.fullmatch(r"\s*\d{1,9}(-\d{1,9})?(\s*,\s*\d{1,9}(-\d{1,9})?)*\s*,?\s*", given):
        seeds = []
        for part in filter(None, (p.strip() for p in given.split(","))):
            low, _, high = part.partition("-")
            seeds += range(int(low), min(int(high or low), int(low) + 1_000_000) + 1)
    else:
        raise KdbenchError(f"seeds {given!r} are not of the form 5 (0 to 4), 0-4 or 0,3")
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0 or len(seeds) > 1_000_000:
        raise KdbenchError(f"seeds {given!r} name no seed, one twice, a negative one or over a million")
    return tuple(seeds)


def parse_recipe(given: object) -> Recipe:
    """Read a recipe: the name of a known one, or a table with the settings of a new one.

    A table may start from a known recipe: ``{ name = "short", base = "har", epochs = 10 }``.
    """
    if isinstance(given, str):
        if given not in RECIPES:
            raise KdbenchError(nearest("recipes", given, RECIPES))
        return RECIPES[given]
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise KdbenchError("recipe is neither a name nor a table with a name")
    settings = dict(given)
    base = parse_recipe(settings.pop("base", "har"))
    name, note = _string(settings, "name"), _string(settings, "note", "")
    for key in ("name", "note"):
        settings.pop(key, None)
    recipe = replace(base.changed(settings), name=name, note=note)
    if name in RECIPES and recipe != RECIPES[name]:
        raise KdbenchError(f"the recipe name {name!r} is taken; give changed settings a name of their own")
    return recipe


def _method_row(row: object) -> MethodRow:
    if not isinstance(row, Mapping) or "name" not in row:
        raise KdbenchError("a [[method]] needs a name")
    known = ["name", "label", "role", "preset", "settings"]
    for key in row:
        if key not in known:
            raise KdbenchError(nearest("keys of a [[method]]", key, known))
    spec = Spec.parse(_string(row, "name"))
    settings = row.get("settings", {})
    if not isinstance(settings, Mapping):
        raise KdbenchError(f"settings of method {spec.name!r} are not a table")
    reserved = {key: _string(row, key) for key in ("role", "preset") if key in row}
    for key, value in settings.items():
        if not isinstance(value, Value):
            raise KdbenchError(f"method {spec.name!r}: {key}={value!r}, wanted a text, a number or a boolean")
    return MethodRow(Spec(spec.name, {**spec.settings, **reserved, **settings}), _string(row, "label", ""))


def _string(table: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = table.get(key, default)
    if not isinstance(value, str) or not value.isprintable():
        raise KdbenchError(f"{key!r} is {value!r}, wanted a text of one line")
    return value


def _name(text: str) -> str:
    """A matrix's name, which becomes part of file names and queries."""
    if not re.fullmatch(r"\w[\w .()=+-]{0,79}", text):
        raise KdbenchError(
            f"name {text!r} is not 1 to 80 letters, digits, spaces or . ( ) = + - _; set 'name' in the file"
        )
    return text


def _strings(table: Mapping[str, Any], key: str) -> list[str]:
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise KdbenchError(f"{key!r} is {values!r}, wanted a list of texts")
    return values

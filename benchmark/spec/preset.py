"""A preset: settings that a search found, and what the search was, as a file that can be committed."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from kdbench.errors import KdbenchError, nearest
from kdbench.spec.recipe import SEARCHED
from kdbench.spec.words import Value
from kdbench.text import counted, first_line


@dataclass(frozen=True)
class Found:
    """What a search found for one row.

    Args:
        dataset: on which it was found, as tables call it.
        networks: the pair, or the one network of a row that stands alone.
        row: the row as a matrix writes it, without a label.
        settings: of the method; those that the row states itself are not among them.
        recipe: of the training.
        value: the objective with these.
        default: the objective with the defaults; None where that trial failed.
        trials: how many were finished.
        failed: how many of these failed.
        folds: over how many folds the objective is a mean.
        study: where the trials are kept under.
        pruned: how many trials were given up between folds.
    """

    dataset: str
    networks: str
    row: str
    settings: Mapping[str, Value]
    recipe: Mapping[str, Value]
    value: float
    default: float | None
    trials: int
    failed: int
    folds: int
    study: str
    pruned: int = 0

    def note(self, dataset: str, networks: str) -> str:
        """What a table says of a row that uses it on a dataset, with networks."""
        if (dataset, networks) == (self.dataset, self.networks):
            return "tuned"
        if networks == self.networks:
            return f"on {dataset} with settings tuned on {self.dataset}"
        there = f"{self.networks} on {self.dataset}"
        return f"for {networks} on {dataset} with settings tuned for {there}"


@dataclass(frozen=True)
class Preset:
    """Found settings, and the search that they are from.

    Args:
        name: what captions call it.
        objective: what was maximised.
        trials: finished trials of every row.
        epochs: of every training.
        protocol: that divided the people.
        seeds: of the search.
        date: of its end, ISO 8601.
        versions: of the libraries that trained and searched.
        found: for each row on each dataset.
    """

    name: str
    objective: str
    trials: int
    epochs: int
    protocol: str
    seeds: tuple[int, ...]
    date: str
    versions: Mapping[str, str]
    found: tuple[Found, ...]

    @property
    def budget(self) -> str:
        """What captions say of the search."""
        folds = " or ".join(map(str, sorted({found.folds for found in self.found})))
        seeds = f"seed{'s' * (len(self.seeds) > 1)} {', '.join(map(str, self.seeds))}"
        pruned, failed = (sum(getattr(found, key) for found in self.found) for key in ("pruned", "failed"))
        lost = f", {pruned} of them given up between folds, being below the median" if pruned else ""
        lost += f", {failed} of them failed" if failed else ""
        return (
            f"preset {self.name}, found with one budget for every row: {counted(self.trials, 'trial')} of "
            f"{counted(self.epochs, 'epoch')}, {folds} folds of {self.protocol}, {seeds}{lost}; maximised: "
            f"{self.objective}"
        )

    def find(self, dataset: str, networks: str, row: str) -> Found | None:
        """What there is for a row: found here, else with these networks, else on this dataset, else anywhere."""
        fitting = [found for found in self.found if found.row == row]
        return min(
            fitting,
            key=lambda found: 2 * (found.networks != networks) + (found.dataset != dataset),
            default=None,
        )

    @classmethod
    def load(cls, path: Path) -> Preset:
        """Read a preset's file.

        Raises:
            KdbenchError: if it cannot be read as one.
        """
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
            said = error.strerror if isinstance(error, OSError) else first_line(error)
            raise KdbenchError(f"preset {path}: {said}") from None
        try:
            return cls.from_plain(table)
        except KdbenchError as error:
            raise KdbenchError(f"{path}: {error}") from None

    @classmethod
    def from_plain(cls, table: object) -> Preset:
        """Read a preset from plain data, the form of its file or of `plain`.

        Raises:
            KdbenchError: if a key is unknown or missing, or a value has the wrong form.
        """
        given = _checked("a preset", cls, table)
        if not isinstance(given["found"], list) or not given["found"]:
            raise KdbenchError("a preset's 'found' is no list of tables, each under [[found]]")
        if not isinstance(given["seeds"], list | tuple):
            raise KdbenchError(f"a preset's 'seeds' is {given['seeds']!r}, wanted a list")
        found = tuple(map(_found, given["found"]))
        for (dataset, networks, row), times in Counter((f.dataset, f.networks, f.row) for f in found).items():
            if times > 1:
                raise KdbenchError(f"a preset has {row} for {networks} on {dataset} twice")
        for each in found:
            if each.trials != given["trials"]:
                here = f"{each.row} for {each.networks} on {each.dataset} has {each.trials}"
                raise KdbenchError(f"a preset of {given['trials']} trials for every row: {here}")
        return cls(**{**given, "found": found, "seeds": tuple(given["seeds"])})

    def plain(self) -> dict[str, Any]:
        """The preset as `from_plain` reads it."""
        return {**asdict(self), "found": [asdict(found) for found in self.found], "seeds": list(self.seeds)}

    def to_toml(self) -> str:
        """The preset's file."""
        plain = self.plain()
        found = plain.pop("found")
        versions = plain.pop("versions")
        lines = ["# Found by `kdbench tune`; `kdbench run --preset FILE` uses it.", *_lines(plain)]
        lines += ["", "[versions]", *_lines(versions)]
        for each in found:
            lines += ["", "[[found]]", *_lines(each)]
        return "\n".join(lines) + "\n"


_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("name", "objective", "protocol", "date", "dataset", "networks", "row", "study"), (str,)),
    **dict.fromkeys(("trials", "epochs", "failed", "folds", "pruned"), (int,)),
    **dict.fromkeys(("versions", "settings", "recipe"), (Mapping,)),
    **dict.fromkeys(("value", "default"), (float, int)),
}


def _checked(what: str, cls: Any, table: object) -> dict[str, Any]:
    """A table with exactly the keys of a class, each of its type; a missing ``default`` is None, ``pruned`` 0."""
    if not isinstance(table, Mapping):
        raise KdbenchError(f"{what} is {table!r}, wanted a table")
    known = [field.name for field in fields(cls)]
    for key in table:
        if key not in known:
            raise KdbenchError(nearest(f"keys of {what}", str(key), known))
    given = {**({"default": None, "pruned": 0} if cls is Found else {}), **table}
    for key in known:
        if key not in given:
            raise KdbenchError(f"{what} lacks {key!r}")
        wanted = _TYPES.get(key)
        if wanted and not isinstance(given[key], wanted) and not (key == "default" and given[key] is None):
            raise KdbenchError(f"{what}: {key}={given[key]!r}, wanted {wanted[0].__name__.lower()}")
    return given


def _found(table: object) -> Found:
    given = _checked("a preset's [[found]]", Found, table)
    for key in ("settings", "recipe"):
        for name, value in given[key].items():
            if not isinstance(value, Value):
                raise KdbenchError(f"{given['row']}: {name}={value!r}, wanted a text, a number or a boolean")
    for name in given["recipe"]:
        if name not in SEARCHED:  # else rows that a table compares would be trained unlike each other
            raise KdbenchError(f"{given['row']}: " + nearest("settings of a recipe that are searched", name, SEARCHED))
    return Found(**given)


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in table.items() if value is not None]


def _toml(value: Any) -> str:
    """A value as TOML writes it: JSON's texts, numbers, booleans and lists are TOML's too."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_lines(value)) + " }" if value else "{}"
    return json.dumps(value, ensure_ascii=False)

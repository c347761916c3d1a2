"""A cell: one training run, written out in full and hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any

from kdbench.roles import Role
from kdbench.spec.recipe import Recipe
from kdbench.spec.words import Value


@dataclass(frozen=True)
class Part:
    """A dataset, network or method with every setting written out and its version."""

    name: str
    settings: tuple[tuple[str, Value], ...]
    version: int

    @property
    def plain(self) -> dict[str, Any]:
        """The part as JSON has it."""
        return {"name": self.name, "settings": dict(self.settings), "version": self.version}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Part:
        """The part that `plain` wrote."""
        return cls(plain["name"], tuple(plain["settings"].items()), plain["version"])


FITTED = Part("fitted at once", (), 1)
"""In place of a method where what is deployed is no network: it is fitted at once, without a recipe or a teacher."""


@lru_cache(maxsize=256)
def _recipe(**plain: Any) -> Recipe:
    """A recipe without its name; thousands of cells of a plan share a few."""
    return Recipe(**plain).unnamed


_PARTS = ("dataset", "method", "student", "teacher")


@dataclass(frozen=True)
class Cell:
    """One training run, written out in full: what its numbers depend on and nothing else.

    So where a dataset lies and what a recipe is called are no part of it: two folders that hold the same, and two
    recipes that train alike, are one cell.

    Args:
        dataset: whose windows, without the settings that say where they lie.
        dataset_name: what the dataset calls itself; names its random streams.
        data: digest of the parsed windows.
        protocol: how people are divided.
        fold: which division, where the protocol has several.
        method: how the student learns.
        role: what the teacher is to it.
        student: the network that is deployed, or the reference where the method is `FITTED`.
        teacher: the other network; None where the role is absent.
        teacher_cell: digest of the cell that trained the teacher; None where it starts from scratch or there is none.
        seed: what the run's random streams are derived from.
        recipe: how long and how fast it learns, without its name; of no meaning to a reference, and then the default.
        imported: hash of the weights that a user brought along, in place of training; empty where it is trained.
    """

    dataset: Part
    dataset_name: str
    data: str
    protocol: str
    fold: int
    method: Part
    role: Role
    student: Part
    teacher: Part | None
    teacher_cell: str | None
    seed: int
    recipe: Recipe
    imported: str = ""

    @property
    def fitted(self) -> bool:
        """Whether it is of a reference rather than of a network."""
        return self.method == FITTED

    @cached_property
    def plain(self) -> dict[str, Any]:
        """The cell as JSON has it: lists for tuples, settings as an object; a reference's recipe is empty."""
        shown = {f.name: getattr(self, f.name) for f in fields(self)}
        if not self.imported:  # so that cells that are trained keep the digests that they had
            del shown["imported"]
        parts = {key: None if shown[key] is None else shown[key].plain for key in _PARTS}
        return {**shown, **parts, "role": str(self.role), "recipe": {} if self.fitted else self.recipe.numbers}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Cell:
        """The cell that `plain` wrote, now or before names of recipes and places of datasets were left out."""
        given = {"dataset_name": plain["dataset"]["name"], **plain}
        for key in _PARTS:
            given[key] = None if plain[key] is None else Part.from_plain(plain[key])
        given["role"], given["recipe"] = Role(plain["role"]), _recipe(**plain["recipe"])
        return cls(**given)

    @cached_property
    def digest(self) -> str:
        """Hash of the canonical JSON; the name of the run's folder."""
        text = json.dumps(self.plain, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:20]

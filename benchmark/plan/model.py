"""A matrix written out: cells, and the places of a table that they fill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from kdbench.results.entry import Asked
from kdbench.results.place import Place, RowRole
from kdbench.spec.cell import Cell, Part
from kdbench.spec.matrix import Matrix


@dataclass(frozen=True)
class Planned:
    """A place of a table and what fills it.

    Args:
        place: where.
        digest: the cell that fills it; None where there is none.
        reason: why there is none.
    """

    place: Place
    digest: str | None
    reason: str | None = None


@dataclass(frozen=True)
class WindowKind:
    """What the windows of a dataset are, for whoever reads results where the data are not.

    Args:
        count: how many there are.
        channels: names of the signals.
        length: samples of each.
        rate: in Hz.
        classes: names of the labels.
        url: a page about the dataset.
    """

    count: int
    channels: tuple[str, ...]
    length: int
    rate: float
    classes: tuple[str, ...]
    url: str

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> WindowKind:
        """What JSON made of it."""
        return cls(**{**plain, "channels": tuple(plain["channels"]), "classes": tuple(plain["classes"])})


@dataclass
class Plan:
    """A matrix written out.

    Args:
        matrix: as asked for.
        cells: by digest, each after the cell that trains its teacher.
        places: of the table.
        warning: what captions must say against the protocol; empty where there is nothing.
        cautions: what captions must say of the data, such as rows that are in no window.
        windows: what the windows of each dataset are, by the digest of its data; lacks what an older kdbench planned.
        origins: the datasets as they were asked for, with the settings that say where they lie, by `origin_of`; empty
            in a plan that is read back, which is for reading results and not for running.
    """

    matrix: Matrix
    cells: dict[str, Cell] = field(default_factory=dict)
    places: list[Planned] = field(default_factory=list)
    warning: str = ""
    cautions: list[str] = field(default_factory=list)
    windows: dict[str, WindowKind] = field(default_factory=dict, compare=False)
    origins: dict[tuple[str, str], Part] = field(default_factory=dict, compare=False)

    def names(self) -> dict[str, str]:
        """What to call each cell, by digest: the first place that it fills."""
        named: dict[str, str] = {}
        for planned in self.places:
            if planned.digest is not None:
                named.setdefault(planned.digest, planned.place.name)
        return named

    @property
    def asked(self) -> Asked:
        """What captions say of how the matrix is run."""
        recipe, preset = self.matrix.recipe, self.matrix.preset
        budget = preset.budget if preset else ""
        said = (recipe.name, recipe.remark, self.warning)
        cautions = tuple(self.cautions)
        return Asked(self.matrix.protocol, *said, len(self.cells), budget, cautions, self.matrix.max_seeds)

    def plain(self) -> dict[str, Any]:
        """Cells and places as JSON has them."""
        cells = {digest: cell.plain for digest, cell in self.cells.items()}
        places = [{**asdict(p.place), "digest": p.digest, "reason": p.reason} for p in self.places]
        windows = {data: asdict(kind) for data, kind in self.windows.items()}
        told = {"warning": self.warning, "cautions": self.cautions, "windows": windows}
        return {**told, "cells": cells, "places": places}

    @classmethod
    def from_plain(cls, matrix: Matrix, table: Mapping[str, Any]) -> Plan:
        """The plan that `plain` wrote, of the same matrix.

        Raises:
            ValueError: if places and cells do not belong together.
        """
        # Under the digests of then, which name the folders of the records.
        cells = {digest: Cell.from_plain(plain) for digest, plain in table["cells"].items()}
        places = [_planned(place) for place in table["places"]]
        if not places:
            raise ValueError("a plan without places")
        for each in places:
            if each.digest not in cells and (each.digest is not None or not each.reason):
                raise ValueError(f"place {each.place.row!r} wants cell {each.digest}, which the plan has not")
        windows = {data: WindowKind.from_plain(kind) for data, kind in table.get("windows", {}).items()}
        return cls(matrix, cells, places, table.get("warning", ""), list(table.get("cautions", ())), windows)


def origin_of(cell: Cell) -> tuple[str, str]:
    """What a cell's dataset is known by, wherever it lies."""
    return cell.dataset_name, cell.data


def _planned(plain: Mapping[str, Any]) -> Planned:
    where = dict(plain)
    filled = where.pop("digest"), where.pop("reason")
    where["role"] = RowRole(where.pop("part", None) or where["role"])  # as it was called before it was called a role
    return Planned(Place(**where), *filled)

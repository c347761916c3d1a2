"""What is tuned: a row on a dataset with its networks, as the cells that one trial of it runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from kdbench.plan.expand import TEACHER_ALONE
from kdbench.plan.model import Plan, Planned
from kdbench.provenance.sources import sources
from kdbench.results.place import RowRole
from kdbench.spec.cell import Cell
from kdbench.spec.words import Spec, Value
from kdbench.tune.knob import RECIPE, Knob
from kdbench.tune.space import knobs_of

NOT_SETTINGS = ("role", "preset")
"""What a row may state beside settings."""


@dataclass(frozen=True)
class Subject:
    """A row on a dataset with its networks.

    Args:
        plan: that it is of: all folds of a protocol that validates.
        dataset: as tables call it.
        networks: the pair, or the one network of a row that stands alone.
        row: as a matrix writes it.
        places: of the row, one a seed and fold, with the cells of the defaults.
        knobs: what is searched.
    """

    plan: Plan
    dataset: str
    networks: str
    row: str
    places: tuple[Planned, ...]
    knobs: tuple[Knob, ...]

    @property
    def name(self) -> str:
        """The subject in one line."""
        return f"{self.dataset} {self.networks} {self.row}"

    @property
    def is_teacher(self) -> bool:
        """Whether it is the teacher alone, which is tuned before those whom it teaches."""
        return self.row == TEACHER_ALONE

    @property
    def cells(self) -> list[Cell]:
        """With the defaults."""
        return [self.plan.cells[str(planned.digest)] for planned in self.places]

    @property
    def seed(self) -> int:
        """What its trials are drawn with."""
        return self.cells[0].seed

    @property
    def teachers(self) -> Plan:
        """The cells of its teachers alone; empty where nobody teaches."""
        wanted = {cell.teacher_cell for cell in self.cells}
        places = [planned for planned in self.plan.places if planned.digest and planned.digest in wanted]
        cells = {digest: cell for digest, cell in self.plan.cells.items() if digest in wanted}
        return Plan(self.plan.matrix, cells, places, origins=self.plan.origins)

    @property
    def defaults(self) -> dict[str, Value]:
        """What trial 0 has."""
        return {knob.name: knob.default for knob in self.knobs}

    def at(self, settings: Mapping[str, Value]) -> list[Cell]:
        """The cells of a trial: the same people, seeds and teachers, with other settings."""
        training = {key.removeprefix(RECIPE): value for key, value in settings.items() if key.startswith(RECIPE)}
        own = {key: value for key, value in settings.items() if not key.startswith(RECIPE)}
        return [_changed(cell, own, training) for cell in self.cells]

    def rounds(self, *, by_fold: bool) -> list[list[int]]:
        """Which places are run together, by their numbers: all at once, or those of one fold after another."""
        folds = sorted({planned.place.fold for planned in self.places}) if by_fold else [None]
        return [
            [number for number, planned in enumerate(self.places) if fold in (None, planned.place.fold)]
            for fold in folds
        ]

    def trial_plan(self, trials: Sequence[Mapping[str, Value]], places: Sequence[int]) -> Plan:
        """The plan of trials at some of the places: their teachers' cells and theirs."""
        plan = self.teachers
        for settings in trials:
            cells = self.at(settings)
            for number in places:
                plan.cells[cells[number].digest] = cells[number]
                plan.places.append(replace(self.places[number], digest=cells[number].digest))
        return plan

    def asks(self, sampling: Mapping[str, Any]) -> str:
        """Hash of all that its trials depend on, but the code."""
        knobs = [asdict(knob) for knob in self.knobs]
        return _hash({"cells": [cell.digest for cell in self.cells], "knobs": knobs, "sampling": dict(sampling)})

    def key(self, sampling: Mapping[str, Any]) -> str:
        """Name and hash of the study: all that its trials depend on. Values of two codes make no one study."""
        code = [sources(cell) for cell in [*self.teachers.cells.values(), *self.cells]]
        return f"{self.name} {_hash([self.asks(sampling), code])}"


def subjects(plan: Plan) -> Iterator[Subject]:
    """What there is to tune in a plan, in its order; a network that stands alone in several pairs comes once."""
    rows: dict[tuple[str, str, str], list[Planned]] = {}
    for planned in plan.places:
        place = planned.place
        if place.role is RowRole.REFERENCE:  # it has nothing to search
            continue
        networks = place.pair if place.role is RowRole.METHOD else place.network
        known = rows.setdefault((place.dataset, networks, place.row), [])
        if planned.digest not in [other.digest for other in known] or planned.digest is None:
            known.append(planned)
    for (dataset, networks, row), places in rows.items():
        if places[0].digest is None:
            continue
        cell = plan.cells[places[0].digest]
        stated = Spec.parse(row).settings if places[0].place.role is RowRole.METHOD else {}
        knobs = knobs_of(cell, plan.matrix.recipe, {k: v for k, v in stated.items() if k not in NOT_SETTINGS})
        yield Subject(plan, dataset, networks, row, tuple(places), knobs)


def _hash(plain: object) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:8]


def _changed(cell: Cell, own: Mapping[str, Value], training: Mapping[str, Value]) -> Cell:
    settings = tuple((key, own.get(key, value)) for key, value in cell.method.settings)
    recipe: Any = replace(cell.recipe, **training)  # type: ignore[arg-type]
    return replace(cell, method=replace(cell.method, settings=settings), recipe=recipe)

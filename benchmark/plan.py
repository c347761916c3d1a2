"""From a matrix to cells: every default written out, teachers before those who learn from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import product
from typing import Any

import torch

from kdbench.architectures import Backbone, Shapes, probe
from kdbench.catalog import DATASETS, METHODS, NETWORKS
from kdbench.data import Prepared, protocol
from kdbench.errors import KdbenchError, nearest
from kdbench.methods import Method, NotApplicable, Setup
from kdbench.methods import Role as TeacherRole
from kdbench.results.table import Role
from kdbench.spec import Cell, Matrix, MethodRow, Part, Spec

TEACHER_METHOD = Spec("supervised")
"""How a teacher is made, and the student alone."""

TEACHER_ALONE, STUDENT_ALONE = "teacher alone", "student alone"
"""The rows that every table has."""


@dataclass(frozen=True)
class Planned:
    """One place of a table: a row in the block of a dataset and a pair, at one seed and fold.

    Args:
        dataset: as the table calls it.
        pair: ``teacher:student``.
        network: of the two the one that is deployed.
        row: as the table calls it.
        kind: the method's kind.
        part: teacher, student (alone) or method.
        seed: of the run.
        digest: the cell that fills the place; None where there is none.
        reason: why there is none.
        note: what a reader must know about the row.
        fold: of the protocol's division of the people.
    """

    dataset: str
    pair: str
    network: str
    row: str
    kind: str
    part: Role
    seed: int
    digest: str | None
    reason: str | None = None
    note: str = ""
    fold: int = 0


@dataclass
class Plan:
    """A matrix written out.

    Args:
        matrix: as asked for.
        cells: by digest, each after the cell that trains its teacher.
        places: of the table.
    """

    matrix: Matrix
    cells: dict[str, Cell] = field(default_factory=dict)
    places: list[Planned] = field(default_factory=list)

    def names(self) -> dict[str, str]:
        """What to call each cell, by digest: the first place that it fills."""
        named: dict[str, str] = {}
        for place in self.places:
            if place.digest is not None and place.digest not in named:
                fold = f" fold {place.fold}" if place.fold else ""
                named[place.digest] = f"{place.dataset} {place.pair} {place.row} seed {place.seed}{fold}"
        return named

    def plain(self) -> dict[str, Any]:
        """Cells and places as JSON has them."""
        cells = {digest: cell.plain for digest, cell in self.cells.items()}
        return {"cells": cells, "places": list(map(asdict, self.places))}

    @classmethod
    def from_plain(cls, matrix: Matrix, table: Mapping[str, Any]) -> Plan:
        """The plan that `plain` wrote, of the same matrix.

        Raises:
            ValueError: if places and cells do not belong together.
        """
        # Under the digests of then, which name the folders of the records.
        cells = {digest: Cell.from_plain(plain) for digest, plain in table["cells"].items()}
        places = [Planned(**place) for place in table["places"]]
        if not places:
            raise ValueError("a plan without places")
        for place in places:
            if place.digest not in cells and (place.digest is not None or not place.reason):
                raise ValueError(f"place {place.row!r} wants cell {place.digest}, which the plan has not")
        return cls(matrix, cells, places)

    @property
    def warning(self) -> str:
        """What captions must say against the protocol; empty where there is nothing."""
        chosen = protocol(self.matrix.protocol)
        return chosen.meaning if chosen.leaky else ""


def expand(matrix: Matrix, prepared: Callable[[Spec], Prepared]) -> Plan:
    """Write a matrix out.

    Args:
        matrix: what is to be run.
        prepared: gives a dataset's windows.

    Raises:
        KdbenchError: if a name, setting or role is unknown, or a row stands twice.
    """
    protocol(matrix.protocol)  # refuses an unknown name before any data are prepared
    rows = [_ClosedRow(row) for row in matrix.methods if row.method != TEACHER_METHOD or row.label]
    # A row that only says what is there anyway, the student alone, is no row of its own.
    _once("row", [TEACHER_ALONE, STUDENT_ALONE, *(row.name for row in rows)], "; give each a label of its own")
    _once("dataset", [str(DATASETS.short(spec)) for spec in matrix.datasets])
    _once("pair", [f"{NETWORKS.short(teacher)}:{NETWORKS.short(student)}" for teacher, student in matrix.pairs])
    plan = Plan(matrix)
    for dataset in matrix.datasets:
        data = prepared(dataset)
        for teacher, student in matrix.pairs:
            _expand_block(plan, dataset, data, teacher, student, rows)
    return plan


def _once(what: str, names: list[str], advice: str = "") -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise KdbenchError(f"the {what} {twice[0]!r} stands twice{advice}")


class _ClosedRow:
    """A row of a matrix with its settings written out."""

    def __init__(self, row: MethodRow) -> None:
        settings = dict(row.method.settings)
        self.cls: type[Method] = METHODS.get(row.method.name)
        role, preset = settings.pop("role", self.cls.roles[0]), settings.pop("preset", None)
        if role not in self.cls.roles:
            raise KdbenchError(nearest(f"roles of {row.method.name}", str(role), self.cls.roles))
        if preset is not None and preset not in self.cls.presets:
            raise KdbenchError(nearest(f"presets of {row.method.name}", str(preset), self.cls.presets))
        self.role: TeacherRole = role
        start = self.cls.presets[str(preset)] if preset is not None else {}
        self.part = METHODS.close(Spec(row.method.name, {**start, **settings}))
        # What the label leaves out is what the preset says, or the default where it says nothing.
        meant = dict(METHODS.close(Spec(row.method.name, start)).settings)
        different = {key: value for key, value in self.part.settings if value != meant[key]}
        said = {} if preset is None else {"preset": str(preset)}
        if role != self.cls.roles[0]:
            said["role"] = str(role)
        self.name = row.label or str(Spec(row.method.name, {**said, **different}))

    def reason_against(self, setup: Setup) -> str | None:
        """Why the method cannot be used here, or None."""
        try:
            with torch.random.fork_rng(devices=[]):
                self.cls(setup, **dict(self.part.settings))
        except NotApplicable as error:
            return str(error)
        except Exception as error:
            raise KdbenchError(f"{self.name}: {self.cls.__name__} cannot be made: {error!r}") from error
        return None


def _expand_block(
    plan: Plan, dataset: Spec, data: Prepared, teacher: Spec, student: Spec, rows: list[_ClosedRow]
) -> None:
    matrix = plan.matrix
    names = {"teacher": str(NETWORKS.short(teacher)), "student": str(NETWORKS.short(student))}
    block = (str(DATASETS.short(dataset)), f"{names['teacher']}:{names['student']}")
    parts = {"teacher": NETWORKS.close(teacher), "student": NETWORKS.close(student)}
    shapes: dict[str, Shapes] = {}
    impossible: dict[str, str] = {}
    for side, part in parts.items():
        try:
            shapes[side] = network_shapes(part, data)
        except (ValueError, RuntimeError) as error:
            impossible[side] = f"{part.name}: {(str(error).splitlines() or [repr(error)])[0]}"
    alone = Cell(
        dataset=DATASETS.close(dataset),
        data=data.digest,
        protocol=matrix.protocol,
        fold=0,
        method=METHODS.close(TEACHER_METHOD),
        role="absent",
        student=parts["student"],
        teacher=None,
        teacher_cell=None,
        seed=0,
        recipe=matrix.recipe,
    )
    labels = torch.from_numpy(data.windows.y[~data.windows.test])
    chosen = protocol(matrix.protocol)
    folds = chosen.folds(data.windows, dataset=dataset.name) if chosen.every_fold else 1

    def place(
        name: str, kind: str, part: Role, make: Callable[[int, int], Cell], reason: str | None, note: str = ""
    ) -> None:
        for seed, fold in product(matrix.seeds, range(folds)):
            digest = None
            if reason is None:
                cell = make(seed, fold)
                digest = cell.digest
                plan.cells.setdefault(digest, cell)
            deployed = names["teacher" if part == "teacher" else "student"]
            plan.places.append(Planned(*block, deployed, name, kind, part, seed, digest, reason, note, fold))

    @cache
    def teacher_alone(seed: int, fold: int) -> Cell:
        return replace(alone, student=parts["teacher"], seed=seed, fold=fold)

    def student_alone(seed: int, fold: int) -> Cell:
        return replace(alone, seed=seed, fold=fold)

    place(TEACHER_ALONE, "reference", "teacher", teacher_alone, impossible.get("teacher"))
    place(STUDENT_ALONE, "reference", "student", student_alone, impossible.get("student"))
    for row in rows:
        reason = next(iter(impossible.values()), None)
        if reason is None:
            taught = None if row.role == "absent" else shapes["teacher"]
            reason = row.reason_against(
                Setup(shapes["student"].classes, labels, shapes["student"], role=row.role, teacher=taught)
            )

        def make(seed: int, fold: int, row: _ClosedRow = row) -> Cell:
            trained_before = row.role in ("frozen", "tuned")
            return replace(
                alone,
                method=row.part,
                role=row.role,
                teacher=None if row.role == "absent" else parts["teacher"],
                teacher_cell=teacher_alone(seed, fold).digest if trained_before else None,
                seed=seed,
                fold=fold,
            )

        place(row.name, row.cls.kind, "method", make, reason, row.cls.note)


_shapes: dict[tuple[Part, int, int, int], Shapes] = {}


def network_shapes(part: Part, data: Prepared) -> Shapes:
    """Sizes of a network's outputs on a dataset's windows.

    Raises:
        ValueError, RuntimeError: if the network cannot take such windows.
    """
    about = data.description
    key = (part, len(about.channels), about.length, len(about.classes))
    if key not in _shapes:
        with torch.random.fork_rng(devices=[]):
            _shapes[key] = probe(build_network(part, data), len(about.channels), about.length)
    return _shapes[key]


def build_network(part: Part, data: Prepared) -> Backbone:
    """A network for a dataset's windows, initialised from torch's random stream as it stands."""
    about = data.description
    return NETWORKS.get(part.name)(len(about.channels), about.length, len(about.classes), **dict(part.settings))

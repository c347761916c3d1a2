"""From a matrix to cells: every default written out, teachers before those who learn from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from itertools import product

import torch

from kdbench.architectures import Shapes
from kdbench.catalog.build import network_shapes
from kdbench.catalog.find import DATASETS, METHODS, NETWORKS
from kdbench.data import Description, Prepared, protocol
from kdbench.errors import KdbenchError, nearest
from kdbench.methods import Method, NotApplicable, Setup
from kdbench.plan.model import Plan, Planned, origin_of
from kdbench.results.place import Place, RowRole
from kdbench.roles import Role
from kdbench.spec.cell import Cell, Part
from kdbench.spec.matrix import Matrix, MethodRow
from kdbench.spec.words import Spec, called
from kdbench.text import first_line

TEACHER_METHOD = Spec("supervised")
"""How a teacher is made, and the student alone."""

TEACHER_ALONE, STUDENT_ALONE = "teacher alone", "student alone"
"""The rows that every table has."""


def expand(matrix: Matrix, prepared: Callable[[Part], Prepared]) -> Plan:
    """Write a matrix out.

    Args:
        matrix: what is to be run.
        prepared: gives a dataset's windows.

    Raises:
        KdbenchError: if a name, setting or role is unknown, or a row stands twice.
    """
    chosen = protocol(matrix.protocol)  # refuses an unknown name before any data are prepared
    rows = [_ClosedRow(row) for row in matrix.methods if row.method != TEACHER_METHOD or row.label]
    # A row that only says what is there anyway, the student alone, is no row of its own.
    _once("row", [TEACHER_ALONE, STUDENT_ALONE, *(row.name for row in rows)], "; give each a label of its own")
    _once("dataset", [str(DATASETS.short(spec)) for spec in matrix.datasets])
    _once("pair", [f"{NETWORKS.short(teacher)}:{NETWORKS.short(student)}" for teacher, student in matrix.pairs])
    plan = Plan(matrix, warning=chosen.meaning if chosen.leaky else "")
    labels: list[str] = []
    for asked in matrix.datasets:
        part = DATASETS.close(asked)
        data = prepared(part)
        here = _Dataset(asked, part, data)
        labels.append(here.label)
        _once("dataset", labels, f"; {asked} calls itself {data.description.name!r}, as another one does")
        for teacher, student in matrix.pairs:
            _Block(plan, here, teacher, student).expand(rows)
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
        self.role = Role(role)
        start = self.cls.presets[str(preset)] if preset is not None else {}
        self.part = METHODS.close(Spec(row.method.name, {**start, **settings}))
        # What the label leaves out is what the preset says, or the default where it says nothing.
        meant = dict(METHODS.close(Spec(row.method.name, start)).settings)
        different = {key: value for key, value in self.part.settings if value != meant[key]}
        said = {} if preset is None else {"preset": str(preset)}
        if role != self.cls.roles[0]:
            said["role"] = str(role)
        self.name = row.label or str(Spec(called(row.method), {**said, **different}))

    def judged(self, setup: Setup) -> tuple[str | None, str]:
        """Why the method cannot be used here, or None, and what a reader must know about the row."""
        try:
            with torch.random.fork_rng(devices=[]):
                method = self.cls(setup, **dict(self.part.settings))
        except NotApplicable as error:
            return str(error), self.cls.note
        except Exception as error:
            raise KdbenchError(f"{self.name}: {self.cls.__name__} cannot be made: {error!r}") from error
        return None, "; ".join(method.notes())


@dataclass(frozen=True)
class _Dataset:
    """A dataset of the matrix: as asked for, with every setting, and its windows."""

    asked: Spec
    whole: Part
    data: Prepared

    @property
    def about(self) -> Description:
        return self.data.description

    @cached_property
    def identity(self) -> Part:
        """Without the settings that say where it lies."""
        where = DATASETS.get(self.asked.name).whereabouts
        return replace(self.whole, settings=tuple(s for s in self.whole.settings if s[0] not in where))

    @cached_property
    def label(self) -> str:
        """What tables call it: what it calls itself, and the settings that make it another one."""
        known = dict(self.identity.settings)
        said = {key: value for key, value in DATASETS.short(self.asked).settings.items() if key in known}
        return str(Spec(self.about.name, said))


class _Block:
    """A dataset with a teacher and a student: its cells and places."""

    def __init__(self, plan: Plan, here: _Dataset, teacher: Spec, student: Spec) -> None:
        self.plan, self.here = plan, here
        self.names = {RowRole.TEACHER: str(NETWORKS.short(teacher)), RowRole.STUDENT: str(NETWORKS.short(student))}
        self.teacher, self.student = NETWORKS.close(teacher), NETWORKS.close(student)
        self.shapes: dict[RowRole, Shapes] = {}
        self.impossible: dict[RowRole, str] = {}
        for side, part in ((RowRole.TEACHER, self.teacher), (RowRole.STUDENT, self.student)):
            try:
                self.shapes[side] = network_shapes(NETWORKS.get(part.name), part, here.about)
            except (ValueError, RuntimeError) as error:
                self.impossible[side] = f"{part.name}: {first_line(error)}"
        self.chosen = protocol(plan.matrix.protocol)
        windows = here.data.windows
        self.labels = torch.from_numpy(windows.y[~windows.test])
        self.folds = self.chosen.folds(windows, dataset=here.about.name) if self.chosen.every_fold else 1
        self.teacher_alone = cache(self._teacher_alone)
        self.alone = Cell(
            dataset=here.identity,
            dataset_name=here.about.name,
            data=here.data.digest,
            protocol=self.chosen.name,
            fold=0,
            method=METHODS.close(TEACHER_METHOD),
            role=Role.ABSENT,
            student=self.student,
            teacher=None,
            teacher_cell=None,
            seed=0,
            recipe=plan.matrix.recipe.unnamed,
        )

    def expand(self, rows: list[_ClosedRow]) -> None:
        """Add the networks alone and every row."""
        reference = "reference"
        self._add(RowRole.TEACHER, TEACHER_ALONE, reference, self.teacher_alone, self.impossible.get(RowRole.TEACHER))
        self._add(RowRole.STUDENT, STUDENT_ALONE, reference, self._student_alone, self.impossible.get(RowRole.STUDENT))
        for row in rows:
            impossible = next(iter(self.impossible.values()), None)
            reason, note = (impossible, row.cls.note) if impossible else row.judged(self._setup(row))
            self._add(RowRole.METHOD, row.name, row.cls.kind, partial(self._cell, row), reason, note)

    def _setup(self, row: _ClosedRow) -> Setup:
        student = self.shapes[RowRole.STUDENT]
        taught = self.shapes[RowRole.TEACHER] if row.role.present else None
        return Setup(student.classes, self.labels, student, role=row.role, teacher=taught)

    def _add(
        self,
        role: RowRole,
        row: str,
        kind: str,
        make: Callable[[int, int], Cell],
        reason: str | None,
        note: str = "",
    ) -> None:
        """Give a row its places, at every seed and fold, and the plan the cells that fill them."""
        pair = f"{self.names[RowRole.TEACHER]}:{self.names[RowRole.STUDENT]}"
        network = self.names[RowRole.TEACHER if role is RowRole.TEACHER else RowRole.STUDENT]
        for seed, fold in product(self.plan.matrix.seeds, range(self.folds)):
            place = Place(self.here.label, pair, network, row, kind, role, seed, fold, note)
            digest = None
            if reason is None:
                cell = make(seed, fold)
                digest = cell.digest
                self.plan.cells.setdefault(digest, cell)
                self.plan.origins[origin_of(cell)] = self.here.whole
            self.plan.places.append(Planned(place, digest, reason))

    def _student_alone(self, seed: int, fold: int) -> Cell:
        return replace(self.alone, seed=seed, fold=fold)

    def _teacher_alone(self, seed: int, fold: int) -> Cell:
        return replace(self.alone, student=self.teacher, seed=seed, fold=fold)

    def _cell(self, row: _ClosedRow, seed: int, fold: int) -> Cell:
        return replace(
            self.alone,
            seed=seed,
            fold=fold,
            method=row.part,
            role=row.role,
            teacher=self.teacher if row.role.present else None,
            teacher_cell=self.teacher_alone(seed, fold).digest if row.role.pretrained else None,
        )

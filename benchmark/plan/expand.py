"""From a matrix to cells: every default written out, teachers before those who learn from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from itertools import product

import torch

from kdbench.architectures import Shapes
from kdbench.catalog.build import network_shapes
from kdbench.catalog.channels import named, outlook
from kdbench.catalog.find import DATASETS, METHODS, NETWORKS
from kdbench.data import Description, Prepared, person_judged, protocol
from kdbench.errors import KdbenchError, nearest
from kdbench.methods import Method, NotApplicable, Setup
from kdbench.plan.model import Plan, Planned, WindowKind, origin_of
from kdbench.plan.references import ReferenceRow, is_reference
from kdbench.results.place import UNTUNED, Place, RowRole
from kdbench.roles import Role
from kdbench.spec.cell import Cell, Part
from kdbench.spec.matrix import Matrix, MethodRow
from kdbench.spec.preset import Found
from kdbench.spec.recipe import Recipe
from kdbench.spec.teachers import Imported
from kdbench.spec.words import Spec, called
from kdbench.text import described, first_line

TEACHER_METHOD = Spec("supervised")
"""How a teacher is made, and the student alone."""

TEACHER_ALONE, STUDENT_ALONE = "teacher alone", "student alone"
"""The rows that every table has."""

UNKNOWN = "on whom they were trained is not known"


def expand(matrix: Matrix, prepared: Callable[[Part], Prepared], *, every_fold: bool = False) -> Plan:
    """Write a matrix out.

    Args:
        matrix: what is to be run.
        prepared: gives a dataset's windows.
        every_fold: whether all folds are run, also of a protocol that is content with one, as a search wants.

    Raises:
        KdbenchError: if a name, setting or role is unknown, or a row stands twice.
    """
    chosen = protocol(matrix.protocol)  # refuses an unknown name before any data are prepared
    references = [ReferenceRow(row) for row in matrix.methods if is_reference(row)]
    methods = (row for row in matrix.methods if not is_reference(row))
    rows = [_ClosedRow(row) for row in methods if row.method != TEACHER_METHOD or row.label]
    # A row that only says what is there anyway, the student alone, is no row of its own.
    labels = [TEACHER_ALONE, STUDENT_ALONE, *(row.name for row in references), *(row.name for row in rows)]
    _once("row", labels, "; give each a label of its own")
    _once("dataset", [str(DATASETS.short(spec)) for spec in matrix.datasets])
    _once("pair", [f"{_network_label(teacher)}:{_network_label(student)}" for teacher, student in matrix.pairs])
    plan = Plan(matrix, warning=chosen.meaning if chosen.leaky else "")
    datasets: list[str] = []
    for asked in matrix.datasets:
        part = DATASETS.close(asked)
        data = prepared(part)
        here = _Dataset(asked, part, data)
        datasets.append(here.label)
        plan.windows[data.digest] = here.windows
        plan.cautions += [f"{here.label}: {each}" for each in data.warnings]
        _once("dataset", datasets, f"; {asked} calls itself {data.description.name!r}, as another one does")
        for teacher, student in matrix.pairs:
            _Block(plan, here, teacher, student, every_fold).expand(references, rows)
    _all_used(matrix.teachers, plan)
    return plan


def _network_label(spec: Spec) -> str:
    """What tables call a network: with as few settings as possible, and one in a file without its content."""
    short = NETWORKS.short(spec)
    return str(Spec(called(short), short.settings))


def _all_used(brought: tuple[Imported, ...], plan: Plan) -> None:
    """Raise where weights were brought along that no pair has a place for."""
    used = {cell.imported for cell in plan.cells.values()}
    for each in brought:
        if each.weights not in used:
            here = ", ".join(dict.fromkeys(f"{p.place.pair} on {p.place.dataset}" for p in plan.places))
            raise KdbenchError(
                f"the teacher {each.weights[:12]} is a {each.network} for other windows or another network than the "
                f"teachers of this matrix: {here}"
            )


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
        self.said = str(Spec(called(row.method), {**said, **different}))
        self.name = row.label or self.said

    def with_found(self, found: Found | None) -> _ClosedRow:
        """The row with settings that a search found; those that it states itself stay, since they were not searched."""
        if found is None:
            return self
        row = copy(self)
        row.part = METHODS.close(Spec(self.part.name, {**dict(self.part.settings), **found.settings}))
        return row

    def judged(self, setup: Setup) -> tuple[str | None, str]:
        """Why the method cannot be used here, or None, and what a reader must know about the row."""
        try:
            with torch.random.fork_rng(devices=[]):
                return None, "; ".join(self.cls(setup, **dict(self.part.settings)).notes())
        except NotApplicable as error:
            return str(error), self.cls.note
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # somebody's file
            raise KdbenchError(f"{self.name}: {self.cls.__name__} cannot be made: {described(error)}") from error


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

    @property
    def windows(self) -> WindowKind:
        """What its windows are."""
        about, channels = self.about, tuple(channel.name for channel in self.about.channels)
        return WindowKind(len(self.data.windows.y), channels, about.length, about.rate, about.classes, about.url)

    @property
    def people(self) -> str:
        """Whose recordings these are."""
        return DATASETS.get(self.asked.name).people_of or self.about.name


class _Block:
    """A dataset with a teacher and a student: its cells and places."""

    def __init__(self, plan: Plan, here: _Dataset, teacher: Spec, student: Spec, every_fold: bool) -> None:
        self.plan, self.here = plan, here
        self.names = {RowRole.TEACHER: _network_label(teacher), RowRole.STUDENT: _network_label(student)}
        self.teacher, self.student = (named(NETWORKS.close(each), here.about) for each in (teacher, student))
        fits = (str(NETWORKS.short(teacher)), here.data.digest)
        self.imported = next((e.weights for e in plan.matrix.teachers if (e.network, e.data) == fits), "")
        self.shapes: dict[RowRole, Shapes] = {}
        self.impossible: dict[RowRole, str] = {}
        for side, part in ((RowRole.TEACHER, self.teacher), (RowRole.STUDENT, self.student)):
            try:
                self.shapes[side] = network_shapes(NETWORKS.get(part.name), part, here.about)
            except (ValueError, RuntimeError) as error:
                self.impossible[side] = f"{part.name}: {first_line(error)}"
            except (KdbenchError, KeyboardInterrupt):
                raise
            except BaseException as error:  # somebody's file
                raise KdbenchError(f"{called(Spec(part.name))} cannot be made or run: {described(error)}") from error
        self.chosen = protocol(plan.matrix.protocol)
        windows = here.data.windows
        self.labels = torch.from_numpy(windows.y[~windows.test])
        every_fold = every_fold or self.chosen.every_fold
        self.folds = self.chosen.folds(windows, dataset=here.about.name) if every_fold else 1
        self.judged = [self._person_judged(fold) for fold in range(self.folds)]
        self.teacher_alone = cache(self._teacher_alone)
        self.pair = f"{self.names[RowRole.TEACHER]}:{self.names[RowRole.STUDENT]}"
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

    def _person_judged(self, fold: int) -> str:
        """By name, where a fold of several is one person."""
        if self.folds == 1:
            return ""
        about = self.here.data
        person = person_judged(self.chosen, about.windows, dataset=about.description.name, fold=fold)
        return "" if person is None else about.person(person)

    def expand(self, references: list[ReferenceRow], rows: list[_ClosedRow]) -> None:
        """Add the networks alone, what they are set beside, and every row."""
        for side, name, make in (
            (RowRole.TEACHER, TEACHER_ALONE, self.teacher_alone),
            (RowRole.STUDENT, STUDENT_ALONE, self._student_alone),
        ):
            tuned = self._tuned(self.names[side], name)
            sees = outlook(self.teacher if side is RowRole.TEACHER else self.student, self.here.about)
            if side is RowRole.TEACHER and self.imported:
                sees = "; ".join(filter(None, [sees, f"weights {self.imported[:12]} were brought along: {UNKNOWN}"]))
            self._add(side, name, "reference", make, self.impossible.get(side), tuned, sees)
        for reference in references:
            note = reference.note(self.student, self.here.about)
            make = partial(reference.cell, self.alone, self.here.about)
            self._add(RowRole.REFERENCE, reference.name, "reference", make, None, "", note, reference.reference)
        for row in rows:
            tuned = self._tuned(self.pair, row.said)
            used = row.with_found(self._found(self.pair, row.said))
            impossible = next(iter(self.impossible.values()), None)
            reason, note = (impossible, row.cls.note) if impossible else used.judged(self._setup(used))
            self._add(RowRole.METHOD, row.name, row.cls.kind, partial(self._cell, used), reason, tuned, note)

    def _found(self, networks: str, row: str) -> Found | None:
        """What a search found for a row."""
        preset = self.plan.matrix.preset
        return preset.find(self.here.label, networks, row) if preset else None

    def _tuned(self, networks: str, row: str) -> str:
        """Whether a row is tuned, and on what; empty where the matrix has no preset."""
        found = self._found(networks, row)
        if found is None:
            return UNTUNED if self.plan.matrix.preset else ""
        return found.note(self.here.label, networks)

    def _recipe(self, networks: str, row: str) -> Recipe:
        found = self._found(networks, row)
        recipe = self.plan.matrix.recipe
        return (recipe.changed(found.recipe) if found else recipe).unnamed

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
        tuned: str,
        note: str = "",
        deployed: str = "",
    ) -> None:
        """Give a row its places, at every seed and fold, and the plan the cells that fill them."""
        network = deployed or self.names[RowRole.TEACHER if role is RowRole.TEACHER else RowRole.STUDENT]
        for seed, fold in product(self.plan.matrix.seeds, range(self.folds)):
            said = (note, tuned, self.here.people, self.judged[fold])
            place = Place(self.here.label, self.pair, network, row, kind, role, seed, fold, *said)
            digest = None
            if reason is None:
                cell = make(seed, fold)
                digest = cell.digest
                self.plan.cells.setdefault(digest, cell)
                self.plan.origins[origin_of(cell)] = self.here.whole
            self.plan.places.append(Planned(place, digest, reason))

    def _student_alone(self, seed: int, fold: int) -> Cell:
        recipe = self._recipe(self.names[RowRole.STUDENT], STUDENT_ALONE)
        return replace(self.alone, recipe=recipe, seed=seed, fold=fold)

    def _teacher_alone(self, seed: int, fold: int) -> Cell:
        recipe = self._recipe(self.names[RowRole.TEACHER], TEACHER_ALONE)
        taught = replace(self.alone, recipe=recipe, student=self.teacher, seed=seed, fold=fold)
        return replace(taught, imported=self.imported)

    def _cell(self, row: _ClosedRow, seed: int, fold: int) -> Cell:
        return replace(
            self.alone,
            recipe=self._recipe(self.pair, row.said),
            seed=seed,
            fold=fold,
            method=row.part,
            role=row.role,
            teacher=self.teacher if row.role.present else None,
            teacher_cell=self.teacher_alone(seed, fold).digest if row.role.pretrained else None,
        )

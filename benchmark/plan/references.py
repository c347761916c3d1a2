"""Rows of a matrix that are no methods: references, which stand in its list of methods by their names."""

from __future__ import annotations

from dataclasses import replace

from kdbench.catalog.channels import named, outlook
from kdbench.catalog.find import METHODS, REFERENCES
from kdbench.catalog.schema import CHANNELS
from kdbench.data import Description
from kdbench.errors import KdbenchError, nearest
from kdbench.roles import Role
from kdbench.spec.cell import FITTED, Cell, Part
from kdbench.spec.matrix import MethodRow
from kdbench.spec.recipe import Recipe


def is_reference(row: MethodRow) -> bool:
    """Whether a row names a reference.

    Raises:
        KdbenchError: if it might be a method as well, or names nothing at all.
    """
    name, methods, references = row.method.name, METHODS.names(), REFERENCES.names()
    if name not in references:
        if name not in methods and "@" not in name:  # that is of a file
            raise KdbenchError(nearest("methods", name, [*methods, *references]))
        return False
    if name in methods:
        raise KdbenchError(f"{name!r} is a reference and claimed as a method too; uninstall one of them")
    return True


class ReferenceRow:
    """A reference with its settings written out.

    Raises:
        KdbenchError: if a setting is unknown, or what it needs is not installed.
    """

    def __init__(self, row: MethodRow) -> None:
        self.part = REFERENCES.close(row.method)
        self.name = row.label or str(REFERENCES.short(row.method))
        self.reference = row.method.name

    def part_for(self, student: Part, about: Description) -> Part:
        """The reference, seeing the channels that the student sees."""
        seen = tuple(setting for setting in student.settings if setting[0] == CHANNELS.name)
        return named(replace(self.part, settings=(*self.part.settings, *seen)), about)

    def note(self, student: Part, about: Description) -> str:
        """What a reader must know about it."""
        said = REFERENCES.get(self.reference).note
        return "; ".join(filter(None, [said, outlook(self.part_for(student, about), about)]))

    def cell(self, alone: Cell, about: Description, seed: int, fold: int) -> Cell:
        """Its cell beside a student's: alike in people, seed and windows, and in nothing that is a network's."""
        return replace(
            alone,
            student=self.part_for(alone.student, about),
            method=FITTED,
            role=Role.ABSENT,
            teacher=None,
            teacher_cell=None,
            seed=seed,
            fold=fold,
            recipe=Recipe().unnamed,
        )

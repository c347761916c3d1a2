"""What is claimed, run, retried and timed: a cell, and where its windows lie on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from kdbench.plan.model import Plan, origin_of
from kdbench.provenance.sources import foreign
from kdbench.spec.cell import Cell, Part


@dataclass(frozen=True)
class Job:
    """A cell to be run.

    Args:
        cell: what is run.
        dataset: the cell's, with the settings that say where it lies.
        replaces: mark of the record that this one replaces, as `Store.mark` has it; empty where there is none.
    """

    cell: Cell
    dataset: Part
    replaces: str = ""

    @property
    def digest(self) -> str:
        return self.cell.digest

    @property
    def foreign(self) -> bool:
        """Whether it runs code from outside kdbench."""
        return foreign(self.cell)


def job_of(plan: Plan, digest: str, replaces: str = "") -> Job:
    """The job of a plan's cell."""
    cell = plan.cells[digest]
    return Job(cell, plan.origins[origin_of(cell)], replaces)

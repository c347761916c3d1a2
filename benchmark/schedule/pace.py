"""Seconds that cells take, learnt from those that are finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kdbench.spec.cell import Cell, Part

Key = tuple[str, ...]


class Pace:
    """How long cells take on one machine and device.

    A cell's guessed work is scaled by how long finished cells took for theirs: those of the same networks, method and
    dataset if there are any, else of the same networks and method, of the same student, or of any kind.

    Args:
        work: a guess at a cell's work; only ratios between cells matter.
    """

    def __init__(self, work: Callable[[Cell, Part], float]) -> None:
        self.work = work
        self._seen: dict[Key, tuple[float, float]] = {}

    def learn(self, cell: Cell, dataset: Part, seconds: float, share: float = 1.0) -> None:
        """Remember how long a cell took, or a share of it."""
        if cell.imported:  # it was not trained
            return
        work = share * self.work(cell, dataset)
        for key in _keys(cell):
            before = self._seen.get(key, (0.0, 0.0))
            self._seen[key] = (before[0] + work, before[1] + seconds)

    def __call__(self, cell: Cell, dataset: Part) -> float | None:
        """Seconds that a cell would take; None as long as nothing is known."""
        for key in () if cell.imported else _keys(cell):
            work, seconds = self._seen.get(key, (0.0, 0.0))
            if work > 0:
                return self.work(cell, dataset) * seconds / work
        return 1.0 if cell.imported else None


def _keys(cell: Cell) -> Iterator[Key]:
    """What a cell is like, from the most telling to the least."""
    networks = (cell.student.name, cell.teacher.name if cell.teacher else "")
    yield (cell.dataset_name, cell.method.name, str(cell.role), *networks)
    yield (cell.method.name, str(cell.role), *networks)
    yield (cell.student.name,)
    yield ()

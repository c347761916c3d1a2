"""In which order jobs begin, where several could."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from kdbench.schedule.jobs import Job


def by_critical_path(todo: Mapping[str, Job], seconds: Callable[[Job], float]) -> list[Job]:
    """Jobs, those first on which the longest chain hangs: a teacher counts with the longest of whom it teaches.

    So no core idles at the end behind one long cell that could have begun early. Jobs with equally long chains keep
    their order.

    Args:
        todo: jobs by digest.
        seconds: how long a job takes, or anything in proportion.
    """
    taught: dict[str | None, list[float]] = defaultdict(list)
    alone = {digest: seconds(job) for digest, job in todo.items()}
    for digest, job in todo.items():
        taught[job.cell.teacher_cell].append(alone[digest])
    chain = {digest: alone[digest] + max(taught[digest], default=0.0) for digest in todo}
    return sorted(todo.values(), key=lambda job: -chain[job.digest])


def part_of(todo: Mapping[str, Job], part: int, parts: int) -> dict[str, Job]:
    """The part of some jobs that one of several machines runs, the same whoever asks: with the teachers that it needs.

    Args:
        todo: jobs by digest, in the plan's order.
        part: which, from 1.
        parts: of how many.
    """
    teachers = {job.cell.teacher_cell for job in todo.values()}
    last = [digest for digest in todo if digest not in teachers]  # whom nobody waits for
    mine = set(last[part - 1 :: parts])
    mine |= {str(todo[digest].cell.teacher_cell) for digest in mine}
    return {digest: job for digest, job in todo.items() if digest in mine}

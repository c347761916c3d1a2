"""In which order jobs begin, where several could."""

from __future__ import annotations

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
    chain = chains({digest: seconds(job) for digest, job in todo.items()}, todo)
    return sorted(todo.values(), key=lambda job: -chain[job.digest])


def chains(seconds: Mapping[str, float], todo: Mapping[str, Job]) -> dict[str, float]:
    """How long each of some jobs takes together with the longest of those that wait for it.

    Args:
        seconds: of each job alone, by digest.
        todo: these jobs, among others perhaps.
    """
    waiting: dict[str | None, float] = {}
    for digest, alone in seconds.items():
        teacher = todo[digest].cell.teacher_cell
        waiting[teacher] = max(waiting.get(teacher, 0.0), alone)
    return {digest: alone + waiting.get(digest, 0.0) for digest, alone in seconds.items()}


def part_of(todo: Mapping[str, Job], part: int, parts: int, needs: Callable[[str], set[str]]) -> dict[str, Job]:
    """The part of some jobs that one of several machines runs, the same whoever asks: with the teachers that it needs.

    Args:
        todo: jobs by digest, in the plan's order.
        part: which, from 1.
        parts: of how many.
        needs: digests of what else must have been run before a job may begin.
    """
    teachers = {job.cell.teacher_cell for job in todo.values()}
    last = [digest for digest in todo if digest not in teachers]  # whom nobody waits for
    mine = set(last[part - 1 :: parts])
    mine |= {str(todo[digest].cell.teacher_cell) for digest in mine} | {each for d in mine for each in needs(d)}
    return {digest: job for digest, job in todo.items() if digest in mine}

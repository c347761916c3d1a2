"""The plan of a matrix: written out anew, or as it was when it was last run here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kdbench.errors import DataUnavailable, KdbenchError
from kdbench.machine import Runtime
from kdbench.plan.model import Plan
from kdbench.provenance.sources import same_versions
from kdbench.spec.matrix import Matrix
from kdbench.store.memory import matrices, remembered
from kdbench.store.records import Store


def fresh_plan(
    matrix: Matrix, where: Runtime, *, chosen: bool, warn: Callable[[str], None] = lambda line: None
) -> Plan:
    """Write a matrix out, its data prepared, and fetched where they are missing.

    Args:
        matrix: what is to be run.
        where: where its data are.
        chosen: whether the user named the datasets; if not, the matrix's fallback stands in for one that cannot be had.
        warn: told, loudly, when it does.

    Raises:
        DataUnavailable: if a dataset cannot be had and nothing may stand in for it.
        KdbenchError: if a name, a setting or a role is unknown, or data are not what they should be.
    """
    if matrix.fallback is not None:
        from kdbench.catalog.find import DATASETS  # with torch, which who only reads a kept plan needs not

        DATASETS.close(matrix.fallback)  # a slip in it is not to surface on the day that it is needed
    try:
        return _expand(matrix, where, download=True)
    except DataUnavailable as error:
        if chosen or matrix.fallback is None:
            raise
        name = str(matrix.fallback)
        warn(f"{error}\n\nRunning on {name!r} instead: GENERATED data, good for a look at kdbench, not for any claim.")
        other = replace(matrix, datasets=(matrix.fallback,), name=f"{matrix.name}-{matrix.fallback.name}")
        return _expand(other, where, download=True)


def kept_plan(matrix: Matrix, where: Runtime) -> Plan:
    """A matrix as it was written out when it was last run in the store.

    So results can be read where neither their data nor torch are. It is written out anew where it was never run, and
    where a method, a network or a dataset has another version since, unless its data are not here.

    Raises:
        DataUnavailable: if it was never run here and a dataset cannot be had.
        KdbenchError: as `fresh_plan`.
    """
    store = Store(where.store)
    kept = remembered(store, matrix)
    if kept is not None and same_versions(kept.cells.values()):
        return kept
    try:
        return _expand(matrix, where, download=False)
    except (KdbenchError, ModuleNotFoundError) as error:  # without torch too what was run can be read
        if kept is not None:
            return kept
        if not isinstance(error, DataUnavailable):
            raise
        if matrices(store):
            raise DataUnavailable(f"{error}; without its data a matrix can be read only as it was run here") from None
        raise


def _expand(matrix: Matrix, where: Runtime, *, download: bool) -> Plan:
    from kdbench.catalog.build import load_data  # torch, which results are read without
    from kdbench.plan.expand import expand

    return expand(matrix, lambda part: load_data(part, where, download=download))

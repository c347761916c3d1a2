"""What `table --beside-default` gives: a matrix with defaults and with a preset, each row beside itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version

from kdbench.commands.refusals import refusals
from kdbench.errors import KdbenchError
from kdbench.plan.model import Plan
from kdbench.results.pages import Run, tuning_page, tuning_sheet
from kdbench.results.render import csv_text, page_text
from kdbench.spec.matrix import Matrix
from kdbench.store.entries import entries
from kdbench.store.memory import matrices
from kdbench.store.records import Store


def beside_text(
    matrix: Matrix, store: Store, kept: Callable[[Matrix], Plan], form: str, metrics: tuple[str, ...]
) -> str:
    """The rows of a matrix with defaults beside those with a preset.

    Args:
        matrix: one of the two.
        store: where both were run.
        kept: writes a matrix out as it was run.
        form: a format for readers, or csv.
        metrics: what is compared.

    Raises:
        KdbenchError: if the matrix was not run with a preset here, or a metric or the format is unknown.
    """
    default, tuned = (kept(each) for each in both(matrix, store))
    runs = [Run(entries(plan, store), plan.asked) for plan in (default, tuned)]
    with refusals():
        if form.startswith("csv"):
            return csv_text(tuning_sheet(runs[0], runs[1], metrics))
        return page_text(tuning_page(runs[0], runs[1], metrics, version=version("kdbench")), form)


def both(matrix: Matrix, store: Store) -> tuple[Matrix, Matrix]:
    """A matrix with defaults and with a preset; of the one that is not given, what was run last here.

    Raises:
        KdbenchError: if it was not run with a preset.
    """
    alike = [kept.matrix for kept in matrices(store) if _bare(kept.matrix) == _bare(matrix)]
    if matrix.preset is not None:
        plain = next((other for other in alike if other.preset is None), replace(matrix, preset=None))
        return plain, matrix
    tuned = next((other for other in alike if other.preset is not None), None)
    if tuned is None:
        raise KdbenchError(f"{matrix.name} was not run with a preset in {store.root} (`kdbench run --preset FILE`)")
    return matrix, tuned


def _bare(matrix: Matrix) -> Matrix:
    """What two runs share that differ in their settings alone, whatever they are called."""
    recipe = replace(matrix.recipe, name="", note="")
    return replace(matrix, name="", description="", fallback=None, preset=None, recipe=recipe)

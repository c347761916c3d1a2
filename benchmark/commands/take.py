"""What `take` does: from a cell, or a row of a table, to a folder that runs without kdbench."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kdbench.commands.cells import cell_named
from kdbench.errors import DataUnavailable, KdbenchError, nearest
from kdbench.machine import Runtime
from kdbench.plan.model import Plan
from kdbench.results.place import Place
from kdbench.spec.cell import Cell, Part
from kdbench.spec.words import Spec
from kdbench.store.memory import chosen as named_matrix
from kdbench.store.memory import matrices, none_run, remembered
from kdbench.store.plugins import look_in
from kdbench.store.records import Store, is_digest

if TYPE_CHECKING:  # numpy is loaded where data are, torch where a model is
    from kdbench.data import Prepared
    from kdbench.deploy.subject import Subject


@dataclass(frozen=True)
class Chosen:
    """A cell that is taken.

    Args:
        digest: of it.
        why: how it was chosen, a sentence.
    """

    digest: str
    why: str


def last_plan(where: Runtime, stored: str | None) -> Plan | None:
    """The matrix of a name, or the one run last, as it was written out then; None where none was run.

    Raises:
        KdbenchError: if there is none of that name.
    """
    store = Store(where.store)
    if stored is not None:
        return remembered(store, named_matrix(store, stored).matrix)
    return next((remembered(store, kept.matrix) for kept in matrices(store)), None)


def choose(
    plan: Plan | None, where: Runtime, name: str, *, dataset: str | None = None, pair: str | None = None
) -> Chosen:
    """The cell of a name: the beginning of a digest, or a row of a table.

    Of a row's cells it is the one of the lowest seed, and of its folds the first: never one that was chosen by how it
    did on the people it is judged on.

    Args:
        plan: the matrix whose table has the row; None where no matrix was run.
        where: the store that has the cells.
        name: of a cell or a row.
        dataset: which block, where the row stands in several.
        pair: likewise.

    Raises:
        KdbenchError: if there is none, there are several, or it is not done.
    """
    store = Store(where.store)
    store.wants_weights()
    row = plan is not None and any(planned.place.row == name for planned in plan.places)
    if _may_be_digest(name) and not row:
        return Chosen(cell_named(store, name), "Taken by its digest.")
    if plan is None:
        raise none_run(store)
    places = [planned for planned in plan.places if planned.place.row == name]
    if not places:
        raise KdbenchError(nearest("rows", name, {planned.place.row for planned in plan.places}))
    blocks = {_block(planned.place) for planned in places}
    for what, wanted, at in (("datasets", dataset, 0), ("pairs", pair, 1)):
        if wanted is not None:
            if wanted not in {block[at] for block in blocks}:
                raise KdbenchError(nearest(what, wanted, {block[at] for block in blocks}))
            blocks = {block for block in blocks if block[at] == wanted}
    if len(blocks) > 1:
        some = "; ".join(f"-d '{data}' -p '{nets}'" for data, nets in sorted(blocks)[:4])
        raise KdbenchError(f"{name} stands in {len(blocks)} blocks; say which one: {some}")
    here = [planned for planned in places if _block(planned.place) in blocks]
    first = min(here, key=lambda planned: (planned.place.seed, planned.place.fold))
    if first.digest is None:
        raise KdbenchError(f"{first.place.name} is n/a: {first.reason}")
    _done(store, first.digest, first.place.name)
    seeds = len({planned.place.seed for planned in here})
    of = f"of {seeds} seeds the lowest" if seeds > 1 else "the only seed"
    return Chosen(first.digest, f"Row {name!r} of {first.place.pair}: {of}, {first.place.seed}; not chosen by a score.")


def take(
    chosen: Chosen,
    where: Runtime,
    folder: Path,
    *,
    force: bool = False,
    say: Callable[[str], None] = print,
    warn: Callable[[str], None] = print,
) -> bool:
    """Write the folder of a cell; the cell's own folder keeps how its forms did, for `table --deploy`.

    Args:
        chosen: the cell.
        where: the store that has it, and the data.
        folder: must not be there.
        force: whether to write forms that the gate refuses too.
        say: is told how it goes, and what could not be made.
        warn: is told what the gate has against the forms.

    Returns:
        Whether every form that could be made is in the folder.

    Raises:
        DataUnavailable: if its windows are not here.
        KdbenchError: if it cannot be taken, or a form in 32 bits says something else than what was trained.
    """
    from kdbench.deploy.folder import write_folder
    from kdbench.deploy.kept import keep  # torch

    store = Store(where.store)
    subject = _subject(store, chosen.digest, where, folder)
    if subject.fitted_again:
        from kdbench.store.use import LACKS

        say(f"its record is of an older kdbench and lacks {LACKS}; fitted again on the training windows")
    made = write_folder(subject, folder, chosen=chosen.why, force=force, say=say)
    keep(store, chosen.digest, made)
    for each in made.left_out:
        say(each)
    say(f"wrote {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")
    for each in made.warnings:
        warn(each)
    return not made.refused


def _subject(store: Store, digest: str, where: Runtime, folder: Path) -> Subject:
    """What is taken, with its model; whatever can be refused before any work is."""
    from kdbench.deploy.onnx_forms import needed
    from kdbench.deploy.subject import take as taken

    look_in(store)
    needed()
    if folder.exists():
        raise KdbenchError(f"{folder} is there already; -o names another folder")
    _done(store, digest, digest)
    _network(store, digest)
    return taken(store, digest, _data(store, digest, where))


def _may_be_digest(name: str) -> bool:
    return 4 <= len(name) <= 20 and is_digest(name.ljust(20, "0"))


def _block(place: Place) -> tuple[str, str]:
    return place.dataset, place.pair


def _done(store: Store, digest: str, name: str) -> None:
    record = store.record(digest)
    if record is None:
        raise KdbenchError(f"{name} is not run yet; `kdbench run` with the options of its matrix runs it")
    if record.status != "done":
        raise KdbenchError(f"{name} failed: {record.reason}")


def _network(store: Store, digest: str) -> None:
    record = store.record(digest)
    assert record is not None
    cell = Cell.from_plain(record.cell)
    if cell.fitted:
        raise KdbenchError(
            f"{cell.student.name} is a reference and no network: it keeps no weights that a device could be given"
        )


def _data(store: Store, digest: str, where: Runtime) -> Prepared:
    """The windows of a cell, wherever its matrices say that they lie."""
    from kdbench.catalog.build import load_data

    record = store.record(digest)
    assert record is not None
    cell = Cell.from_plain(record.cell)
    wrong: KdbenchError | None = None
    for part in _parts(store, cell):
        try:
            data = load_data(part, where)
        except KdbenchError as error:
            wrong = wrong or error
            continue
        if data.digest == cell.data:
            return data
        wrong = wrong or KdbenchError(f"{cell.dataset_name} here is not what {digest} was trained on")
    raise wrong or DataUnavailable(f"{cell.dataset_name} is not here")


def _parts(store: Store, cell: Cell) -> Iterator[Part]:
    """The cell's dataset, as the matrices that have the cell asked for it, and as the cell itself has it."""
    from kdbench.catalog.find import DATASETS

    for kept in matrices(store):
        plan = remembered(store, kept.matrix)
        if plan is not None and cell.digest in plan.cells:
            for asked in kept.matrix.datasets:
                if asked.name == cell.dataset.name:
                    yield DATASETS.close(asked)
    yield DATASETS.close(Spec(cell.dataset.name, dict(cell.dataset.settings)))

"""What `publish` writes: records in the small form, and every page that is made of them."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kdbench.commands.beside import beside_text, both
from kdbench.commands.citations import citations
from kdbench.commands.deployed import deploy_text
from kdbench.commands.figures import draw, draw_costs, draw_deployed
from kdbench.commands.report import write_report
from kdbench.commands.seen import seen
from kdbench.commands.stats import stats_text
from kdbench.commands.studies import found_text, kept_studies
from kdbench.commands.tables import cost_text, table_text
from kdbench.errors import KdbenchError
from kdbench.files import fresh_folder, write_whole
from kdbench.plan.model import Plan
from kdbench.results.figures import figure_bytes, figure_of
from kdbench.results.place import RowRole
from kdbench.spec.matrix import Matrix
from kdbench.store.deployed import deployed
from kdbench.store.memory import identity_of, matrices, remembered
from kdbench.store.packed import JOURNAL, pack, unpack
from kdbench.store.plugins import look_in
from kdbench.store.records import UNPACKED, Store
from kdbench.text import counted

Say = Callable[[str], None]

RECORDS = "records"
"""The folder, beside the pages, of what they are made of."""

SHOWN = ("macro_f1", "accuracy")
EVERY = (*SHOWN, "weighted_f1", "worst_person_f1", "calibration_error", "agreement")


def publish(matrix: Matrix, store: Store, folder: Path, say: Say = lambda line: None) -> list[str]:
    """Keep what a matrix gave in a folder in the small form, and write its pages.

    With a preset, what the same matrix gave with defaults is kept too, and stands beside it.

    Args:
        matrix: that was run.
        store: where it was.
        folder: where to; files in it that are none of `PAGES` are left alone.
        say: is told which page was written and which removed.

    Returns:
        Names of the pages.

    Raises:
        KdbenchError: if it was not run in the store, or a record or a file that belongs to one is damaged; of a store
            that was made of published records, since rounding twice is not rounding once.
    """
    store.wants_weights()
    asked = both(matrix, store) if matrix.preset is not None else (matrix,)
    plans = [plan for each in asked if (plan := remembered(store, each)) is not None]
    if all(plan.matrix != matrix for plan in plans):
        raise KdbenchError(
            f"{matrix.name} was not run in {store.root}; what is published was run (`kdbench list runs`)"
        )
    digests = {digest for plan in plans for digest in plan.cells}
    pack(store, digests, [identity_of(plan.matrix) for plan in plans], folder / RECORDS)
    return publish_again(folder, say)


def publish_again(folder: Path, say: Say = lambda line: None) -> list[str]:
    """Write the pages of a published folder again, from its own records; returns their names.

    Pages of records that were there before and that these do not give any more are removed.

    Raises:
        KdbenchError: if there are none, or they are damaged.
    """
    made = _pages(folder)
    for name, content in made.items():
        write_whole(folder / name, content)
        say(f"wrote {folder / name}")
    for name in _left_over(folder, made):
        (folder / name).unlink()
        say(f"removed {folder / name}")
    return list(made)


def differing(folder: Path) -> list[str]:
    """Names of the pages of a published folder that its records do not give, byte for byte, or not at all.

    Raises:
        KdbenchError: if there are no records, or they are damaged.
    """
    made = _pages(folder)
    other = [
        name
        for name, content in made.items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != content
    ]
    return sorted([*other, *_left_over(folder, made)])


def unpacked(folder: Path, into: Path) -> str:
    """Make a store of a published folder's records, and say how it is read.

    It is to be read: there are no weights, and predictions are rounded. Whatever trains refuses it.

    Raises:
        KdbenchError: if there are no records, they are damaged, or something is there already.
    """
    if into.exists() or into.is_symlink():
        raise KdbenchError(f"{into} is there already; wanted the name of a new store")
    above = next(each for each in into.absolute().parents if each.exists())
    if not above.is_dir():
        raise KdbenchError(f"{into}: {above} is a file; wanted a folder")
    with tempfile.TemporaryDirectory(prefix="kdbench-") as name:  # so that nothing is made before all is read
        store = Store(Path(name))
        unpack(folder / RECORDS, store)
        _kept(store, folder)
        (store.root / UNPACKED).write_text(f"{folder}\n", encoding="utf-8")
        count = len(store.digests())
        with fresh_folder(into) as place:
            shutil.copytree(store.root, place, dirs_exist_ok=True)
    return f"{counted(count, 'cell')} unpacked; `kdbench table --store {shlex.quote(str(into))}` prints their table"


def _left_over(folder: Path, made: dict[str, bytes]) -> list[str]:
    """Pages in a folder that its records do not give."""
    return [name for name in sorted(PAGES) if name not in made and (folder / name).is_file()]


def _pages(folder: Path) -> dict[str, bytes]:
    """Every page by its name, made of a published folder's records and of nothing else."""
    with tempfile.TemporaryDirectory(prefix="kdbench-") as place:
        store, made = Store(Path(place) / "store"), Path(place) / "pages"
        unpack(folder / RECORDS, store)
        look_in(store)
        kept = _kept(store, folder)
        plan = next((each for each in kept if each.matrix.preset is not None), kept[0])
        made.mkdir()
        for name, page in PAGES.items():
            if page.when(plan, store):
                page.write(plan, store, made / name)
        return {path.name: path.read_bytes() for path in sorted(made.iterdir())}


def _kept(store: Store, folder: Path) -> list[Plan]:
    """The plan of each matrix of unpacked records.

    Raises:
        KdbenchError: if there is none, or one of them or its plan is damaged or not there.
    """
    kept = [_plan(store, each.matrix) for each in matrices(store)]
    if not kept:
        raise KdbenchError(f"{folder / RECORDS} has no matrix; wanted what `kdbench publish` wrote")
    return kept


def _always(plan: Plan, store: Store) -> bool:
    return True


@dataclass(frozen=True)
class Page:
    """A page that a folder may have.

    Args:
        write: makes it in a file.
        when: whether the records of a plan give it.
    """

    write: Callable[[Plan, Store, Path], None]
    when: Callable[[Plan, Store], bool] = _always


def _text(made: Callable[[Plan, Store], str], when: Callable[[Plan, Store], bool] = _always) -> Page:
    """A page of text that ends with its line."""

    def write(plan: Plan, store: Store, path: Path) -> None:
        text = made(plan, store)
        path.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8", newline="\n")

    return Page(write, when)


def _taught(plan: Plan, store: Store) -> bool:
    return any(each.place.role is RowRole.METHOD for each in plan.places)


def _networks_alone(plan: Plan, store: Store) -> bool:
    return not _taught(plan, store)


def _taken(plan: Plan, store: Store) -> bool:
    return any(deployed(store, digest) for digest in plan.cells)


def _tuned(plan: Plan, store: Store) -> bool:
    return plan.matrix.preset is not None


def _searched(plan: Plan, store: Store) -> bool:
    return (store.root / JOURNAL).is_file()


def _capacity(plan: Plan, store: Store, path: Path) -> None:
    looked = seen(plan, store, SHOWN[0], ())
    try:
        drawn = figure_of("capacity", looked, "two")
    except ValueError:  # most matrices have each student in one size alone, or not all sizes yet
        return
    path.write_bytes(figure_bytes(drawn, "png"))


def _stats(plan: Plan, store: Store, metric: str) -> str:
    return stats_text(plan, store, metric, "markdown", equivalent=0.005)


def _beside(plan: Plan, store: Store, form: str) -> str:
    return beside_text(plan.matrix, store, lambda each: _plan(store, each), form, SHOWN)


def _found(store: Store, form: str) -> str:
    with kept_studies(store.root, None) as studies:
        return found_text(studies, form)


PAGES = {
    "table.md": _text(lambda plan, store: table_text(plan, store, "markdown", SHOWN)),
    "table.tex": _text(lambda plan, store: table_text(plan, store, "latex", SHOWN)),
    "table.bib": _text(lambda plan, store: citations(plan)),
    "runs.csv": _text(lambda plan, store: table_text(plan, store, "csv", EVERY)),
    "summary.csv": _text(lambda plan, store: table_text(plan, store, "csv-summary", EVERY)),
    "stats.md": _text(lambda plan, store: _stats(plan, store, SHOWN[0]), when=_taught),
    "stats-accuracy.md": _text(lambda plan, store: _stats(plan, store, SHOWN[1]), when=_taught),
    "gain.png": Page(
        lambda plan, store, path: draw(plan, store, SHOWN[0], path, figure="gain", width="two"), when=_taught
    ),
    "capacity.png": Page(_capacity, when=_taught),
    "costs.md": _text(lambda plan, store: cost_text(plan, store, "markdown", SHOWN), when=_networks_alone),
    "costs.png": Page(lambda plan, store, path: draw_costs(plan, store, SHOWN[0], path), when=_networks_alone),
    "deploy.md": _text(lambda plan, store: deploy_text(plan, store, "markdown"), when=_taken),
    "deploy.csv": _text(lambda plan, store: deploy_text(plan, store, "csv"), when=_taken),
    "deploy.png": Page(lambda plan, store, path: draw_deployed(plan, store, "size", path, width="two"), when=_taken),
    "beside-default.md": _text(lambda plan, store: _beside(plan, store, "markdown"), when=_tuned),
    "beside-default.csv": _text(lambda plan, store: _beside(plan, store, "csv"), when=_tuned),
    "search.md": _text(lambda plan, store: _found(store, "markdown"), when=_searched),
    "search.csv": _text(lambda plan, store: _found(store, "csv"), when=_searched),
    "report.html": Page(lambda plan, store, path: write_report(plan, store, path, SHOWN)),
}
"""Every page that a folder may have, by its name; other files in it are not kdbench's to write or remove."""


def _plan(store: Store, matrix: Matrix) -> Plan:
    plan = remembered(store, matrix)
    if plan is None:
        raise KdbenchError(f"the plan of {matrix.name} is not among the records; it has to be published again")
    return plan

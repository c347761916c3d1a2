"""What `publish` writes: records in the small form, and every page that is made of them."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from kdbench.commands.beside import beside_text, both
from kdbench.commands.citations import citations
from kdbench.commands.deployed import deploy_text
from kdbench.commands.figures import draw, draw_costs, draw_deployed
from kdbench.commands.report import write_report
from kdbench.commands.stats import stats_text
from kdbench.commands.studies import found_text, kept_studies
from kdbench.commands.tables import cost_text, table_text
from kdbench.errors import KdbenchError
from kdbench.files import write_whole
from kdbench.plan.model import Plan
from kdbench.spec.matrix import Matrix
from kdbench.store.deployed import deployed
from kdbench.store.memory import identity_of, matrices, remembered
from kdbench.store.packed import JOURNAL, pack, unpack
from kdbench.store.plugins import look_in
from kdbench.store.records import Store

RECORDS = "records"
"""The folder, beside the pages, of what they are made of."""

SHOWN = ("macro_f1", "accuracy")
EVERY = (*SHOWN, "weighted_f1", "worst_person_f1", "calibration_error", "agreement")


def publish(matrix: Matrix, store: Store, folder: Path) -> list[str]:
    """Keep what a matrix gave in a folder in the small form, and write its pages.

    With a preset, what the same matrix gave with defaults is kept too, and stands beside it.

    Returns:
        Names of the pages.

    Raises:
        KdbenchError: if it was not run in the store, or a record or a file that belongs to one is damaged.
    """
    asked = both(matrix, store) if matrix.preset is not None else (matrix,)
    plans = [plan for each in asked if (plan := remembered(store, each)) is not None]
    if all(plan.matrix != matrix for plan in plans):
        raise KdbenchError(
            f"{matrix.name} was not run in {store.root}; what is published was run (`kdbench list runs`)"
        )
    digests = {digest for plan in plans for digest in plan.cells}
    pack(store, digests, [identity_of(plan.matrix) for plan in plans], folder / RECORDS)
    return publish_again(folder)


def publish_again(folder: Path) -> list[str]:
    """Write the pages of a published folder again, from its own records; returns their names.

    Raises:
        KdbenchError: if there are none, or they are damaged.
    """
    made = _pages(folder)
    for name, content in made.items():
        write_whole(folder / name, content)
    return list(made)


def differing(folder: Path) -> list[str]:
    """Names of the pages of a published folder that its records do not give, byte for byte.

    Raises:
        KdbenchError: if there are no records, or they are damaged.
    """
    return [
        name
        for name, content in _pages(folder).items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != content
    ]


def _pages(folder: Path) -> dict[str, bytes]:
    """Every page by its name, made of a published folder's records and of nothing else."""
    with tempfile.TemporaryDirectory(prefix="kdbench-") as place:
        store, made = Store(Path(place) / "store"), Path(place) / "pages"
        unpack(folder / RECORDS, store)
        look_in(store)
        kept = [each.matrix for each in matrices(store)]
        if not kept:
            raise KdbenchError(f"{folder / RECORDS} has no matrix; wanted what `kdbench publish` wrote")
        plan = _plan(store, next((each for each in kept if each.preset is not None), kept[0]))
        made.mkdir()
        _write(plan, store, made)
        return {path.name: path.read_bytes() for path in sorted(made.iterdir())}


def _write(plan: Plan, store: Store, made: Path) -> None:
    texts = {
        "table.md": table_text(plan, store, "markdown", SHOWN),
        "table.tex": table_text(plan, store, "latex", SHOWN),
        "table.bib": citations(plan),
        "runs.csv": table_text(plan, store, "csv", EVERY),
        "summary.csv": table_text(plan, store, "csv-summary", EVERY),
    }
    if plan.matrix.methods:
        texts["stats.md"] = stats_text(plan, store, SHOWN[0], "markdown", equivalent=0.005)
        draw(plan, store, SHOWN[0], made / "gain.png", figure="gain", width="two")
        with suppress(KdbenchError):  # most matrices have each student in one size alone, or not all sizes yet
            draw(plan, store, SHOWN[0], made / "capacity.png", figure="capacity", width="two")
    else:
        texts["costs.md"] = cost_text(plan, store, "markdown", SHOWN)
        draw_costs(plan, store, SHOWN[0], made / "costs.png")
    if any(deployed(store, digest) for digest in plan.cells):
        texts |= {f"deploy.{end}": deploy_text(plan, store, form) for end, form in (("md", "markdown"), ("csv", "csv"))}
        draw_deployed(plan, store, "size", made / "deploy.png", width="two")
    if plan.matrix.preset is not None:
        for name, form in (("beside-default.md", "markdown"), ("beside-default.csv", "csv")):
            texts[name] = beside_text(plan.matrix, store, lambda each: _plan(store, each), form, SHOWN)
    if (store.root / JOURNAL).is_file():
        with kept_studies(store.root, None) as studies:
            texts |= {"search.md": found_text(studies), "search.csv": found_text(studies, "csv")}
    for name, text in texts.items():
        (made / name).write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8", newline="\n")
    write_report(plan, store, made / "report.html", SHOWN)


def _plan(store: Store, matrix: Matrix) -> Plan:
    plan = remembered(store, matrix)
    if plan is None:
        raise KdbenchError(f"the plan of {matrix.name} is not among the records; it has to be published again")
    return plan

"""Commands on what is behind an answer: its statistics, and two rows or stores beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kdbench.cli._main import main
from kdbench.cli._options import format_of, in_store, selected, session, uses_none, with_data, write

OUTPUT = click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
METRIC = click.option("--metric", default="macro_f1", show_default=True, help="macro_f1 or accuracy.")
FORM = click.option("--format", "form", metavar="NAME", help="[default: by -o, or markdown]")
JSON = click.option("--json", "as_json", is_flag=True, help="The same as --format json.")


@main.command()
@selected
@in_store
@with_data
@METRIC
@click.option(
    "--equivalent",
    type=click.FloatRange(0),
    default=0.5,
    show_default=True,
    help="Differences inside plus or minus so many points are called practically equal.",
)
@click.option("--aa", is_flag=True, help="Check the tests: each method beside itself, and simulated people.")
@FORM
@JSON
@OUTPUT
def stats(
    metric: str, equivalent: float, aa: bool, form: str | None, as_json: bool, output: Path | None, **chosen: Any
) -> None:
    """Show what the answer rests on: every pair, gains with intervals, ranks, and where the noise is.

    Then the methods of each pair of networks over its datasets, and of each block, where there are several.

    Without options: of the matrix run last.
    """
    if aa:
        uses_none("stats --aa", "equivalent")
    form = format_of("json" if as_json else form, output, "markdown")
    asked = session(chosen, last=True)
    write(asked.alarms(metric, form) if aa else asked.stats(metric, form, equivalent=equivalent / 100), output)


@main.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@selected
@in_store
@with_data
@METRIC
@click.option("--row", help="Of two stores: only this row, person by person.")
@FORM
@JSON
@OUTPUT
def compare(
    first: str,
    second: str,
    metric: str,
    row: str | None,
    form: str | None,
    as_json: bool,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Compare two rows of the table, or two stores, person by person.

    A and B are labels of rows, such as "student alone", or folders of results: then each row that both have is compared
    with itself. Without options: of the matrix run last in each store.
    """
    form = format_of("json" if as_json else form, output, "markdown")
    if Path(first).is_dir() and Path(second).is_dir():
        uses_none("compare of two stores", "store")
        one, other = (session({**chosen, "store": Path(folder)}, last=True) for folder in (first, second))
        write(one.compare_with(other, row, metric, form), output)
        return
    if row is not None:
        raise click.UsageError("--row is for two stores; A and B are no folders")
    write(session(chosen, last=True).compare(first, second, metric, form), output)

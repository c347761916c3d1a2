"""Commands on single cells: what they printed, and whether they come out the same again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from kdbench.cli._main import main
from kdbench.cli._options import in_store, on_device, selected, session, with_data
from kdbench.cli._output import echo


@main.command()
@in_store
@click.argument("cell")
@click.option("--follow", is_flag=True, help="Go on as it prints, until it ends.")
@click.option("--last-error", is_flag=True, help="The traceback of its failure instead.")
def logs(store: Path, cell: str, follow: bool, last_error: bool) -> None:
    """Show what a CELL printed: its digest, or the beginning of it (`kdbench status`, `kdbench plan --cells`)."""
    from kdbench.commands.again import followed, log_of
    from kdbench.commands.cells import cell_named
    from kdbench.store.records import Store

    digest = cell_named(Store(store), cell)
    if follow and not last_error:
        for text in followed(Store(store), digest):
            echo(text, nl=False)
    else:
        echo(log_of(Store(store), digest, error=last_error), nl=False)


@main.command()
@selected
@in_store
@with_data
@on_device
@click.argument("cells", nargs=-1, metavar="[CELL]...")
@click.option("--sample", type=click.IntRange(1), help="So many finished cells, drawn by chance.")
def verify(cells: tuple[str, ...], sample: int | None, **chosen: Any) -> None:
    """Run finished cells again, beside the store, and compare bit for bit; exit code 1 where one differs.

    CELL is a digest, or the beginning of one. Without options: of the matrix run last. `kdbench status --verify` only
    looks whether files are damaged.
    """
    if bool(cells) == bool(sample):
        raise click.UsageError("give the cells, or how many are to be drawn: --sample N")
    sys.exit(0 if session(chosen, last=True, brief=False).verify(cells, sample or 0) else 1)

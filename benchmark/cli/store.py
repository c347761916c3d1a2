"""Commands around a store as a whole."""

from __future__ import annotations

from pathlib import Path

import click

from kdbench.cli._main import main
from kdbench.cli._options import in_store, runtime
from kdbench.cli._output import echo


@main.group()
def store() -> None:
    """Look after a folder of results."""


@store.command()
@in_store
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def upgrade(store: Path, dry_run: bool) -> None:
    """Give results of an older kdbench today's names, without training.

    A cell was known by more than its numbers depend on, its recipe's name for one. What would have to be guessed is
    left as it is, and named.
    """
    from kdbench.commands.upkeep import upgrade_text
    from kdbench.store.records import Store

    echo(upgrade_text(Store(store), dry=dry_run))


@main.command()
@in_store
@click.argument("stores", nargs=-1, required=True, metavar="STORE...", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def merge(store: Path, stores: tuple[Path, ...], dry_run: bool) -> None:
    """Copy what the stores of other machines or people have into this one (--store), equal results once.

    Nothing is copied where two results of one cell differ; each is named with what differs.
    """
    from kdbench.commands.upkeep import merge_text
    from kdbench.store.records import Store

    echo(merge_text(Store(store), list(stores), dry=dry_run))


@main.command()
@in_store
@click.option("--remove", is_flag=True, help="Remove it; without this, only show it.")
def gc(store: Path, remove: bool) -> None:
    """Show what nobody asks for: cells of no matrix, halves of cells, cached outputs of teachers that are not here."""
    from kdbench.commands.upkeep import gc_text
    from kdbench.store.records import Store

    echo(gc_text(Store(store), runtime(store=store), dry=not remove))

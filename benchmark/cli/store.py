"""Commands around a store as a whole."""

from __future__ import annotations

from pathlib import Path

import click

from kdbench.cli._main import main
from kdbench.cli._options import in_store
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

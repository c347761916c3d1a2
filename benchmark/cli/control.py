"""Speaking with a run that goes on elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from kdbench.cli._main import main
from kdbench.cli._options import in_store
from kdbench.cli._output import echo


@main.command()
@click.argument("what", metavar="pause|resume|jobs|stop")
@click.argument("number", required=False, metavar="[N]")
@in_store
@click.option("--pid", type=click.IntRange(1), help="Which run, where several are in the store.")
def ctl(what: str, number: str | None, store: Path, pid: int | None) -> None:
    """Tell the run in a store, from any terminal of its user, to do something.

    pause: begin no more cells. resume: begin them again. jobs N: so many at a time. stop: end as Ctrl-C does, with
    checkpoints kept.
    """
    from kdbench.store.records import Store
    from kdbench.store.talk import ask

    if (what == "jobs") != (number is not None):
        raise click.UsageError("`ctl jobs` wants a number, as in `ctl jobs 4`; the others want none")
    echo(ask(Store(store), f"{what} {number or ''}".strip(), pid))

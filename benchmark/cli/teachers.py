"""Commands on teachers: the ledger, and weights that are brought along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kdbench.cli._main import main
from kdbench.cli._options import format_of, in_store, named, selected, session, with_data, write
from kdbench.cli._output import echo


def _page_formats() -> list[str]:
    from kdbench.results.render import page_formats

    return page_formats()


@main.group(invoke_without_command=True)
@selected
@in_store
@with_data
@click.option("--metric", default="macro_f1", show_default=True, help="What teachers and students are compared by.")
@click.option("--format", "form", metavar="NAME", callback=named("formats", _page_formats), help="By default by -o.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
@click.pass_context
def teachers(context: click.Context, /, metric: str, form: str | None, output: Path | None, **chosen: Any) -> None:
    """List the teachers: digest, data, seed, score, gate against the student alone, and whom each teaches.

    Without options: of the matrix run last.
    """
    if context.invoked_subcommand is None:
        write(session(chosen, last=True).view("teachers", format_of(form, output, "markdown"), metric=metric), output)


@teachers.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@selected
@in_store
@with_data
def bring(file: Path, **chosen: Any) -> None:
    """Take in weights of your own for a teacher, and measure them: a state dict in FILE, nothing in which is run.

    Say which network and windows they are for: -p TEACHER:STUDENT -d DATASET, and --seeds, --protocol and --recipe as
    in the run that is to use them. Inputs are windows as kdbench normalises them, by channel on the training people.
    """
    session(chosen).import_teacher(file, show=echo)

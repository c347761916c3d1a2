"""The search for settings, and what it left."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdbench.cli._main import main
from kdbench.cli._options import executor_names, in_store, named, on_device, searched, session, with_data, write
from kdbench.cli._output import echo

if TYPE_CHECKING:
    from kdbench.session import Session

in_storage = click.option(
    "--storage",
    metavar="URL",
    envvar="KDBENCH_STORAGE",
    show_envvar=True,
    help="postgresql://USER@HOST/NAME, for several machines.  [default: a journal in the store]",
)


@main.group(invoke_without_command=True)
@searched
@in_store
@with_data
@on_device
@in_storage
@click.option("--trials", type=click.IntRange(1), default=20, show_default=True, help="Finished trials of every row.")
@click.option("--no-teacher", is_flag=True, help="Leave the teacher as the recipe has it.")
@click.option("-j", "--jobs", type=click.IntRange(1), help="Cells run at a time.  [default: as `run`]")
@click.option(
    "--executor",
    metavar="NAME",
    callback=named("executors", executor_names),
    help="Where cells run, by name.  [default: as `run`]",
)
@click.option("--dry-run", is_flag=True, help="Only say what it would run, and about how long.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the preset here.  [default: MATRIX-preset.toml]",
)
@click.pass_context
def tune(
    context: click.Context,
    /,
    trials: int,
    no_teacher: bool,
    jobs: int | None,
    executor: str | None,
    dry_run: bool,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Search settings for every row with the same budget, on held-out training people; write them as a preset.

    The protocol is subject-val-v1 with all its folds, the seed 0, if nothing else is said. Stop it with Ctrl-C whenever
    you like: run it again and it goes on. Several processes may run the same command.
    """
    if context.invoked_subcommand is None:
        how = {"trials": trials, "storage": chosen.pop("storage"), "jobs": jobs, "executor": executor}
        chosen["protocol"] = chosen["protocol"] or "subject-val-v1"
        chosen["seeds"] = chosen["seeds"] or "1"
        _tune(session(chosen), how | {"teacher": not no_teacher}, output, dry_run=dry_run)


def _tune(asked: Session, how: dict[str, Any], output: Path | None, *, dry_run: bool) -> None:
    if dry_run:
        from kdbench.commands.tune import AskTune, preview

        echo(preview(asked.matrix, asked.runtime, AskTune(**how)))
        return
    try:
        tuned = asked.tune(**how)
    except KeyboardInterrupt:
        echo("\nstopped; finished trials and cells are kept, run the same command again to go on", err=True)
        sys.exit(130)
    echo(tuned.text)
    path = output or Path(f"{asked.matrix.name}-preset.toml")
    write(tuned.preset.to_toml(), path)
    echo(f"`kdbench run --preset {path}` uses it", err=True)


@tune.command()
@in_store
@in_storage
def status(store: Path, storage: str | None) -> None:
    """Show how far each study is, its best trial and what failed."""
    from kdbench.commands.studies import kept_studies, studies_text

    with kept_studies(store, storage) as studies:
        echo(studies_text(studies))


@tune.command()
@in_store
@in_storage
@click.option("--format", "form", metavar="NAME", default="markdown", show_default=True, help="markdown or csv.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
def table(store: Path, storage: str | None, form: str, output: Path | None) -> None:
    """Print what was found, and how flat the objective is around it."""
    from kdbench.commands.studies import found_text, kept_studies

    with kept_studies(store, storage) as studies:
        write(found_text(studies, form), output)


@tune.command()
@in_store
@in_storage
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default="tune",
    show_default=True,
    help="Folder.",
)
def plot(store: Path, storage: str | None, output: Path) -> None:
    """Draw each study's history, and the objective over each searched value."""
    from kdbench.commands.studies import draw_studies, kept_studies

    with kept_studies(store, storage) as studies:
        for path in draw_studies(studies, output):
            echo(f"wrote {path}")

"""The search for settings, and what it left."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from kdbench.cli._main import main
from kdbench.cli._options import (
    format_of,
    in_mlflow,
    in_store,
    on_device,
    on_workers,
    searched,
    session,
    untracked,
    with_data,
    write,
)
from kdbench.cli._output import echo
from kdbench.cli._signals import stoppable
from kdbench.errors import KdbenchError

if TYPE_CHECKING:
    from kdbench.session import Session
    from kdbench.track.target import Target

STOPPED = "stopped; finished trials, cells and checkpoints are kept, run the same command again to go on"

HOW = ("trials", "storage", "jobs", "executor", "prune", "stale")
_SELECTING = ("config", "stored", "name", "datasets", "pairs", "methods", "recipe", "settings")
DEFAULTS = {"protocol": "subject-val-v1", "seeds": "1"}
in_storage = click.option(
    "--storage",
    metavar="URL",
    envvar="KDBENCH_STORAGE",
    show_envvar=True,
    help="postgresql://USER@HOST/NAME, for several machines.  [default: a journal in the store]",
)


EPILOG = """\b
Examples:
  kdbench tune --recipe cpu --dry-run                what it would run, and for about how long
  kdbench tune -c mine.toml -j 8                     20 trials of every row of a matrix; mine-preset.toml
  kdbench tune -c mine.toml -j 8 --trials 40         20 more; what was run counts, if the same teacher teaches
  kdbench tune status                                from another terminal: how far it is, and what failed
  kdbench tune table                                 what was found, and how much hangs on it
  kdbench tune plot                                  history and slices, a figure for each row
  kdbench run -c mine.toml                           the matrix with defaults
  kdbench run -c mine.toml --preset mine-preset.toml and with what was found
  kdbench table --beside-default                     both, and what tuning gained
"""


@main.group(invoke_without_command=True, epilog=EPILOG)
@searched
@in_store
@with_data
@on_device
@in_storage
@click.option("--trials", type=click.IntRange(1), default=20, show_default=True, help="Finished trials of every row.")
@click.option("--no-teacher", is_flag=True, help="Leave the teacher as the recipe has it.")
@click.option("--prune", is_flag=True, help="Give up trials that are below the median of earlier ones, between folds.")
@click.option("--stale", is_flag=True, help="Run cells again whose source changed since; without it they are refused.")
@on_workers("as `run`", "as `run`")
@untracked
@in_mlflow
@click.option("--dry-run", is_flag=True, help="Only say what it would run, and about how long.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the preset here.  [default: MATRIX-preset.toml]",
)
@click.pass_context
def tune(context: click.Context, /, *, dry_run: bool, output: Path | None, no_teacher: bool, **chosen: Any) -> None:
    """Search settings for every row with the same budget, on held-out training people; write them as a preset.

    A trial is a row's settings, trained once for each fold of the training people (protocol subject-val-v1, seed 0, if
    nothing else is said). Trial 0 has the defaults. Searched are the learning rate, the weight decay and what `kdbench
    show METHOD` gives a range to search; test people are never read.

    Stop it with Ctrl-C whenever you like: run it again and it goes on. Several processes may run the same command.
    """
    if context.invoked_subcommand is not None:
        _refuse_options(context)
    else:
        how = {name: chosen.pop(name) for name in HOW} | {"teacher": not no_teacher}
        no_track, tracking_uri = chosen.pop("no_track"), chosen.pop("tracking_uri")
        asked = session(chosen | {key: chosen[key] or value for key, value in DEFAULTS.items()})
        if dry_run:
            from kdbench.commands.tune import AskTune, preview

            echo(preview(asked.matrix, asked.runtime, AskTune(**how)))
            return
        from kdbench.track.target import Target

        tracked = None if no_track else Target(asked.runtime.store, tracking_uri)
        with _tracking(tracked, how["storage"]):
            _tune(asked, how, output, _again(context))


def _refuse_options(context: click.Context) -> None:
    """Options before a command below are for `tune` itself, and would be dropped without a word."""
    for parameter in context.command.params:
        if context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE:
            option = parameter.opts[-1]
            said = f"{option} belongs behind the command: kdbench tune {context.invoked_subcommand} {option}"
            raise click.UsageError(said)


def _again(context: click.Context) -> str:
    """The command that runs what is tuned here, but for its preset."""
    given: list[str] = []
    for parameter in context.command.params:
        value, name = context.params.get(str(parameter.name)), str(parameter.name)
        told = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if told and name in ("store", *_SELECTING) and name not in DEFAULTS:
            for each in value if isinstance(value, tuple) else (value,):
                given += [parameter.opts[-1], str(each)]
    return shlex.join(["kdbench", "run", *given])


def _tune(asked: Session, how: dict[str, Any], output: Path | None, again: str) -> None:
    path = output or Path(f"{asked.matrix.name}-preset.toml")
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):  # said before hours of search, not after
        raise KdbenchError(f"{path.parent} is no folder that can be written to; -o names the preset's file")
    with stoppable() as stop:
        try:
            tuned = asked.tune(**how)
        except KeyboardInterrupt:
            stop.ending = True
            with suppress(OSError):  # the terminal has gone
                echo(f"\n{STOPPED}", err=True)
            sys.exit(stop.exit_code)
    echo(tuned.text)
    write(tuned.preset.to_toml(), path)
    echo(f"`{again} --preset {shlex.quote(str(path))}` uses it", err=True)


@contextmanager
def _tracking(target: Target | None, storage: str | None) -> Iterator[None]:
    """Write the trials to MLflow beside the search, where it is installed; a fault is said and changes nothing else."""
    from importlib.util import find_spec

    from kdbench.text import first_line
    from kdbench.track.process import WritingProcess

    writing = None
    if target is not None and find_spec("mlflow") is None:
        echo("mlflow is not installed: trials are kept, not tracked", err=True)
    elif target is not None:
        try:
            target.root.mkdir(parents=True, exist_ok=True)
            writing = WritingProcess(target, storage=storage)
        except OSError as error:
            echo(f"not tracked: {first_line(error)}", err=True)
    refused = False
    try:
        yield
    except KdbenchError:
        refused = True  # and said; what it could not be tracked for is the same
        raise
    finally:  # also what a search that is stopped has finished
        if writing is not None:
            writing.end("trials")
            for fault in [] if refused else writing.faults():
                echo(f"not tracked: {fault}", err=True)


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
@click.option("--format", "form", metavar="NAME", help="As of `kdbench table`.  [default: by -o, or markdown]")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
def table(store: Path, storage: str | None, form: str | None, output: Path | None) -> None:
    """Print what was found, and how flat the objective is around it."""
    from kdbench.commands.studies import found_text, kept_studies

    form = format_of(form, output, "markdown")
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

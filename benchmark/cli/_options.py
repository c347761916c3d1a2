"""Options that commands share, and what is made of them."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from kdbench.cli._output import echo
from kdbench.errors import KdbenchError, nearest
from kdbench.machine import DEFAULT_STORE

if TYPE_CHECKING:
    from kdbench.machine import Runtime
    from kdbench.session import Session


def named(what: str, known: Callable[[], list[str]]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A check of an option that names something of which each is one file: what there is, is looked up on use."""

    def check(context: click.Context, option: click.Parameter, value: Any) -> Any:
        if value is not None and value not in known():
            raise click.BadParameter(nearest(what, str(value), known()))
        return value

    return check


def _server(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if not value:
        return None
    from kdbench.track.target import check_server

    check_server(value)
    return value


def executor_names() -> list[str]:
    """What ``--executor`` takes."""
    from kdbench.executors import executors

    return executors()


def format_names() -> list[str]:
    """What ``table --format`` takes."""
    from kdbench.results.render import all_formats

    return all_formats()


def together(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def on_workers(jobs: str, executor: str) -> Callable[[Any], Any]:
    """How many cells run at a time and where; the arguments say what is the default of each."""
    return together(
        click.option("-j", "--jobs", type=click.IntRange(1), help=f"Cells run at a time.  [default: {jobs}]"),
        click.option(
            "--jobs-per-gpu",
            "per_gpu",
            metavar="N|auto",
            help="In place of -j: so many on each GPU; auto: as many as there are cores for it.",
        ),
        click.option(
            "--executor",
            metavar="NAME",
            callback=named("executors", executor_names),
            help=f"serial, processes, or ray for a cluster.  [default: {executor}]",
        ),
    )


_selecting = (
    click.option(
        "-c",
        "--config",
        metavar="MATRIX",
        help="A shipped matrix by name (`kdbench list matrices`), a TOML file, or the JSON that a store holds.",
    ),
    click.option(
        "--matrix",
        "stored",
        metavar="NAME|ID",
        help="A matrix that was run in the store (`kdbench list runs`); the beginning of its id is enough.",
    ),
    click.option("--name", metavar="NAME", help="What this selection is called; by default as the matrix is."),
    click.option(
        "-d", "--dataset", "datasets", multiple=True, metavar="NAME", help="Dataset; several with commas, or repeat."
    ),
    click.option(
        "-p",
        "--pair",
        "pairs",
        multiple=True,
        metavar="TEACHER:STUDENT",
        help="Networks, or a list of pairs by name (`kdbench list pairs`); several as above.",
    ),
    click.option("-m", "--method", "methods", multiple=True, metavar="NAME", help="Method; several as above."),
    click.option("--seeds", metavar="SEEDS", help="5 (seeds 0 to 4), 0-4 or 0,3; auto adds them as they are needed."),
    click.option("--max-seeds", type=click.IntRange(2), help="With --seeds auto: at most so many.  [default: 12]"),
    click.option("--recipe", metavar="NAME", help="How networks are trained (`kdbench list recipes`)."),
    click.option("--protocol", metavar="NAME", help="How people are divided (`kdbench list protocols`)."),
    click.option(
        "-S",
        "--set",
        "settings",
        multiple=True,
        metavar="METHOD.KEY=VALUE",
        help="Set a method's or recipe's key.",
    ),
)
searched = together(*_selecting)
selected = together(
    *_selecting,
    click.option("--preset", metavar="FILE", help="Use the settings that `kdbench tune` found and wrote there."),
    click.option(
        "--teacher",
        "teachers",
        multiple=True,
        metavar="WEIGHTS",
        help="Teach with weights that `kdbench teachers import` took in; the beginning of their hash is enough.",
    ),
    click.option(
        "--teacher-gate",
        metavar="mark|refuse",
        help="refuse: run no cell whose teacher is no better than its student alone.  [default: mark it in tables]",
    ),
)

in_store = click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="KDBENCH_STORE",
    default=DEFAULT_STORE,
    show_default=True,
    show_envvar=True,
    help="Folder of results.",
)
with_data = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    envvar="KDBENCH_DATA",
    show_envvar=True,
    help="Folder with original dataset archives; without it they are downloaded.",
)
untracked = click.option(
    "--no-track", is_flag=True, envvar="KDBENCH_NO_TRACK", show_envvar=True, help="Do not write to MLflow."
)
in_mlflow = click.option(
    "--tracking-uri",
    metavar="URL",
    envvar="KDBENCH_TRACKING_URI",
    show_envvar=True,
    callback=_server,
    help="An MLflow tracking server, as in http://HOST:5000.  [default: a database in the store]",
)
on_device = click.option(
    "--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, or auto: a GPU where there is one."
)


def format_of(form: str | None, output: Path | None, default: str, more: dict[str, str] | None = None) -> str:
    """The format of what is printed or written: as asked for, or as the file's ending says."""
    if output is None:
        return form or default
    from kdbench.commands.tables import format_of_file

    return format_of_file(output, form, default, more)


def uses_none(form: str, *names: str) -> None:
    """Refuse what was given to a command and means nothing in the form that is asked for; defaults are not given.

    Args:
        form: as it was typed.
        names: of parameters that it does not use.

    Raises:
        click.UsageError: if one was given on the command line, with all that were.
    """
    context = click.get_current_context()
    given = [
        each.opts[-1] if isinstance(each, click.Option) else each.human_readable_name.strip("[]")
        for each in context.command.params
        if each.name in names and context.get_parameter_source(each.name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"{form} does not use {' and '.join(given)}")


def uses_only(form: str, *names: str) -> None:
    """The same of all parameters but those named.

    Raises:
        click.UsageError: if another one was given on the command line.
    """
    others = (each.name for each in click.get_current_context().command.params)
    uses_none(form, *(name for name in others if name is not None and name not in names))


def placed(output: Path) -> Path:
    """The file of `-o`, where its folder is there; commands that draw ask before they do."""
    if not output.parent.is_dir():
        raise KdbenchError(f"-o {output}: {output.parent} is no folder")
    return output


def write(text: str, output: Path | None) -> None:
    if output is None:
        echo(text, nl=not text.endswith("\n"))
        return
    from kdbench.files import write_whole

    write_whole(placed(output), text if text.endswith("\n") else text + "\n")
    echo(f"wrote {output}")


def runtime(**where: Any) -> Runtime:
    """Where to run or read; what only reads needs no device."""
    from kdbench.session import runtime as made

    return made(**{"device": "cpu", **where})


def session(chosen: dict[str, Any], *, last: bool = False, brief: bool = True) -> Session:
    from kdbench.session import Session
    from kdbench.spec.selection import Selection

    if last and brief:
        _collect_nothing()
    where = runtime(**{key: chosen.pop(key) for key in ("store", "data_dir", "device", "per_gpu") if key in chosen})
    if not (last and brief):
        _pass_over_modules()
    return Session(Selection(**chosen), where, say=lambda line: echo(line, err=True), last=last)


def _pass_over_modules() -> None:
    """Look for cycles among what a command makes and not, again and again, among torch's hundred thousands of objects,
    which are there to the end; nor at the end of the process."""
    gc.freeze()
    click.get_current_context().call_on_close(gc.freeze)


def _collect_nothing() -> None:
    """Look for no cycles until a command that only reads ends: among the objects of a large store that takes a third of
    its time. Nor at the end of the process, among those that are left."""
    gc.disable()
    context = click.get_current_context()
    context.call_on_close(gc.enable)
    context.call_on_close(gc.freeze)

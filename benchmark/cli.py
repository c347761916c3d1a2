"""The command line. Imports nothing heavy: ``--help`` answers at once, commands import what they need."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kdbench.cells import Runtime
    from kdbench.session import Session

EPILOG = """\b
Examples:
  kdbench run                                        a first look, a few minutes
  kdbench run -c paper -j 8                          the full job, on eight cores
  kdbench run -p 'resnet_lstman(width=0.25):mlp' --seeds 5 --recipe cpu
  kdbench run -m METHOD -m 'METHOD(role=tuned)'      rows of your choice
  kdbench plan -c mine.toml -S METHOD.KEY=VALUE -S recipe.epochs=20
  kdbench list methods                               which there are, by kind
  kdbench show METHOD                                what it is, and its settings
  kdbench check my_method.py                         whether a method of yours keeps the contract
  kdbench profile resnet_lstman:mlp                  what both networks cost
"""


def _version(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"kdbench {version('kdbench')}")
        context.exit()


class _Group(click.Group):
    """Turns what can go wrong into one line and an exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        from kdbench.errors import KdbenchError

        try:
            return super().main(*args, **{**kwargs, "standalone_mode": True})
        except KdbenchError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)
        except BrokenPipeError:  # the reader of `kdbench table | head` has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            click.echo(f"error: {place}{error.strerror or error}", err=True)
            sys.exit(1)


@click.group(
    cls=_Group,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def main() -> None:
    """Which knowledge-distillation method for this teacher, this student and this sensor dataset, and how sure?

    A matrix of datasets, teacher:student pairs, methods and seeds is run, cell by cell, and becomes a table. What has
    been run is kept and never run twice.
    """


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_selection = _options(
    click.option(
        "-c", "--config", metavar="MATRIX", help="A shipped matrix by name (`kdbench list matrices`) or a TOML file."
    ),
    click.option("-d", "--dataset", "datasets", multiple=True, metavar="NAME", help="Dataset; repeat for several."),
    click.option(
        "-p",
        "--pair",
        "pairs",
        multiple=True,
        metavar="TEACHER:STUDENT",
        help="Networks, or a list of pairs by name (`kdbench list pairs`); repeat for several.",
    ),
    click.option("-m", "--method", "methods", multiple=True, metavar="NAME", help="Method; repeat for several."),
    click.option("--seeds", metavar="SEEDS", help="5 (seeds 0 to 4), 0-4 or 0,3."),
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

_store = click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="KDBENCH_STORE",
    default="runs",
    show_default=True,
    show_envvar=True,
    help="Folder of results.",
)
_data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    envvar="KDBENCH_DATA",
    show_envvar=True,
    help="Folder with original dataset archives; without it they are downloaded.",
)
_device = click.option(
    "--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, or auto: a GPU where there is one."
)


@main.command()
@_selection
@_store
@_data_dir
@_device
@click.option("--cells", is_flag=True, help="List every cell with its digest.")
def plan(cells: bool, **chosen: Any) -> None:
    """Show what `run` would do, without training anything; a dataset that is missing is fetched."""
    _session(chosen).show_plan(cells=cells)


@main.command()
@_selection
@_store
@_data_dir
@_device
@click.option(
    "-j", "--jobs", type=click.IntRange(1), help="Cells run at a time.  [default: the number of cores; 1 on a GPU]"
)
@click.option("--no-track", is_flag=True, help="Do not write to MLflow.")
@click.option("--retry-failed", is_flag=True, help="Run cells again that failed.")
@click.option("--stale", is_flag=True, help="Run cells again whose source changed since.")
def run(jobs: int | None, no_track: bool, retry_failed: bool, stale: bool, **chosen: Any) -> None:
    """Run what is missing and print the table. Without options: the matrix `quick`.

    Stop it with Ctrl-C whenever you like: run it again and it goes on from there.
    """
    try:
        code = _session(chosen).run(jobs=jobs, track=not no_track, retry_failed=retry_failed, rerun_stale=stale)
    except KeyboardInterrupt:
        click.echo("\nstopped; finished cells and checkpoints are kept, run the same command again to go on", err=True)
        code = 130
    sys.exit(code)


@main.command()
@_selection
@_store
@_data_dir
def status(**chosen: Any) -> None:
    """Show what is done, running, failed (and why), stale or missing. Without options: of the matrix run last."""
    _session(chosen, last=True).show_status()


@main.command()
@_selection
@_store
@_data_dir
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "csv", "csv-wide"]),
    default="markdown",
    show_default=True,
    help="csv has a line per run, csv-wide and --costs a line per row.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    default=("macro_f1", "accuracy"),
    show_default=True,
    help="macro_f1, accuracy, weighted_f1, worst_person_f1, calibration_error, agreement, ...",
)
@click.option(
    "--costs", is_flag=True, help="What the networks cost: each alone beside its scores, and against the teacher."
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
def table(form: str, metrics: tuple[str, ...], costs: bool, output: Path | None, **chosen: Any) -> None:
    """Print the table of what has been run. Without options: of the matrix run last."""
    session = _session(chosen, last=True)
    _write(session.cost_table(form, metrics) if costs else session.table(form, metrics), output)


@main.command()
@_selection
@_store
@_data_dir
@click.option("--metric", default="macro_f1", show_default=True)
@click.option("--costs", is_flag=True, help="Draw the metric against multiply-adds instead.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Its ending gives the format: png, pdf or svg.  [default: gain.png; costs.png with --costs]",
)
def plot(metric: str, costs: bool, output: Path | None, **chosen: Any) -> None:
    """Draw the gain over the student alone, every seed a point. Without options: of the matrix run last."""
    path = output or Path("costs.png" if costs else "gain.png")
    _session(chosen, last=True).plot(metric, path, costs=costs)
    click.echo(f"wrote {path}")


@main.command()
@click.argument("names", nargs=-1, metavar="[MODEL|PAIR]...")
@click.option("--window", metavar="CxT", help="Channels and samples of a window.  [default: 9x128, as UCI HAR]")
@click.option("--classes", type=click.IntRange(2, 10**12), help="Number of classes.  [default: 6]")
@click.option("-d", "--dataset", metavar="NAME", help="Take both from a dataset.")
@click.option("--layers", is_flag=True, help="Show the work by kind of layer instead.")
@click.option("--no-latency", is_flag=True, help="Count only, time nothing.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "csv"]),
    default="text",
    show_default=True,
    help="csv has every number in full precision.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
def profile(
    names: tuple[str, ...],
    window: str | None,
    classes: int | None,
    dataset: str | None,
    layers: bool,
    no_latency: bool,
    form: str,
    output: Path | None,
) -> None:
    """Show what networks cost: parameters, multiply-adds, memory, file size, latency. Without names: all networks.

    MODEL is a network as in `mlp(hidden=64)`; a PAIR as in `resnet_lstman:mlp`, or a list of pairs by name, shows how
    many times less the student costs than its teacher.
    """
    from kdbench.profiling import SECONDS, profile, size_of, window_size
    from kdbench.spec import Spec

    if dataset is not None and (window is not None or classes is not None):
        raise click.UsageError("--dataset says what --window and --classes say; give one or the other")
    size = (*window_size(window or "9x128"), classes or 6) if dataset is None else size_of(Spec.parse(dataset))
    seconds = 0 if no_latency else SECONDS
    _write(profile(names, size, form=form, seconds=seconds, layers=layers), output)


@main.command(name="list")
@click.argument("kind", required=False)
def list_(kind: str | None) -> None:
    """List what there is: methods, networks, datasets, matrices, pairs, recipes or protocols; all without KIND."""
    from kdbench.shelf import listing

    click.echo(listing(kind))


@main.command()
@click.argument("name")
def show(name: str) -> None:
    """Explain a method, network, dataset, matrix, list of pairs, recipe or protocol: source, formula, settings."""
    from kdbench.shelf import page

    click.echo(page(name))


@main.command()
@click.argument("method", metavar="METHOD|FILE|all")
@click.option(
    "--pairs",
    type=click.Choice(["representative", "all"]),
    default="representative",
    show_default=True,
    help="Judge it on one network of each family, or on every ordered pair.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def check(method: str, pairs: str, seed: int) -> None:
    """Judge a method by the contract that every method keeps: one by name, yours in a .py file, or all.

    It trains three steps in every role on small networks and computes losses where arithmetic is least forgiving. Exit
    code 1 where a rule is broken.
    """
    from kdbench.contract.report import check

    every, say = pairs == "all", click.echo
    kept = check(method, every_pair=every, seed=seed, say=say, progress=lambda line: click.echo(line, err=True))
    sys.exit(0 if kept else 1)


@main.command()
@_store
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
def ui(store: Path, port: int) -> None:
    """Open the tracked runs in MLflow's pages, on this machine only. Stop it with Ctrl-C."""
    from kdbench.tracking import ui_command

    command, environment, page = ui_command(store, port)
    click.echo(f"open {page}\n(starting takes some seconds; Ctrl-C stops it)")
    sys.exit(_serve([sys.executable, *command], {**os.environ, **environment}))


@main.group()
def data() -> None:
    """List, fetch, verify and look at datasets; show who is on which side of a split."""


@data.command(name="list")
@_data_dir
def data_list(data_dir: Path | None) -> None:
    """List every dataset and whether it is here."""
    from kdbench.datashelf import overview

    click.echo(overview(_runtime(data_dir=data_dir)))


@data.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_data_dir
def fetch(names: tuple[str, ...], data_dir: Path | None) -> None:
    """Make datasets ready: from the cache, the data folder or their distributors."""
    from kdbench.datashelf import fetch
    from kdbench.spec import Spec

    for name in names:
        click.echo(fetch(Spec.parse(name), _runtime(data_dir=data_dir)))


@data.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_data_dir
def verify(names: tuple[str, ...], data_dir: Path | None) -> None:
    """Parse originals again and compare them with what training uses."""
    from kdbench.datashelf import verify
    from kdbench.spec import Spec

    for name in names:
        click.echo(verify(Spec.parse(name), _runtime(data_dir=data_dir)))


@data.command(name="show")
@click.argument("name")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Draw an example window of each class here."
)
@_data_dir
def data_show(name: str, output: Path | None, data_dir: Path | None) -> None:
    """Describe a dataset: channels, licence, windows per class, side and person."""
    from kdbench.datashelf import plot, show
    from kdbench.spec import Spec

    where = _runtime(data_dir=data_dir)
    text = show(Spec.parse(name), where)
    if output is not None:
        plot(Spec.parse(name), where, output)
        text += f"\n\nwrote {output}"
    click.echo(text)


@data.command()
@click.argument("name")
@click.option("--protocol", default="subject-v1", show_default=True, help="`kdbench list protocols` names them.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@_data_dir
def splits(name: str, protocol: str, seed: int, data_dir: Path | None) -> None:
    """Print who is trained on and who is judged, as CSV."""
    from kdbench.datashelf import splits
    from kdbench.spec import Spec

    click.echo(splits(Spec.parse(name), protocol, seed, _runtime(data_dir=data_dir)))


@main.group()
def track() -> None:
    """Manage the MLflow index of the results."""


@track.command(name="rebuild")
@_store
@_data_dir
def track_rebuild(store: Path, data_dir: Path | None) -> None:
    """Write the MLflow database again from the records."""
    from kdbench.mirror import rebuild

    count = rebuild(_runtime(store=store, data_dir=data_dir), lambda line: click.echo(line, err=True))
    click.echo(f"wrote {count} runs to {store / 'mlflow.db'}")


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=not text.endswith("\n"))
        return
    from kdbench.files import write_whole

    write_whole(output, text if text.endswith("\n") else text + "\n")
    click.echo(f"wrote {output}")


def _serve(command: list[str], environment: dict[str, str]) -> int:
    """Run a server until it ends, or until this process is stopped: then it ends with all processes that it started."""
    import signal
    import subprocess

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        return server.wait()
    except KeyboardInterrupt:
        click.echo("stopped")
        return 0
    finally:
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
        else:  # Windows
            server.terminate()
        server.wait()


def _runtime(**where: Any) -> Runtime:
    """Where to run or read; what only reads needs no device."""
    from kdbench.session import runtime

    return runtime(**{"device": "cpu", **where})


def _session(chosen: dict[str, Any], *, last: bool = False) -> Session:
    from kdbench.selection import Selection
    from kdbench.session import Session

    where = _runtime(**{key: chosen.pop(key) for key in ("store", "data_dir", "device") if key in chosen})
    return Session(Selection(**chosen), where, say=lambda line: click.echo(line, err=True), last=last)

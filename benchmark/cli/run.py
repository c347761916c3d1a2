"""Commands around a matrix: what would run, run it, what did, its table, its figure."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from kdbench.cli._main import main
from kdbench.cli._options import (
    executor_names,
    format_names,
    format_of,
    in_store,
    named,
    on_device,
    selected,
    session,
    with_data,
    write,
)
from kdbench.cli._output import echo
from kdbench.cli._signals import stoppable

STOPPED = "stopped; finished cells and checkpoints are kept, run the same command again to go on"


@main.command()
@selected
@in_store
@with_data
@on_device
@click.option("--cells", is_flag=True, help="List every cell with its digest.")
def plan(cells: bool, **chosen: Any) -> None:
    """Show what `run` would do, without training anything; a dataset that is missing is fetched."""
    echo(session(chosen).plan_text(cells=cells))


@main.command()
@selected
@in_store
@with_data
@on_device
@click.option(
    "-j", "--jobs", type=click.IntRange(1), help="Cells run at a time.  [default: the number of cores; 1 on a GPU]"
)
@click.option(
    "--executor",
    metavar="NAME",
    callback=named("executors", executor_names),
    help="serial or processes.  [default: processes where -j is above 1]",
)
@click.option("--no-track", is_flag=True, help="Do not write to MLflow.")
@click.option("--retry-failed", is_flag=True, help="Run cells again that failed.")
@click.option("--stale", is_flag=True, help="Run cells again whose source changed since.")
def run(jobs: int | None, executor: str | None, no_track: bool, retry_failed: bool, stale: bool, **chosen: Any) -> None:
    """Run what is missing and print the table. Without options: the matrix `quick`.

    Stop it with Ctrl-C whenever you like: run it again and it goes on from there.
    """
    with stoppable() as stop:
        try:
            ran = session(chosen).run(
                jobs=jobs,
                track=not no_track,
                retry_failed=retry_failed,
                rerun_stale=stale,
                executor=executor,
                show=lambda text: echo(f"\n{text}"),
            )
            code = ran.exit_code
        except KeyboardInterrupt:
            stop.ending, code = True, stop.exit_code
            with suppress(OSError):  # the terminal has gone
                echo(f"\n{STOPPED}", err=True)
    sys.exit(code)


@main.command()
@selected
@in_store
@with_data
@click.option("--verify", is_flag=True, help="Hold every file of the store against its checksum instead; 1 if damaged.")
def status(verify: bool, **chosen: Any) -> None:
    """Show what is done, running, failed (and why), stale or missing. Without options: of the matrix run last."""
    if verify:
        from kdbench.commands.upkeep import verify_text
        from kdbench.store.records import Store

        text, well = verify_text(Store(chosen["store"]))
        echo(text)
        sys.exit(0 if well else 1)
    echo(session(chosen, last=True).status())


@main.command()
@selected
@in_store
@with_data
@click.option(
    "--format",
    "form",
    metavar="NAME",
    callback=named("formats", format_names),
    help="markdown, or csv: a line per run; csv-wide and --costs have a line per row.  [default: by -o, or markdown]",
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
def table(form: str | None, metrics: tuple[str, ...], costs: bool, output: Path | None, **chosen: Any) -> None:
    """Print the table of what has been run. Without options: of the matrix run last."""
    form, metrics = format_of(form, output, "markdown"), tuple(part for each in metrics for part in each.split(","))
    asked = session(chosen, last=True)
    write(asked.cost_table(form, metrics) if costs else asked.table(form, metrics), output)


@main.command()
@selected
@in_store
@with_data
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
    session(chosen, last=True).plot(metric, path, costs=costs)
    echo(f"wrote {path}")

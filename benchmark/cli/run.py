"""Commands around a matrix: what would run, run it, what did, its table."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from kdbench.cli._limits import limited
from kdbench.cli._main import main
from kdbench.cli._options import (
    format_names,
    format_of,
    in_mlflow,
    in_store,
    named,
    on_device,
    on_workers,
    selected,
    session,
    untracked,
    uses_none,
    uses_only,
    with_data,
    write,
)
from kdbench.cli._output import echo
from kdbench.cli._signals import stoppable

HOW = ("jobs", "executor", "tracking_uri", "retry", "rerun_stale", "force", "timeout", "fail_fast", "shard", "address")
CLEAR, PAUSE, LOOKS = "\033[H\033[2J", 2.0, 2
STOPPED = "stopped; finished cells and checkpoints are kept, run the same command again to go on"

METRICS = click.option(
    "--metric",
    "metrics",
    multiple=True,
    default=("macro_f1", "accuracy"),
    show_default=True,
    help="macro_f1, accuracy, weighted_f1, worst_person_f1, calibration_error, agreement, ...",
)


@main.command()
@selected
@in_store
@with_data
@on_device
@click.option("--cells", is_flag=True, help="List every cell with its digest.")
def plan(cells: bool, **chosen: Any) -> None:
    """Show what `run` would do, without training anything; a dataset that is missing is fetched.

    What a search would do, and for how long, is `kdbench tune --dry-run`.
    """
    echo(session(chosen).plan_text(cells=cells))


@main.command()
@selected
@in_store
@with_data
@on_device
@on_workers("the number of cores; 1 on a GPU", "processes where -j is above 1")
@untracked
@in_mlflow
@limited
@click.option("--detach", is_flag=True, help="Go on without this terminal; `kdbench ctl` speaks with it then.")
def run(no_track: bool, retry_failed: bool, detach: bool, **chosen: Any) -> None:
    """Run what is missing and print the table. Without options: the matrix `quick`.

    Stop it with Ctrl-C whenever you like: run it again and it goes on from there. Several runs may share a store.
    """
    if detach:
        from kdbench.commands.detach import detach as begin
        from kdbench.store.records import Store

        given = [each for each in sys.argv[1:] if each != "--detach"]
        sys.exit(begin(given, Store(chosen["store"]), lambda line: echo(line, err=True)))
    how = {key: chosen.pop(key) for key in HOW}
    if retry_failed:
        from kdbench.results.record import FAILURES

        how["retry"] = FAILURES
    with stoppable() as stop:
        try:
            ran = session(chosen).run(
                track=not no_track,
                show=lambda text: echo(f"\n{text}"),
                **how,
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
@click.option("--state", metavar="STATE", help="List the cells of a state: done, running, failed, killed, missing, ...")
@click.option("--json", "as_json", is_flag=True, help="Every cell as JSON: digest, name, state, reason, epochs.")
@click.option("--watch", is_flag=True, help="Show it again every two seconds, until nothing runs.")
@click.option("--verify", is_flag=True, help="Hold every file of the store against its checksum instead; 1 if damaged.")
def status(verify: bool, state: str | None, as_json: bool, watch: bool, **chosen: Any) -> None:
    """Show what is done, running, failed (and why), stale or missing. Without options: of the matrix run last."""
    if verify:
        uses_only("status --verify", "verify", "store")
        from kdbench.commands.upkeep import verify_text
        from kdbench.store.records import Store

        text, well = verify_text(Store(chosen["store"]))
        echo(text)
        sys.exit(0 if well else 1)
    if state or as_json:
        uses_none("a list of cells (--state, --json)", "watch")
    asked = session(chosen, last=True, brief=not watch)
    if state or as_json:
        echo(asked.cells(state, as_json=as_json))
        return
    echo(text := asked.status())
    quiet = 0 if "\nrunning" in text else LOOKS
    while watch and quiet < LOOKS:  # between two cells nothing may seem to run
        time.sleep(PAUSE)
        text = asked.status()
        quiet = 0 if "\nrunning" in text else quiet + 1
        echo(f"{CLEAR if sys.stdout.isatty() else ''}{text}")


@main.command()
@selected
@in_store
@with_data
@click.option(
    "--format",
    "form",
    metavar="NAME",
    callback=named("formats", format_names),
    help="markdown, html, json, latex (a document), latex-input (tables alone), or csv: a line per run; csv-wide has a "
    "line per row, csv-summary per row and block.  [default: by -o, or markdown]",
)
@METRICS
@click.option(
    "--costs", is_flag=True, help="What the networks cost: each alone beside its scores, and against the teacher."
)
@click.option("--deploy", is_flag=True, help="What `take` made of the rows: size, labels kept, F1 and latency there.")
@click.option("--beside-default", is_flag=True, help="Defaults beside what --preset FILE gave, and the gain from it.")
@click.option(
    "--sort",
    type=click.Choice(["kind", "value", "rank", "name"]),
    default="kind",
    show_default=True,
    help="Order of the methods; teacher and student alone come first.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to a file; beside a .tex, what it names goes to a .bib.",
)
def table(form: str | None, metrics: tuple[str, ...], output: Path | None, **chosen: Any) -> None:
    """Print the table of what has been run. Without options: of the matrix run last."""
    costs, beside_default, deploy, sort = (chosen.pop(key) for key in ("costs", "beside_default", "deploy", "sort"))
    form, metrics = format_of(form, output, "markdown"), tuple(part for each in metrics for part in each.split(","))
    _use_all(form, costs=costs, deploy=deploy, beside_default=beside_default)
    asked = session(chosen, last=True)
    if beside_default:
        text = asked.beside_default(form, metrics)
    elif deploy:
        text = asked.deploy_table(form)
    else:
        text = asked.cost_table(form, metrics) if costs else asked.table(form, metrics, sort=sort)
    write(text, output)
    if output is not None and form.startswith("latex"):
        write(asked.citations(), output.with_suffix(".bib"))


def _use_all(form: str, *, costs: bool, deploy: bool, beside_default: bool) -> None:
    """Refuse what a table does not use.

    Raises:
        click.UsageError: if several tables are asked for, or an option was given that the one does not use.
    """
    if costs + beside_default + deploy > 1:
        raise click.UsageError("--costs, --deploy and --beside-default are tables of their own; give one of them")
    if deploy:
        uses_none("table --deploy", "metrics", "sort")
    elif costs or beside_default:
        uses_none(f"table {'--costs' if costs else '--beside-default'}", "sort")
    elif form.startswith("csv"):
        uses_none(f"the format {form}, whose lines have an order of their own,", "sort")

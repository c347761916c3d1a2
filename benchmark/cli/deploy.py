"""The command that takes a model out of a store to where it is used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click

from kdbench.cli._main import main
from kdbench.cli._options import in_store, runtime, with_data
from kdbench.cli._output import echo
from kdbench.cli._signals import Stop, stoppable


@main.command()
@in_store
@with_data
@click.argument("name", metavar="CELL|ROW")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The folder.  [default: take-DIGEST]")
@click.option("--matrix", "stored", metavar="NAME|ID", help="A matrix that was run in the store; by default the last.")
@click.option("-d", "--dataset", metavar="NAME", help="Which block, where a row stands in several.")
@click.option("-p", "--pair", metavar="TEACHER:STUDENT", help="Likewise.")
@click.option("--force", is_flag=True, help="Write what the gate refuses too, and say so in it.")
def take(
    store: Path,
    data_dir: Path | None,
    name: str,
    output: Path | None,
    stored: str | None,
    dataset: str | None,
    pair: str | None,
    force: bool,
) -> None:
    """Write a folder with a trained model that runs without kdbench, and shows that it says the same there.

    CELL is a digest, or the beginning of one; ROW a row of the table, of which the cell of the lowest seed is taken.
    Raw sensor values go in and probabilities come out: ONNX in 32 and 8 bits, C where the network is a chain of simple
    layers, golden windows, a card, and a page on how each form did on all windows that are judged. A form in 8 bits
    that keeps less than 99 % of the labels, or loses more than 0.2 points of macro-F1, is refused: it is left out of
    the folder, and the page, the card and a line on standard error say what was seen. Forms in 32 bits must say what
    was trained, or nothing is written.

    Exit code: 0 where every form that could be made is in the folder; 1 where one was refused, or where there is no
    folder since the machine failed (disk, memory); 2 where there is none since the request cannot be met; 130, 143 or
    129 where Ctrl-C, SIGTERM or SIGHUP stopped it.
    """
    with stoppable() as stop:
        try:
            from kdbench.commands.take import choose, last_plan, take

            where = runtime(store=store, data_dir=data_dir)
            chosen = choose(last_plan(where, stored), where, name, dataset=dataset, pair=pair)
            folder = output or Path(f"take-{chosen.digest[:8]}")
            whole = take(chosen, where, folder, force=force, say=_saying(stop), warn=_warn)
            code = 0 if whole else 1
        except KeyboardInterrupt:
            stop.ending, code = True, stop.exit_code
            with suppress(OSError):  # the terminal has gone
                echo("\nstopped; a folder that was not whole is not there", err=True)
    sys.exit(code)


def _saying(stop: Stop) -> Callable[[str], None]:
    """Says a line, unless a signal came that a library swallowed."""

    def say(line: str) -> None:
        stop.check()
        echo(line)

    return say


def _warn(line: str) -> None:
    echo(f"warning: {line}", err=True)

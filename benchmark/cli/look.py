"""Commands that show what there is: names and their pages, costs of networks, whether a method keeps the contract."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kdbench.cli._main import main
from kdbench.cli._options import format_of, in_store, write
from kdbench.cli._output import echo


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
    help="csv has every number in full precision.  [default: by -o, or text]",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
def profile(
    names: tuple[str, ...],
    window: str | None,
    classes: int | None,
    dataset: str | None,
    layers: bool,
    no_latency: bool,
    form: str | None,
    output: Path | None,
) -> None:
    """Show what networks cost: parameters, multiply-adds, memory, file size, latency. Without names: all networks.

    MODEL is a network as in `mlp(hidden=64)`; a PAIR as in `resnet_lstman:mlp`, or a list of pairs by name, shows how
    many times less the student costs than its teacher.
    """
    from kdbench.commands.profile import SECONDS, numbered, profile, size_of
    from kdbench.spec.words import Spec

    if dataset is not None and (window is not None or classes is not None):
        raise click.UsageError("--dataset says what --window and --classes say; give one or the other")
    size = numbered(window or "9x128", classes or 6) if dataset is None else size_of(Spec.parse(dataset))
    seconds = 0 if no_latency else SECONDS
    form = format_of(form, output, "text", {".txt": "text"})
    write(profile(names, size, form=form, seconds=seconds, layers=layers), output)


@main.command(name="list")
@click.argument("kind", required=False)
@in_store
def list_(kind: str | None, store: Path) -> None:
    """List what there is: methods, networks, datasets, matrices, pairs, recipes or protocols; all without KIND.

    The KIND `runs` lists the matrices that were run in the store.
    """
    from kdbench.commands.listing import listing

    if kind == "runs":
        from kdbench.commands.runs import runs_text
        from kdbench.store.records import Store

        echo(runs_text(Store(store)))
        return

    echo(listing(kind))


@main.command()
@click.argument("name")
def show(name: str) -> None:
    """Explain a method, network, dataset, matrix, list of pairs, recipe or protocol: source, formula, settings.

    Also the method or network in a .py file, and the matrix in a .toml file or in a store's .json.
    """
    from kdbench.commands.listing import page

    echo(page(name))


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

    every, say = pairs == "all", echo
    kept = check(method, every_pair=every, seed=seed, say=say, progress=lambda line: echo(line, err=True))
    sys.exit(0 if kept else 1)

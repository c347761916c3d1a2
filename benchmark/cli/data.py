"""Commands around datasets."""

from __future__ import annotations

from pathlib import Path

import click

from kdbench.cli._main import main
from kdbench.cli._options import placed, runtime, with_data
from kdbench.cli._output import echo


@main.group()
def data() -> None:
    """List, fetch, verify and look at datasets; show who is on which side of a split."""


@data.command(name="list")
@with_data
def data_list(data_dir: Path | None) -> None:
    """List every dataset and whether it is here."""
    from kdbench.commands.data import overview

    echo(overview(runtime(data_dir=data_dir)))


@data.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@with_data
def fetch(names: tuple[str, ...], data_dir: Path | None) -> None:
    """Make datasets ready: from the cache, the data folder or their distributors."""
    from kdbench.commands.data import fetch
    from kdbench.spec.words import Spec

    for name in names:
        echo(fetch(Spec.parse(name), runtime(data_dir=data_dir)))


@data.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@with_data
def verify(names: tuple[str, ...], data_dir: Path | None) -> None:
    """Parse originals again and compare them with what training uses."""
    from kdbench.commands.data import verify
    from kdbench.spec.words import Spec

    for name in names:
        echo(verify(Spec.parse(name), runtime(data_dir=data_dir)))


@data.command(name="show")
@click.argument("name")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Draw an example window of each class here."
)
@with_data
def data_show(name: str, output: Path | None, data_dir: Path | None) -> None:
    """Describe a dataset: channels, licence, windows per class, side and person."""
    from kdbench.commands.data import plot, show
    from kdbench.spec.words import Spec

    where = runtime(data_dir=data_dir)
    if output is not None:
        placed(output)
    text = show(Spec.parse(name), where)
    if output is not None:
        plot(Spec.parse(name), where, output)
        text += f"\n\nwrote {output}"
    echo(text)


@data.command()
@click.argument("name")
@click.option("--protocol", default="subject-v1", show_default=True, help="`kdbench list protocols` names them.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@with_data
def splits(name: str, protocol: str, seed: int, data_dir: Path | None) -> None:
    """Print who is trained on and who is judged, as CSV."""
    from kdbench.commands.data import splits
    from kdbench.spec.words import Spec

    echo(splits(Spec.parse(name), protocol, seed, runtime(data_dir=data_dir)))

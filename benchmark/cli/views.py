"""Commands that show what is recorded beside a table of scores: views, figures, a report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from kdbench.cli._main import main
from kdbench.cli._options import (
    format_of,
    in_store,
    named,
    placed,
    selected,
    session,
    uses_none,
    uses_only,
    with_data,
    write,
)
from kdbench.cli._output import echo
from kdbench.cli._signals import stoppable
from kdbench.errors import nearest


def _page_formats() -> list[str]:
    from kdbench.results.render import page_formats

    return page_formats()


@main.command()
@click.argument("which", metavar="[VIEW]", required=False)
@selected
@in_store
@with_data
@click.option("--metric", default="macro_f1", show_default=True, help="Of `people` and `harm`, and what is highest.")
@click.option("--row", "rows", multiple=True, metavar="LABEL", help="Show this row of the table; repeat for several.")
@click.option("--format", "form", metavar="NAME", callback=named("formats", _page_formats), help="By default by -o.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
def view(
    which: str | None, metric: str, rows: tuple[str, ...], form: str | None, output: Path | None, **chosen: Any
) -> None:
    """Show what is recorded and no table of scores has: by class, by person, learning curves, costs, harm, ...

    Without VIEW: which there are. Without options: of the matrix run last.
    """
    if which is None:
        uses_only("view without VIEW")
        from kdbench.commands.views import views_text

        echo(views_text())
        return
    write(session(chosen, last=True).view(which, format_of(form, output, "markdown"), metric=metric, rows=rows), output)


def _figures() -> list[str]:
    from kdbench.results.figures import figures

    return [*figures(), "all"]


def _widths() -> list[str]:
    from kdbench.results.figures import WIDTHS

    return list(WIDTHS)


WIDTH = click.option(
    "--width",
    default="two",
    show_default=True,
    callback=named("widths", _widths),
    help="How many columns of a page it is wide: one or two.",
)


def _called(which: str, costs: bool, deploy: str | None) -> Path:
    """The file of a figure, where no other is asked for.

    Raises:
        click.UsageError: if there is no such figure, or an option was given that it does not use.
    """
    if which not in (known := _figures()):
        raise click.BadParameter(nearest("figures", which, known))
    if costs and deploy:
        raise click.UsageError("--costs and --deploy are figures of their own; give one of them")
    if costs:
        uses_none("plot --costs", "which", "rows", "width")
    if deploy:
        uses_none("plot --deploy", "which", "metric", "rows")
    return Path(f"{'costs' if costs else 'deploy' if deploy else which}.png")


DEPLOY = click.option(
    "--deploy",
    type=click.Choice(["size", "latency"]),
    is_flag=False,
    flag_value="size",
    help="Draw macro-F1 of what `take` made of the rows against its size, or its latency, instead.",
)


@main.command()
@click.argument("which", metavar="[FIGURE]", default="gain")
@selected
@in_store
@with_data
@click.option("--metric", default="macro_f1", show_default=True)
@click.option("--row", "rows", multiple=True, metavar="LABEL", help="Of `confusion` and `people`: draw this row.")
@WIDTH
@click.option("--costs", is_flag=True, help="Draw the metric of all networks alone against multiply-adds instead.")
@DEPLOY
@click.option("--list", "listed", is_flag=True, help="Which figures there are.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Its ending gives the format: png, pdf or svg; of `all` it is a folder.  [default: FIGURE.png]",
)
def plot(
    which: str,
    metric: str,
    rows: tuple[str, ...],
    width: str,
    costs: bool,
    deploy: str | None,
    listed: bool,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Draw a figure: by default the gain over student alone. Without options: of the matrix run last.

    FIGURE is one of those of --list, or `all`: then each is drawn as pdf and png into a folder.
    """
    if listed:
        uses_only("plot --list", "listed")
        from kdbench.commands.figures import figures_text

        echo(figures_text())
        return
    name = _called(which, costs, deploy)
    if output is not None and which != "all":
        placed(output)
    asked = session(chosen, last=True)
    if which == "all":
        for line in asked.plot_all(metric, output or Path("figures"), width=width, rows=rows):
            echo(line)
        return
    asked.plot(metric, path := output or name, costs=costs, deploy=deploy, figure=which, width=width, rows=rows)
    echo(f"wrote {path}")


@main.command()
@selected
@in_store
@with_data
@click.option(
    "--metric", "metrics", multiple=True, default=("macro_f1", "accuracy"), show_default=True, help="The first answers."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="Where to.",
)
def report(metrics: tuple[str, ...], output: Path, **chosen: Any) -> None:
    """Write one HTML file on a matrix that needs no network. Without options: on the matrix run last.

    The answer, tables that sort and filter, figures, gates and failures, how it was made and how to make it again.
    """
    session(chosen, last=True).report(placed(output), tuple(part for each in metrics for part in each.split(",")))
    echo(f"wrote {output}")


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@selected
@in_store
@with_data
@click.option("--again", is_flag=True, help="Write the pages of FOLDER again, from the records in it alone.")
@click.option("--check", is_flag=True, help="Only say which pages those records do not give, byte for byte; 1 if any.")
@click.option(
    "--unpack",
    type=click.Path(path_type=Path),
    metavar="STORE",
    help="Make a new store of the records in FOLDER, for `table`, `stats`, `plot`, `view`, ... with --store. It has no "
    "weights, so nothing is trained in it.",
)
def publish(folder: Path, again: bool, check: bool, unpack: Path | None, **chosen: Any) -> None:
    """Write a folder to be published with a paper: records, predictions, tables, figure, report. Without options: of
    the matrix run last.

    Predictions are kept as class probabilities, in half percents, and weights are left out: a hundred runs on 3,000
    test windows need about 1 MB. Whoever has the folder makes every page of it again, or checks them, where neither
    the data nor the store are. A page that was there and that the records do not give any more is removed, and no other
    file.
    """
    from kdbench.commands.publish import differing, publish_again, unpacked

    asked = [name for name, given in (("--again", again), ("--check", check), ("--unpack", unpack)) if given]
    if len(asked) > 1:
        raise click.UsageError(f"{' and '.join(asked)} do different things with FOLDER; give one of them")
    if asked:
        uses_only(f"publish {asked[0]}", "folder", asked[0].removeprefix("--"))
    if unpack is not None:
        with stoppable() as stop:
            try:
                echo(unpacked(folder, unpack))
            except KeyboardInterrupt:
                stop.ending = True
                sys.exit(stop.exit_code)
        return
    if check:
        others = differing(folder)
        echo(
            "\n".join(f"{folder / name} is not what its records give" for name in others) or "all as their records say"
        )
        sys.exit(1 if others else 0)
    if again:
        publish_again(folder, echo)
        return
    session(chosen, last=True).publish(folder, show=echo)

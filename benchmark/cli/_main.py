"""The command itself: its help, and what becomes of errors."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

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
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] not in ("torch", "numpy", "pandas", "seaborn"):
                raise
            click.echo(f"error: this needs {error.name}, which is not installed", err=True)
            sys.exit(2)
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

"""The command itself: its help, and what becomes of errors."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import click

from kdbench.cli._output import echo, prepare

EPILOG = """\b
Examples:
  kdbench run                                        a first look, a few minutes
  kdbench run -c paper -j 8                          the full job, on eight cores
  kdbench run -p 'resnet_lstman(width=0.25):mlp(hidden=64)' --seeds 5 --recipe cpu
  kdbench run -m METHOD -m 'METHOD(role=tuned)'      rows of your choice
  kdbench plan -c mine.toml -S METHOD.KEY=VALUE -S recipe.epochs=20
  kdbench list methods                               which there are, by kind
  kdbench show METHOD                                what it is, and its settings
  kdbench check my_method.py                         whether a method of yours keeps the contract
  kdbench profile resnet_lstman:mlp                  what both networks cost
  kdbench tune --recipe cpu --dry-run                what a search for settings would cost
"""


def _version(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from importlib.metadata import version

        echo(f"kdbench {version('kdbench')}")
        context.exit()


class _Group(click.Group):
    """Turns what can go wrong into one line and an exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        from kdbench.errors import KdbenchError

        prepare()
        _let_warnings_be_warnings()
        try:
            return super().main(*args, **{**kwargs, "standalone_mode": True})
        except KdbenchError as error:
            echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)
        except BrokenPipeError:  # the reader of `kdbench table | head` has gone
            sys.exit(1)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] not in ("torch", "numpy", "pandas", "seaborn"):
                raise
            click.echo(f"error: this needs {error.name}, which is not installed", err=True)
            sys.exit(2)
        except OSError as error:
            place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
            echo(f"error: {place}{error.strerror or error}", err=True)
            sys.exit(1)
        except RuntimeError as error:
            if str(error) != "can't start new thread":
                raise
            echo("error: no further thread can be started; is there enough memory?", err=True)
            sys.exit(1)
        except (ImportError, MemoryError) as error:
            echo(f"error: {_lacking(error)}", err=True)
            sys.exit(1)


def _let_warnings_be_warnings() -> None:
    """Where the user's Python is told to raise warnings, do not, nor let workers: they come from other packages.

    Test runners set their filters in another way, and keep them.
    """
    meant = [option for option in sys.warnoptions if not option.lstrip().startswith("e")]  # "error", or less of it
    if meant != sys.warnoptions:
        sys.warnoptions[:] = meant
        os.environ["PYTHONWARNINGS"] = ",".join(meant)
        warnings.filters[:] = [each for each in warnings.filters if each[0] != "error"]  # type: ignore[index]


def _lacking(error: ImportError | MemoryError) -> str:
    """What this machine or its Python lacks, in one line."""
    reason = str(error).splitlines()
    if isinstance(error, MemoryError):
        return "out of memory" + (f": {reason[0]}" if reason else "")
    what = f"package {error.name} " if error.name else "a package "
    return f"{what}cannot be loaded: {reason[0] if reason else type(error).__name__}"


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

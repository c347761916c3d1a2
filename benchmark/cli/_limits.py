"""Options of `run` on which cells are run, again too, and how long each may take."""

from __future__ import annotations

import re
from typing import Any

import click

from kdbench.cli._options import together
from kdbench.errors import nearest

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(context: click.Context, option: click.Parameter, value: Any) -> float | None:
    """``90``, ``90s``, ``10m``, ``1.5h``, ``2d`` in seconds, above 0."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smhd]?)", value.strip())
    seconds = float(found[1]) * UNITS[found[2]] if found else 0.0
    if not seconds:
        raise click.BadParameter(f"{value!r} is no duration; wanted one as 90s, 10m, 1.5h or 2d")
    return seconds


def shard(context: click.Context, option: click.Parameter, value: Any) -> tuple[int, int]:
    """``2/8``: the second of eight parts."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", value.strip())
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise click.BadParameter(f"{value!r} is no part; wanted one as 1/8, 2/8, up to 8/8")
    return int(found[1]), int(found[2])


def failures(context: click.Context, option: click.Parameter, value: Any) -> tuple[str, ...]:
    """Some of the kinds in which cells fail, with commas between them, or ``all``."""
    from kdbench.results.record import FAILURES

    kinds = tuple(kind.strip() for kind in value.split(",")) if value else ()
    for kind in kinds:
        if kind not in (*FAILURES, "all"):
            raise click.BadParameter(nearest("kinds of failure", kind, [*FAILURES, "all"]))
    return FAILURES if "all" in kinds else kinds


limited = together(
    click.option(
        "--address",
        metavar="HOST:PORT|auto",
        help="With --executor ray: a cluster that is there.  [default: RAY_ADDRESS, or one here for the run]",
    ),
    click.option("--retry-failed", is_flag=True, help="Run cells again that failed, however."),
    click.option(
        "--retry",
        metavar="KINDS",
        callback=failures,
        help="Run cells again that failed so: failed, killed, timed-out, out-of-memory, with commas; or all.",
    ),
    click.option("--stale", "rerun_stale", is_flag=True, help="Run cells again whose source changed since."),
    click.option("--force", is_flag=True, help="Run all cells again, each replaced when its turn comes."),
    click.option(
        "--timeout",
        metavar="DURATION",
        callback=duration,
        help="A cell that takes longer in one go fails: 90s, 10m.",
    ),
    click.option("--fail-fast", is_flag=True, help="Begin nothing more once a cell has failed."),
    click.option(
        "--shard", metavar="I/N", default="1/1", callback=shard, help="Run the I-th of N parts, as on N machines."
    ),
)

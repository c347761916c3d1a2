"""Standard output and error that do not fail: on a sign that their encoding lacks, or where nobody can read them."""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import TextIO

import click

SIGNS = {
    "↓": "v",
    "⇓": "V",
    "†": "+",
    "‡": "++",
    "±": "+-",
    "×": "x",
    "·": "*",
    "–": "-",
    "—": "-",
    "−": "-",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "≈": "~",
    "…": "...",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "°": "deg",
    "µ": "u",  # the micro sign
    "μ": "u",  # the Greek letter
    "²": "2",
    "³": "3",
    "\N{NO-BREAK SPACE}": " ",
}
"""What is written for a sign that an encoding lacks; others are escaped as in a Python string."""

REPLACE = "kdbench.signs"
"""Name of the error handler that does so."""


class Steady(io.TextIOWrapper):
    """Standard error whose reader may be gone or whose disk may be full: what cannot be told there is dropped."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def prepare() -> None:
    """Make this process's own standard streams ready, once; those that a test or a notebook put there are left alone.

    A stream that is closed becomes the null device: else the next file to be opened would take its number, and be
    written to by whatever complains there.
    """
    codecs.register_error(REPLACE, _replaced)
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            os.set_inheritable(number, True)
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            opened = open(number, "w", closefd=False)  # noqa: SIM115 (open as long as Python runs)
            setattr(sys, name, opened)
            setattr(sys, f"__{name}__", opened)
    if sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=REPLACE)
    if sys.stderr is sys.__stderr__ and type(sys.stderr) is io.TextIOWrapper:
        encoding = sys.stderr.encoding
        steady = Steady(sys.stderr.detach(), encoding=encoding, errors=REPLACE, line_buffering=True)
        sys.stderr = sys.__stderr__ = steady  # type: ignore[misc]


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text.

    The stream is named, since click writes UTF-8 to one whose encoding is ASCII.

    Raises:
        OSError: if standard output cannot be written; what was not written by then is given up.
    """
    stream = sys.stderr if err else sys.stdout
    try:
        click.echo(text, file=stream, nl=nl)
    except OSError:
        _give_up(stream)
        raise


def _give_up(stream: TextIO) -> None:
    """Let a stream lead nowhere, or Python tries again at its end, and fails with an exit code of its own."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """What stands for what cannot be encoded; bytes of a file's name that are no text are shown as bytes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(sign: str) -> str:
    if sign in SIGNS:
        return SIGNS[sign]
    if "\udc80" <= sign <= "\udcff":
        return f"\\x{ord(sign) - 0xDC00:02x}"
    return sign.encode("ascii", "backslashreplace").decode()

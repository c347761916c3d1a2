"""Converters without their advice, which is not for whoever takes a model."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import cache
from typing import TextIO

from kdbench.errors import KdbenchError
from kdbench.text import first_line


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings, logged advice, and whatever else is written to standard output and error by whatever means."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), _led_nowhere(1), _led_nowhere(2):
            warnings.simplefilter("ignore")
            with redirect_stdout(_nowhere()), redirect_stderr(_nowhere()):
                yield
    finally:
        logging.disable(before)


@cache
def _nowhere() -> TextIO:
    """Python's stream to write to meanwhile; open as long as Python runs, since loggers made meanwhile keep it."""
    return open(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8", closefd=False)


@contextmanager
def _led_nowhere(number: int) -> Iterator[None]:
    """One of the process's own streams leads nowhere: what is not Python's knows no other way to write.

    What was written before still comes where it was meant to, and what is held back meanwhile comes nowhere.
    """
    _flush()
    kept, nowhere = os.dup(number), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
    try:
        yield
    finally:
        _flush()
        os.dup2(kept, number)
        os.close(kept)


def _flush() -> None:
    """Write what Python's streams and C's hold back."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream is not None:
            with suppress(ValueError):  # it is closed
                stream.flush()
    if os.name == "posix":
        ctypes.CDLL(None).fflush(None)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Quiet, and with what a converter raises as one line.

    Args:
        what: that it cannot do.

    Raises:
        KdbenchError: in place of whatever it raises.
    """
    try:
        with quiet():
            yield
    except Exception as error:  # of many kinds
        raise KdbenchError(f"{what}: {first_line(error.__cause__ or error)}") from None

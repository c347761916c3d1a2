"""Converters without their advice, which is not for whoever takes a model."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from kdbench.errors import KdbenchError
from kdbench.text import first_line


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings and logged advice, and without what a runtime in C++ writes to standard error."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), _closed_error():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _closed_error() -> Iterator[None]:
    """The process's own standard error leads nowhere: what is not Python's knows no other way to write."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


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

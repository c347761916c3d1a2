"""Converters without their advice, which is not for whoever takes a model."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from kdbench.errors import KdbenchError
from kdbench.text import first_line


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings and logged advice."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


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

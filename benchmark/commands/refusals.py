"""What the results refuse, as users see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kdbench.errors import KdbenchError


@contextmanager
def refusals() -> Iterator[None]:
    """What `kdbench.results` refuses is the user's to mend: one line."""
    try:
        yield
    except ValueError as error:
        raise KdbenchError(str(error)) from None

"""Names and texts that MLflow takes, made from those of a record."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

NAME, TEXT = 240, 5000
"""Lengths that MLflow takes, in characters; it would refuse more than 250 and 6000."""
FEW = 100
"""Parameters, or tags, that it takes at once at most."""


def allowed(names: Iterable[str]) -> dict[str, str]:
    """What MLflow calls each: itself where that is taken, else without the signs that it refuses, each still its own.

    >>> allowed(["loss", "CE(y, p)", "CE[y, p]"])
    {'loss': 'loss', 'CE(y, p)': 'CE_y_ p_', 'CE[y, p]': 'CE_y_ p__2'}
    """
    listed = list(dict.fromkeys(names))
    found = {name: name for name in listed if _plain(name) == name}
    taken = set(found)
    for name in listed:
        if name not in found:
            plain, number = _plain(name), 2
            while plain in taken:
                plain, number = f"{_plain(name)}_{number}", number + 1
            taken.add(plain)
            found[name] = plain
    return {name: found[name] for name in listed}


def text(value: object, length: int = TEXT) -> str:
    """A value as text that a database takes: no more than so long, and bytes that are no text escaped."""
    return str(value).encode("utf-8", "backslashreplace").decode()[:length]


def _plain(name: str) -> str:
    """Letters, digits, spaces and ``_ . - /``, and no path but itself."""
    plain = re.sub(r"[^\w.\- /]", "_", name)[:NAME]
    if posixpath.normpath(plain) != plain or plain.startswith(("/", "..")):
        plain = plain.replace("/", "_")
    return f"_{plain}" if plain.startswith("..") or plain in ("", ".") else plain

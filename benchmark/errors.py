"""What kdbench says when it cannot go on: one line, and the exit code of the command line."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class KdbenchError(Exception):
    """Bad input or an impossible request. The message is one line: what came, what was wanted, what to do."""

    exit_code: ClassVar[int] = 2


class MachineError(KdbenchError):
    """The machine's fault, not the request's: a full disk, a read-only folder."""

    exit_code: ClassVar[int] = 1


class DataUnavailable(KdbenchError):
    """A dataset was not found on this machine and could not be downloaded."""


def nearest(what: str, name: str, known: Iterable[str]) -> str:
    """A message for a name that is not among the known ones.

    >>> nearest("datasets", "uci_hr", ["uci_har", "synthetic"])
    "no 'uci_hr' in datasets (did you mean 'uci_har'?); known: synthetic, uci_har"
    """
    names = sorted(known)
    alike = {other.lower(): other for other in names}
    near = get_close_matches(name.lower(), alike, n=1)
    hint = f" (did you mean {alike[near[0]]!r}?)" if near else ""
    return f"no {name!r} in {what}{hint}; known: {', '.join(names)}"


def absent(error: BaseException, package: str) -> bool:
    """Whether an import failed because the package is not installed, rather than while it was loaded."""
    return isinstance(error, ModuleNotFoundError) and error.name == package

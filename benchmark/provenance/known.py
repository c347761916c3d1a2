"""What is known of kdbench's own code, kept between processes.

To follow names through the code takes longer than to read what a store of thousands says, and its answers change only
with the code. So they are kept in a file beside a hash of all of kdbench's source files, and count for nothing under
another one. The file may be removed at any time.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kdbench.files import write_whole

NAME = "code.json"
HOME = __name__.partition(".")[0]
ELSEWHERE = ("architectures", "methods", "results")
"""Rooms that may lie beside the package rather than in it."""


class Known:
    """Answers about kdbench's own code."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        """Where they are kept; nowhere where it is None."""

    def answer(self, question: str, found: Callable[[], Any]) -> Any:
        """What is known, or else what is found out, which is JSON data, and kept.

        Args:
            question: about kdbench's own code alone, and one that nothing else decides.
            found: finds it out.
        """
        if self.folder is None:
            return found()
        path, code = self.folder / NAME, _code()
        answers = _read(path, code)
        if question not in answers:
            answers[question] = found()
            with suppress(OSError):  # a cache that cannot be written
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, json.dumps({"code": code, "answers": answers}, indent=1))
        return answers[question]


KNOWN = Known()


@cache
def _code() -> str:
    """Hash of every source file and of which Python reads them."""
    told = hashlib.sha256(sys.version.encode())
    for path in sorted(set(_files())):
        told.update(b"\0%s\0%s" % (str(path).encode("utf-8", "surrogateescape"), path.read_bytes()))
    return told.hexdigest()


def _files() -> Iterator[Path]:
    for name in (HOME, *(f"{HOME}.{room}" for room in ELSEWHERE)):
        spec = find_spec(name)
        for folder in (spec and spec.submodule_search_locations) or ():
            yield from Path(folder).rglob("*.py")


@cache
def _read(path: Path, code: str) -> dict[str, Any]:
    """What a file says of this code, to be added to; nothing where it is of another one, or damaged."""
    try:
        plain = json.loads(path.read_bytes())
        return dict(plain["answers"]) if plain["code"] == code else {}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}

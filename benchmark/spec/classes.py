"""Classes in place of names: what a method or a network that was written in Python is called in a selection."""

from __future__ import annotations

import inspect
from importlib.metadata import entry_points
from pathlib import Path

from kdbench.errors import KdbenchError


def name_of(thing: object, kind: str) -> str:
    """A name as it is; of a class the name that it is known by, or the file that defines it.

    Args:
        thing: a text or a class.
        kind: ``methods`` or ``architectures``.

    Raises:
        KdbenchError: if it is neither, or a class that no other process could find.
    """
    if isinstance(thing, str):
        return thing
    if not inspect.isclass(thing):
        raise KdbenchError(f"{thing!r} came for {kind}, wanted a name or a class")
    package, _, module = thing.__module__.rpartition(".")
    if package == f"kdbench.{kind}" and not module.startswith("_"):
        return module
    where = f"{thing.__module__}:{thing.__qualname__}"
    for point in entry_points(group=f"kdbench.{kind}"):
        if point.value == where:
            return point.name
    return _file_of(thing, where)


def _file_of(cls: type, where: str) -> str:
    try:
        path = Path(inspect.getfile(cls)).resolve()
    except (TypeError, OSError):  # written into an interpreter
        path = Path("nowhere")
    if path.suffix != ".py" or not path.is_file():
        raise KdbenchError(
            f"the class {where} is in no file, so no other process could find it; write it into a .py file of its own "
            "and import it from there"
        )
    return str(path)


def pair_of(pair: object) -> str:
    """``teacher:student`` as it is, or of two names or classes.

    Raises:
        KdbenchError: as `name_of`, or if it is neither.
    """
    if isinstance(pair, str):
        return pair
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise KdbenchError(f"pair {pair!r} came, wanted teacher:student as a text, or the two of them")
    return ":".join(name_of(side, "architectures") for side in pair)

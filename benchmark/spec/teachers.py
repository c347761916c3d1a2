"""What a matrix says of its teachers: whether they must be better than their students, and which are brought along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from kdbench.errors import KdbenchError, nearest

GATES = ("mark", "refuse")
"""What becomes of cells whose teacher is no better than their student alone: said in tables, or not run."""


@dataclass(frozen=True)
class Imported:
    """Weights that a user brought along, in place of a teacher that is trained.

    Args:
        network: the teacher's, with settings, as pairs name it.
        data: digest of the windows that it is for.
        weights: hash of its tensors.
    """

    network: str
    data: str
    weights: str

    @classmethod
    def from_plain(cls, plain: object) -> Imported:
        """What TOML or JSON has.

        Raises:
            KdbenchError: if a key is missing, unknown, or no text.
        """
        names = [each.name for each in fields(cls)]
        if not isinstance(plain, Mapping):
            raise KdbenchError(f"a [[teacher]] is {plain!r}, wanted a table of {', '.join(names)}")
        for key in plain:
            if key not in names:
                raise KdbenchError(nearest("keys of a [[teacher]]", str(key), names))
        for name in names:
            if not isinstance(plain.get(name), str):
                raise KdbenchError(f"a [[teacher]] needs {name}, a text; `kdbench teachers import` prints all three")
        return cls(**plain)


def gate_named(text: str) -> str:
    """A gate by its name.

    Raises:
        KdbenchError: if there is none.
    """
    if text not in GATES:
        raise KdbenchError(nearest("teacher gates", text, list(GATES)))
    return text

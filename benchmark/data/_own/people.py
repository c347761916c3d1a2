"""Who is who in a user's own data: one name for a person, however it was written."""

from __future__ import annotations

import re
from unicodedata import normalize

from kdbench.errors import KdbenchError

Name = int | str


def person_name(written: Name) -> Name:
    """The name of a person: ``"01"``, ``" 1"``, ``"1.0"`` and 1 are the number 1, whatever the others are called.

    Other texts are compared without surrounding blanks, and the same letter is the same in every encoding.
    """
    text = normalize("NFKC", str(written)).strip()
    number = re.fullmatch(r"(-?)0*(\d{1,18})(?:\.0*)?", text, re.ASCII)
    return int(number[1] + number[2]) if number else text


class People:
    """Everyone met so far, in the order of meeting."""

    def __init__(self) -> None:
        self.names: list[Name] = []
        self._index: dict[Name, int] = {}  # of names, and of all the ways in which they were written
        self._spelt: dict[str, tuple[Name, str]] = {}  # without regard to case, to the name and where it was met

    def index(self, written: Name, where: str) -> int:
        """Place of a person in ``names``; ``where`` begins a message.

        Raises:
            KdbenchError: nobody is named, or two names differ in nothing but upper and lower case.
        """
        if written in self._index:
            return self._index[written]
        name = person_name(written)
        if name not in self._index:
            if name == "" or not str(name).isprintable():
                raise KdbenchError(f"{where} has person {ascii(written)[:40]}, wanted a name or a number")
            other, there = self._spelt.setdefault(str(name).casefold(), (name, where))
            if other != name:
                raise KdbenchError(
                    f"{where} has person {name!r}, but {there} {other!r}; wanted one spelling of a person"
                )
            self._index[name] = len(self.names)
            self.names.append(name)
        self._index[written] = self._index[name]
        return self._index[name]


def numbered(names: list[Name]) -> dict[Name, int]:
    """Numbers of people: their own if all have one, else from 1 in the order of the names as texts."""
    if all(isinstance(name, int) for name in names):
        return {name: int(name) for name in names}
    return {name: number for number, name in enumerate(sorted(names, key=str), start=1)}

"""Who is who in a user's own data: one name for a person, however it was written."""

from __future__ import annotations

import re
from collections.abc import Hashable
from unicodedata import decimal, normalize

from kdbench.errors import KdbenchError

Name = int | str

ABSENT = frozenset({"", "nan", "na", "n/a", "null", "none"})
"""What stands where a value or a name is missing, in small letters."""


def person_name(written: Name) -> Name:
    """The name of a person: ``"01"``, ``" 1"``, ``"1.0"`` and 1 are the number 1, whatever the others are called.

    Other texts are compared without surrounding blanks, and the same letter is the same in every encoding.
    """
    text = normalize("NFKC", str(written)).strip()
    number = re.fullmatch(r"(-?)0*(\d{1,18})(?:\.0*)?", text, re.ASCII)
    return int(number[1] + number[2]) if number else text


def _alike(name: Name) -> Hashable:
    """What two names have in common that differ in blanks, signs, capitals, digits' script or zeros around a number.

    >>> _alike("S_01") == _alike("s 1"), _alike("1-1") == _alike("11")
    (True, False)
    """
    if isinstance(name, int):
        return (f"#{abs(name)}",)
    alike: list[str] = []
    text = re.sub(r"\d", lambda digit: str(decimal(digit[0])), name.casefold())
    text = re.sub(r"(?<![\d.])(\d+\.\d*?)0+(?![\d.])", r"\1", text)  # 1.50 is 1.5, and 1.0 is 1
    for part in re.findall(r"\d+|[^\W\d_]+", text):
        if part.isdigit():
            alike.append(f"#{part.lstrip('0') or '0'}")
        elif alike and not alike[-1].startswith("#"):
            alike[-1] += part  # two words are one word, but two numbers are never one number
        else:
            alike.append(part)
    return tuple(alike) or name


class People:
    """Everyone met so far, in the order of meeting."""

    def __init__(self) -> None:
        self.names: list[Name] = []
        self._index: dict[Name, int] = {}  # of names, and of all the ways in which they were written
        self._spelt: dict[Hashable, tuple[Name, str]] = {}  # what names have in common, to one and where it was met

    def index(self, written: Name, where: str) -> int:
        """Place of a person in ``names``; ``where`` begins a message.

        Raises:
            KdbenchError: nobody is named, or two names are too much alike to be two people.
        """
        if written in self._index:
            return self._index[written]
        name = person_name(written)
        if name not in self._index:
            if str(name).lower() in ABSENT or not str(name).isprintable():
                raise KdbenchError(f"{where} has person {ascii(written)[:40]}, wanted a name or a number")
            other, there = self._spelt.setdefault(_alike(name), (name, where))
            if other != name:
                raise KdbenchError(
                    f"{where} has person {name!r}, but {there} {other!r}; wanted one spelling of a person: blanks, "
                    "signs, capitals, digits' script and zeros around a number do not tell two people apart"
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

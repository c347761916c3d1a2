"""Tables of a TOML file, read key by key with one line about what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kdbench.errors import KdbenchError, nearest

TOML = "dataset.toml"


class Table:
    """A table of a TOML file; ``where`` begins its keys in messages."""

    def __init__(self, where: str, values: Mapping[str, Any]) -> None:
        self.where, self.values = where, values

    def only(self, *known: str) -> None:
        for key in self.values:
            if key not in known:
                raise KdbenchError(nearest(f"keys of {self.where.rstrip('.') or TOML}", key, known))

    def get(self, key: str, wanted: str, types: tuple[type, ...], default: Any = None) -> Any:
        value = self.values.get(key, default)
        if value is None:
            raise KdbenchError(f"{self.where}{key} is missing, wanted {wanted}")
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise self.wrong(key, value, wanted)
        return value

    def wrong(self, key: str, value: object, wanted: str) -> KdbenchError:
        try:
            said = ascii(value)[:40]
        except ValueError:  # a number of thousands of digits
            said = "a number too long to be shown"
        return KdbenchError(f"{self.where}{key} is {said}, wanted {wanted}")

    def text(self, key: str, default: str | None = None) -> str:
        value: str = self.get(key, "a text", (str,), default)
        if (not value and default is None) or not value.isprintable():
            raise self.wrong(key, value, "a text of one line")
        return value

    def number(self, key: str, low: float, high: float, *, default: float | None = None) -> float:
        if default is not None and key not in self.values:
            return default
        wanted = f"a number from {low:g} to {high:g}"
        value = self.get(key, wanted, (int, float))
        if not low <= value <= high:
            raise self.wrong(key, value, wanted)
        return float(value)

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        wanted = f"a whole number from {low} to {high}"
        value: int = self.get(key, wanted, (int,), default)
        if not low <= value <= high:
            raise self.wrong(key, value, wanted)
        return value

    def list(self, key: str, *types: type, default: Sequence[Any] | None = None) -> list[Any]:
        wanted = "a list of " + " or ".join({str: "texts", int: "whole numbers", dict: "tables"}[t] for t in types)
        value = list(self.get(key, wanted, (list, tuple), default))
        for item in value:
            plain = item.isprintable() if isinstance(item, str) else not isinstance(item, bool)
            if not isinstance(item, types) or not plain or (isinstance(item, int) and abs(item) >= 2**63):
                raise self.wrong(key, item, wanted)
        return value

    def table(self, key: str) -> Table:
        return Table(f"{self.where}{key}.", self.get(key, "a table", (dict,)))

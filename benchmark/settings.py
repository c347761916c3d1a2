"""Legal and searchable values of a setting, written where the setting is: in a signature.

``width: Annotated[float, Range(0.05, 4.0, search=(0.25, 1.0))] = 1.0`` is name, type, default, legal limits and
search range in one place. Networks, methods and datasets all state their settings this way.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """Closed interval of legal numbers.

    Args:
        low: smallest legal value.
        high: largest legal value.
        search: the part of the interval that a hyper-parameter search draws from; ``None`` keeps the default.
        log: whether the search draws on a logarithmic scale.
    """

    low: float
    high: float
    search: tuple[float, float] | None = None
    log: bool = False

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"[{self.low:g}, {self.high:g}]"


class Choice:
    """Finite set of legal values; a search draws from ``search``, by default not at all."""

    def __init__(self, *values: str | int | float, search: tuple[str | int | float, ...] | None = None) -> None:
        self.values = values
        self.search = search

    def __contains__(self, value: object) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return "{" + ", ".join(map(str, self.values)) + "}"

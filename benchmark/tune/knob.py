"""A knob: one value that a search draws, and from what. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kdbench.spec.words import Value

RECIPE = "recipe."
"""What the names of knobs of the training begin with, as on the command line."""

DIGITS = 3
"""Significant digits of what is drawn: more would only be noise in a file that people read."""


@dataclass(frozen=True)
class Knob:
    """One value that a search draws.

    Args:
        name: of the setting; that of the training begins with `RECIPE`.
        default: what trial 0 has.
        low: smallest value drawn; None where ``choices`` are.
        high: largest value drawn.
        log: whether it is drawn on a logarithmic scale.
        whole: whether it is drawn from whole numbers.
        choices: the values themselves, where there is no interval.
    """

    name: str
    default: Value
    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False
    choices: tuple[str | int | float, ...] = ()

    @property
    def span(self) -> str:
        """What is drawn from, for people."""
        if self.low is None or self.high is None:
            return "{" + ", ".join(map(str, self.choices)) + "}"
        return f"[{self.low:g}, {self.high:g}]{' log' if self.log else ''}"

    def rounded(self, value: Any) -> Value:
        """A drawn value with few digits, within the limits."""
        if self.low is None or self.high is None or self.whole:
            return value  # type: ignore[no-any-return]
        return min(max(float(f"{value:.{DIGITS}g}"), float(self.low)), float(self.high))

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Knob:
        """The knob that ``dataclasses.asdict`` and JSON made plain."""
        return cls(**{**plain, "choices": tuple(plain["choices"])})

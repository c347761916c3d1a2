"""What a table is made from: what became of each of its places, and what was asked for."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from kdbench.results.place import Place
from kdbench.results.record import Record

Status = Literal["done", "failed", "missing", "n/a"]


class Freshness(StrEnum):
    """Whether a run is of the source as it is now."""

    FRESH = "fresh"
    STALE = "stale"
    """The source changed since the run, without a new version."""
    UNKNOWN = "unknown"
    """It cannot be told: an older kdbench made the record, or the code of a plug-in is not here."""


@dataclass(frozen=True)
class Entry:
    """One place of a table and what became of it.

    Raises ``ValueError`` where a done entry lacks a done record or an n/a entry lacks its reason.
    """

    place: Place
    status: Status
    reason: str | None
    freshness: Freshness
    record: Record | None

    def __post_init__(self) -> None:
        if self.status == "done" and (self.record is None or self.record.status != "done"):
            came = "none" if self.record is None else f"one with status {self.record.status!r}"
            raise ValueError(f"{self._named()}: done wants a done record, {came} came")
        if self.status == "n/a" and not self.reason:
            raise ValueError(f"{self._named()}: n/a wants a reason, none came")

    def _named(self) -> str:
        return f"entry {self.place.row!r}, seed {self.place.seed}"

    @property
    def stale(self) -> bool:
        return self.freshness is Freshness.STALE


@dataclass(frozen=True)
class Asked:
    """The conditions that a matrix asks for, as captions and answers say them."""

    protocol: str
    recipe: str
    note: str = ""
    """The recipe's note, such as "not for publication"; often empty."""
    warning: str = ""
    """What must be said against the protocol, such as that it leaks; usually empty."""
    cells: int = 0
    """How many training runs the whole matrix is; 0 where that is not known."""
    preset: str = ""
    """Where hyper-parameters are from and with which budget they were searched; empty where none were."""
    cautions: tuple[str, ...] = ()
    """What must be said of the data, such as how much of the recordings is in no window; usually none."""
    max_seeds: int = 0
    """At most how many seeds were to be run where they were added as they were needed; 0 where they were stated."""

"""How the form of a cell that goes to a device did, kept beside its record by `take`. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from kdbench.files import write_whole
from kdbench.results.record import WEIGHTS
from kdbench.store.records import DEPLOY, Store


@dataclass(frozen=True)
class Deployed:
    """One form, and the weights that it was made of.

    Args:
        weights: hash of the weights file; what was kept of others is passed over.
        form: its name.
        size: bytes of its file.
        agreement: share of the judged windows that keep the trained model's label.
        trained_f1: macro-F1 of the trained model.
        macro_f1: of the form.
        latency_ms: median of one window on one thread, where it was taken.
        how: how it was made, in words.
        refused: what the gate had against it, where it was written all the same.
        instead: what the gate had against the form in 8 bits, where this one is in its place.
        people: every person's scores, as `metrics.by_person` gives them; empty where an older kdbench took it.
    """

    weights: str
    form: str
    size: int
    agreement: float
    trained_f1: float
    macro_f1: float
    latency_ms: float
    how: str
    refused: tuple[str, ...]
    instead: str = ""
    people: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def bits(self) -> int:
        """Of its weights: 8 or 32."""
        return 8 if self.form.endswith(", 8 bits") else 32

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "refused": list(self.refused)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Deployed:
        """What JSON made of it.

        Raises:
            TypeError, KeyError: if it is something else.
        """
        return cls(**{**plain, "refused": tuple(plain["refused"])})


def weights_of(store: Store, digest: str) -> str:
    """What a cell's weights are known by, as its record has it; empty where it does not say."""
    record = store.record(digest)
    return record.files.get(WEIGHTS, "") if record is not None else ""


def deployed(store: Store, digest: str) -> Deployed | None:
    """How a cell's form did; None where it was not taken, was trained again since, or the file is damaged."""
    try:
        found = Deployed.from_plain(json.loads((store.folder(digest) / DEPLOY).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.weights == weights_of(store, digest) else None


def keep_deployed(store: Store, digest: str, took: Deployed) -> None:
    """Keep it beside the cell's record."""
    write_whole(store.folder(digest) / DEPLOY, json.dumps(took.plain, indent=1) + "\n")

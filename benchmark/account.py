"""What a record says of a run that has ended, however it ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from numbers import Real
from typing import Any

import torch

from kdbench.catalog.find import METHODS
from kdbench.provenance.environment import commit, device_name, peak_memory, versions
from kdbench.provenance.sources import sources
from kdbench.results.metrics import by_person
from kdbench.results.record import SCHEMA, Record
from kdbench.spec.cell import Cell
from kdbench.text import printable
from kdbench.training.work import Result


def record_of(cell: Cell, reason: str | None, side: str, device: torch.device, **told: Any) -> Record:
    """A record; ``told`` is what only a training that did not lose its process can say."""
    unknown = {"metrics": {}, "facts": {}, "costs": {}, "warnings": [], "seconds": 0.0}
    return Record(
        **{**unknown, **told},
        schema=SCHEMA,
        digest=cell.digest,
        cell=cell.plain,
        kind="reference" if cell.fitted else METHODS.get(cell.method.name).kind,
        status="failed" if reason else "done",
        reason=reason,
        side=side,
        peak_memory=peak_memory(device),
        device=device_name(device),
        versions=versions() | ({"scikit-learn": version("scikit-learn")} if cell.fitted else {}),
        sources=sources(cell),
        commit=commit(),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def metrics_of(result: Result) -> dict[str, dict[str, Any]]:
    """The result's metrics, with the student's for each person."""
    kept = result.predictions
    people = by_person(kept["logits"], kept["y"], kept["person"])
    return result.metrics | {"student": result.metrics["student"] | {"by_person": people}}


def numbers(facts: Any) -> dict[str, float]:
    """What a method reports about itself, as plain numbers.

    Raises:
        TypeError: if something of it is no number.
    """
    if not isinstance(facts, Mapping):
        raise TypeError(f"facts are a {type(facts).__name__}, wanted a dict of numbers by name")
    for key, value in facts.items():
        if not isinstance(key, str) or not isinstance(value, Real):
            raise TypeError(f"the fact {key!r} is a {type(value).__name__}, wanted a number by a name")
    return {printable(key): float(value) for key, value in facts.items()}


def warned(messages: Iterable[Warning | str]) -> list[str]:
    """Warnings as texts that can be kept, each once."""
    return sorted({_said(message) for message in messages})


def _said(warning: Warning | str) -> str:
    try:
        return printable(str(warning))
    except Exception:
        return type(warning).__name__

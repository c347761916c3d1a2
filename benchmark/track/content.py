"""What is written of a run, whoever writes it: plain data that follow from records alone. Needs no mlflow."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from kdbench.results.record import Record
from kdbench.track.names import FEW, allowed, text

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

LAYOUT = 2
"""Version of what is written; another one is written anew."""


@dataclass(frozen=True)
class Point:
    """A value of a metric; ``when`` in milliseconds since 1970."""

    name: str
    value: float
    when: int
    step: int = 0
    last: bool = False
    """Whether it is of the finished run rather than of an epoch."""
    model: bool = False
    """Whether it is shown at the model too."""


@dataclass(frozen=True)
class Model:
    """A logged model.

    Args:
        name: what it is called.
        files: texts of its folder by path.
        weights: the file of its weights, which lies in its folder as ``data/student.pt``.
    """

    name: str
    files: Mapping[str, str]
    weights: Path


@dataclass(frozen=True)
class Run:
    """A run with all that is written of it.

    Args:
        key: what it is known by in its experiment.
        stamp: another one where anything else is another.
        name: for people.
        status: of MLflow.
        started: milliseconds since 1970.
        ended: likewise.
        tags: texts by name.
        params: values by name.
        points: metrics.
        files: artifacts, texts by path.
        model: what was deployed; None where there is none.
    """

    key: str
    stamp: str
    name: str
    status: Status
    started: int
    ended: int
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    points: Sequence[Point] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    model: Model | None = None


@dataclass(frozen=True)
class Known:
    """A run that is there.

    Args:
        run: its number.
        key: what it is known by in its parent.
        stamp: of what was written.
        ended: whether it was written to its end.
    """

    run: str
    key: str
    stamp: str
    ended: bool


@dataclass(frozen=True)
class Input:
    """A dataset as MLflow has it.

    Args:
        name: what tables call it.
        digest: of its windows, 36 characters at most.
        source: where it is from, as JSON.
        schema: what a window is, as JSON.
        profile: how much there is, as JSON.
    """

    name: str
    digest: str
    source: str
    schema: str
    profile: str


def times(record: Record) -> tuple[int, int]:
    """When a cell was begun and finished, in milliseconds since 1970, as if it had never been stopped between."""
    ended = int(1000 * datetime.fromisoformat(record.finished).timestamp())
    return ended - int(1000 * record.seconds), ended


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted parameters."""
    if not isinstance(value, Mapping):
        return {prefix.removesuffix("."): value}
    return {k: v for key, inner in value.items() for k, v in flat(inner, f"{prefix}{key}.").items()}


def number(value: object) -> float | None:
    """A value as a number; None where it is none."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def parameters(run: Run) -> dict[str, str]:
    """Of a parent run, as MLflow takes them."""
    return {key: text(value) for key, value in list(run.params.items())[:FEW]}


def metric_names(points: Sequence[Point]) -> tuple[dict[str, str], dict[str, str]]:
    """What MLflow calls each metric; and where that is another name, whose it is."""
    names = allowed(point.name for point in points)
    return names, {plain: name for name, plain in names.items() if plain != name}


def model_link(experiment: str, number: str, model: Model | None) -> str:
    """A link to a model: the page of a run shows the run's own artifacts and not where its model is."""
    return f"Model: [{model.name if model else ''}](#/experiments/{experiment}/models/{number})"


def fill(folder: Path, files: Mapping[str, str], weights: Path | None = None) -> None:
    """Write files into a folder; weights become another name of the store's file where the disk allows it."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", errors="backslashreplace", newline="")
    if weights is not None:
        path = folder / "data" / "student.pt"
        with suppress(OSError):
            path.hardlink_to(weights)
            return
        shutil.copyfile(weights, path)

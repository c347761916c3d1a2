"""Made-up records and entries."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from kdbench.results import SCHEMA, Asked, Entry, Freshness, Place, Record, RowRole, Status

MakeRecord = Callable[..., Record]
MakeEntry = Callable[..., Entry]


@pytest.fixture
def asked() -> Asked:
    """What the made-up records are of."""
    return Asked("subject-v1", "har")


@pytest.fixture
def make_record() -> MakeRecord:
    def make(**changes: Any) -> Record:
        plain = Record(
            schema=SCHEMA,
            digest="abc",
            cell={"protocol": "subject-v1", "recipe": {"name": "har", "epochs": 120}, "taps": [1, 2]},
            kind="logit",
            status="done",
            reason=None,
            side="test",
            metrics={"student": {"accuracy": 0.5, "class_f1": [0.1, 0.2]}},
            facts={"beta": 0.25},
            costs={"parameters": 10.0},
            warnings=["slow"],
            seconds=1.5,
            peak_memory=1024,
            device="cpu",
            versions={"torch": "2.13"},
            sources={"kd": "f00"},
            commit=None,
            finished="2026-01-02T03:04:05+00:00",
        )
        return replace(plain, **changes)

    return make


@pytest.fixture
def make_entry(make_record: MakeRecord) -> MakeEntry:
    """``make("kd", seed, value)``: a done entry with that accuracy and macro-F1; other statuses with value None."""

    def make(
        row: str,
        seed: int,
        value: float | None,
        *,
        record: dict[str, Any] | None = None,
        status: Status | None = None,
        reason: str | None = None,
        freshness: Freshness = Freshness.FRESH,
        **changes: Any,
    ) -> Entry:
        role = {"teacher": RowRole.TEACHER, "student alone": RowRole.STUDENT}.get(row, RowRole.METHOD)
        block = {"dataset": "uci_har", "pair": "big:small"} | changes
        teacher, student = block["pair"].split(":")
        digest = f"{block['dataset']}-{block['pair']}-{row}-{seed}"
        metrics = {"student": {"accuracy": value, "macro_f1": value}}
        done = None if value is None else make_record(**{"digest": digest, "metrics": metrics} | (record or {}))
        where: dict[str, Any] = {
            "row": row,
            "network": teacher if role is RowRole.TEACHER else student,
            "seed": seed,
            "kind": "logit" if role is RowRole.METHOD else "reference",
            "role": role,
        }
        status = status or ("missing" if value is None else "done")
        return Entry(Place(**where | block), status, reason, freshness, done)

    return make


@pytest.fixture
def make_run(make_entry: MakeEntry) -> MakeEntry:
    """``make("kd", seed, [0.5, 0.7])``: a done entry with accuracy and F1 of each person, and their mean for all."""

    def make(row: str, seed: int, scores: Sequence[float], *, names: Sequence[str] = (), **changes: Any) -> Entry:
        overall = math.fsum(scores) / len(scores)
        known = names or [str(number + 1) for number in range(len(scores))]
        by_person = {name: {"accuracy": v, "f1": v, "windows": 10} for name, v in zip(known, scores, strict=True)}
        student = dict.fromkeys(("accuracy", "macro_f1", "person_accuracy", "person_f1"), overall)
        metrics = {"student": student | {"by_person": by_person}}
        return make_entry(row, seed, overall, **{"record": {"metrics": metrics}} | changes)

    return make

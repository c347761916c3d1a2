"""`stats` and `compare` on real, tiny runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdbench.errors import KdbenchError
from kdbench.results.metrics import by_person
from kdbench.results.pages import alarms
from kdbench.session import Session, runtime
from kdbench.spec.selection import Selection
from kdbench.store.entries import entries
from kdbench.store.records import Store


@pytest.fixture
def session(tmp_path: Path, cache: Path) -> Session:
    """Five seeds of two rows on eight test people."""
    chosen = Selection(
        datasets=("synthetic(people=28, windows=2, length=32)",),
        pairs=("mlp(hidden=8):mlp(hidden=4)",),
        methods=("kd",),
        seeds="5",
        settings=("recipe.epochs=1",),
    )
    found = Session(chosen, runtime(store=tmp_path / "runs", cache=cache, device="cpu"), say=lambda line: None)
    assert found.run(jobs=1, track=False).exit_code == 0
    return found


def test_runs_say_how_each_person_fares_and_old_ones_are_completed(session: Session) -> None:
    plan, store = session._kept(), session.store
    for entry in entries(plan, store):
        assert entry.record is not None
        kept = store.predictions(entry.record.digest)
        people = entry.record.metrics["student"]["by_person"]
        assert people == by_person(kept["logits"], kept["y"], kept["person"])
        assert np.mean([each["f1"] for each in people.values()]) == pytest.approx(
            entry.record.metrics["student"]["person_f1"]
        )
        path = store.folder(entry.record.digest) / "record.json"
        plain = json.loads(path.read_text())
        del plain["metrics"]["student"]["by_person"], plain["check"]  # as an older kdbench wrote it
        path.write_text(json.dumps(plain))
        assert Store(store.root).record(entry.record.digest) != entry.record
    again = entries(plan, store)
    assert all(entry.record and entry.record.metrics["student"]["by_person"] for entry in again)
    for entry in again:
        assert entry.record is not None
        (store.folder(entry.record.digest) / "predictions.npz").unlink()
    assert "nothing is known of single people" in session.table("markdown", ("macro_f1",))
    with pytest.raises(KdbenchError, match="cannot be compared person by person"):
        session.compare("kd", "student alone", "macro_f1")


def test_statistics_alarms_and_comparisons_are_told_as_text_and_as_json(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms, "PEOPLE", {6: 20})  # the thousands of a real check take half a minute
    text = session.stats("accuracy")
    assert "## Methods" in text
    assert "## All pairs" in text
    assert "No test over ranks and no critical-difference diagram: 1 group of people, 5 are wanted." in text
    content: dict[str, Any] = json.loads(session.stats("accuracy", "json"))
    methods = next(part for part in content["parts"] if not isinstance(part, str))
    assert [row["method"] for row in methods["rows"]] == ["student alone", "kd"]
    assert "## A method beside itself" in session.alarms("accuracy")
    compared = session.compare("kd", "student alone", "accuracy")
    assert "kd against student alone: " in compared
    assert compared.count("| synthetic") == 8
    same = session.compare_with(session, "kd", "accuracy")
    assert "0.0 points over 8 people and 5 seeds" in same
    assert "practically equal" in same


def test_what_cannot_be_compared_is_one_line(session: Session) -> None:
    with pytest.raises(KdbenchError, match=r"no 'kdd' in rows \(did you mean 'kd'\?\)"):
        session.compare("kdd", "kd", "accuracy")
    with pytest.raises(KdbenchError, match="no 'f2' in metrics"):
        session.stats("f2")
    with pytest.raises(KdbenchError, match="not one of single people"):
        session.compare("kd", "student alone", "calibration_error")
    with pytest.raises(KdbenchError, match="found none"):
        session.alarms("calibration_error")

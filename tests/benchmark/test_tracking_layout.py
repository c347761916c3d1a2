"""What is written where: experiments that stay small, a model that can be loaded, trials beside the matrices."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdbench.catalog.find import NETWORKS
from kdbench.session import Session
from kdbench.spec.selection import Selection
from kdbench.track import student, trials
from kdbench.track.block import described
from kdbench.track.layout import groups, key_of
from kdbench.track.pictures import confusion_picture
from kdbench.track.target import Target
from kdbench.tune.knob import Knob
from kdbench.tune.ledger import Ledger, plain_knobs


def ask(root: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"{(root / 'mlflow.db').as_uri()}?mode=ro", uri=True)) as base:
        return base.execute(query).fetchall()


def test_no_experiment_has_more_runs_than_agreed_and_every_place_stands_once(selection: Selection, where: Any) -> None:
    pair = selection.pairs[0]
    many = replace(selection, seeds="7", pairs=(pair, pair.replace("hidden=16", "hidden=8")))
    plan = Session(many, where).plan()
    assert len(groups(plan)) == 2
    assert {group.experiment for group in groups(plan)} == {1}
    for limit in (100, 30, 29, 12):
        found = groups(plan, limit)
        for number in {group.experiment for group in found}:
            assert sum(1 + len(group.places) for group in found if group.experiment == number) <= limit
        listed = [planned for group in found for planned in group.places]
        assert sorted(key_of(each.place) for each in listed) == sorted(key_of(each.place) for each in plan.places)
        assert len({group.key for group in found}) == len({group.name for group in found}) == len(found)


def test_a_description_has_the_answer_first_and_no_html() -> None:
    from kdbench.results.sheet import Cell, Column, Page, Sheet
    from kdbench.results.tables.model import Standing

    sheet = Sheet(
        (Column("score"),), ((Cell(1.0, "1.0", standing=Standing.SECOND),),), "A title", "underlined: the next."
    )
    text = described(Page("a page", (sheet, "The answer.")))
    assert text.startswith("The answer.\n\n### A title\n\n| score |\n")
    assert text.endswith("| *1.0* |\n\nitalic: the next.")
    long = described(Page("a page", (replace(sheet, caption="x" * 6000), "The answer.")))
    assert long == "The answer.\n\nThe whole table is among the artifacts: table/table.md."


def test_a_confusion_matrix_is_a_picture_with_its_counts_and_no_markup_in_names() -> None:
    from xml.etree import ElementTree

    drawn = ElementTree.fromstring(confusion_picture([[3, 1], [0, 0]], ["up & <b>down</b>", "x" * 40]))
    texts = [each.text for each in drawn.iter() if each.text and each.text.strip()]
    assert [text for text in texts if text.isdecimal()] == ["3", "1", "0", "0"]
    assert "up & <b>down</b>" in texts
    assert f"{'x' * 23}…" in texts


@pytest.fixture
def tracked(forks: Any, sizes: Any, copy: Path) -> Path:
    """A store in which something was deployed that is more than the student."""
    assert forks("run", *sizes, "-m", "kd", "-m", "simkd", "-j", 1).code == 0
    return copy


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_logged_model_says_what_it_takes_and_gives_what_its_weights_give(tracked: Path) -> None:
    import mlflow

    rows = ask(tracked, "SELECT model_id, source_run_id FROM logged_models WHERE status = 2")
    assert len(rows) == len(ask(tracked, "SELECT 1 FROM tags WHERE key = 'kdbench.level' AND value = 'child'"))
    for model, run in rows:
        folder = tracked / "mlartifacts" / "models" / model / "artifacts"
        loaded = mlflow.pyfunc.load_model(str(folder))
        [spec], [out] = loaded.metadata.signature.inputs.inputs, loaded.metadata.signature.outputs.inputs
        example = loaded.metadata.load_input_example(str(folder))
        assert (spec.shape[1:], str(spec.type)) == (example.shape[1:], "float32")
        logits = loaded.predict(example.astype(np.float32))
        assert logits.shape[1:] == out.shape[1:]
        [(digest,)] = ask(tracked, f"SELECT value FROM tags WHERE run_uuid = '{run}' AND key = 'kdbench.cell'")
        cell = json.loads((tracked / digest / "record.json").read_text())["cell"]
        if cell["method"]["name"] != "simkd":
            sizes = example.shape[1], example.shape[2], logits.shape[1]
            network = NETWORKS.get(cell["student"]["name"])(*sizes, **cell["student"]["settings"]).eval()
            network.load_state_dict(torch.load(tracked / digest / "student.pt", weights_only=True))
            with torch.no_grad():
                wanted = network(torch.from_numpy(example.astype(np.float32))).logits.numpy()
            np.testing.assert_array_equal(logits, wanted)
        else:
            assert not isinstance(student._load_pyfunc(str(folder / "data"))._network, NETWORKS.get("mlp"))


def trials_of_each_kind(store: Path) -> None:
    """Leave a study in which one trial was done, one failed and one was given up after the first of two folds."""
    knobs = (Knob("weight", 1.0, 0.1, 10.0),)
    study = Ledger(store / "tune" / "journal.log").study("of each kind")
    said = dict.fromkeys(("dataset", "networks", "row", "protocol", "recipe"), "another")
    study.note({**said, "trials": 3, "objective": "a mean", "knobs": plain_knobs(knobs)})
    for _ in range(3):
        study.add(knobs, {"weight": 1.0})
    study.tell(0, 0.5, {"scores": [0.25, 0.75], "seconds": 1.0})
    study.tell(1, None, {"reason": "too much"})
    study.tell(2, None, {"scores": [0.125, None], "seconds": 0.5}, pruned=True)


def test_a_tracked_search_has_a_parent_for_each_study_and_a_child_for_each_trial(forks: Any, store: Path) -> None:
    trials_of_each_kind(store)
    tune = ("tune", "-d", "synthetic(people=3, windows=2, length=32)", "-p", "resnet_lstman(width=0.05):mlp(hidden=16)")
    tune += ("-m", "student_aux", "--no-teacher", "-S", "recipe.epochs=1", "-S", "recipe.batch_size=16")
    ended = forks(*tune, "--trials", "2", "-j", 1, "-o", store.parent / "preset.toml")
    assert ended.code == 0, ended.err
    assert "not tracked" not in ended.err
    assert ask(store, "SELECT name FROM experiments WHERE lifecycle_stage = 'active'") == [("kdbench trials",)]
    levels = (
        "SELECT value, status, count(*) FROM runs JOIN tags USING (run_uuid) WHERE key = 'kdbench.level' GROUP BY 1, 2"
    )
    children = [("child", "FAILED", 1), ("child", "FINISHED", 5), ("child", "KILLED", 1)]
    assert sorted(ask(store, levels)) == [*children, ("parent", "FINISHED", 3)]
    asked = "SELECT key, count(*) FROM params JOIN runs USING (run_uuid) WHERE name LIKE 'trial %' GROUP BY 1"
    assert dict(ask(store, asked))["recipe.learning_rate"] == 4
    asked = "SELECT status, step, value FROM metrics JOIN runs USING (run_uuid) WHERE key = 'fold_macro_f1' "
    known = ask(store, f"{asked} AND name LIKE '%of each kind'")
    assert sorted(known) == [("FINISHED", 0, 0.25), ("FINISHED", 1, 0.75), ("KILLED", 0, 0.125)]


@pytest.mark.slow
def test_a_study_for_which_an_experiment_has_no_room_left_stands_in_the_next_alone(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    knobs = (Knob("weight", 1.0, 0.1, 10.0),)
    ledger = Ledger(store / "tune" / "journal.log")
    said = dict.fromkeys(("dataset", "networks", "row", "protocol", "recipe"), "another")
    monkeypatch.setattr(trials, "LIMIT", 6)
    counted = (
        "SELECT experiments.name, count(*) FROM runs JOIN experiments USING (experiment_id) "
        "WHERE runs.lifecycle_stage = 'active' GROUP BY 1 ORDER BY 1"
    )
    for budget, wanted in ((2, [6]), (4, [5, 5])):  # with their parents
        for name in ("one", "two"):
            study = ledger.study(name)
            study.note({**said, "trials": budget, "objective": "a mean", "knobs": plain_knobs(knobs)})
            for number in range(len(study.trials()), budget):
                study.add(knobs, {"weight": 1.0})
                study.tell(number, 0.5, {"scores": [0.5], "seconds": 1.0})
        trials.write_trials(store, Target(store))
        assert [runs for _, runs in ask(store, counted)] == wanted


@pytest.mark.slow
def test_what_is_tracked_of_a_search_that_was_extended_is_what_track_rebuild_writes(forks: Any, store: Path) -> None:
    knobs = (Knob("weight", 1.0, 0.1, 10.0),)
    study = Ledger(store / "tune" / "journal.log").study("extended")
    said = dict.fromkeys(("dataset", "networks", "row", "protocol", "recipe"), "another")
    seen = []
    for budget in (1, 3):
        study.note({**said, "trials": budget, "objective": "a mean", "knobs": plain_knobs(knobs)})
        for number in range(len(study.trials()), budget):
            study.add(knobs, {"weight": 1.0 + number})
            study.tell(number, 0.5 + 0.1 * number, {"scores": [0.5], "seconds": 1.0})
        assert forks("track", "sync").code == 0
    for command in ("sync", "rebuild"):
        assert forks("track", command).code == 0
        rows = "SELECT name, status, start_time, end_time FROM runs WHERE lifecycle_stage = 'active'"
        seen.append([sorted(ask(store, rows))])
        for table in ("metrics", "params"):
            rows = f"SELECT name, key, value FROM {table} JOIN runs USING (run_uuid) WHERE lifecycle_stage = 'active'"
            seen[-1].append(sorted(ask(store, rows)))
    assert seen[0] == seen[1]
    assert ("extended", "trials", 3.0) in seen[0][1]
    assert ("extended", "trials", "3") in seen[0][2]
    [children] = ask(store, "SELECT count(*) FROM tags JOIN runs USING (run_uuid) WHERE key = 'mlflow.parentRunId'")
    assert children == (3,)

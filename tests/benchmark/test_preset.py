"""A preset: a file of found settings, which rows then have, and say that they have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kdbench.errors import KdbenchError
from kdbench.machine import Runtime
from kdbench.session import Session
from kdbench.spec.preset import Found, Preset
from kdbench.spec.selection import Selection

SMALL, OTHER = "synthetic(people=4, windows=2, length=32)", "synthetic(people=5, windows=2, length=32)"
PAIR, TEACHER = "resnet_lstman(width=0.05):mlp(hidden=16)", "resnet_lstman(width=0.05)"
FOUND = Found(SMALL, PAIR, "kd", {"temperature": 2.5}, {"learning_rate": 3e-5}, 0.9, 0.8, 20, 1, 4, "kd 1")
PRESET = Preset(
    *("mine", "mean macro-F1", 20, 10, "subject-val-v1", (0,), "2026-11-26", {"optuna": "5.0.0"}),
    found=(
        FOUND,
        replace(FOUND, networks=TEACHER, row="teacher alone", settings={}, recipe={"weight_decay": 1e-6}, default=None),
    ),
)


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    path = tmp_path / "preset.toml"
    path.write_text(PRESET.to_toml())
    return path


def session(preset: Path, where: Runtime, dataset: str, *methods: str) -> Session:
    settings = ("recipe.epochs=1", "recipe.batch_size=16")
    chosen = Selection(datasets=(dataset,), pairs=(PAIR,), methods=methods, settings=settings, preset=str(preset))
    return Session(chosen, where, say=lambda line: None)


def test_a_preset_is_what_its_file_says(preset: Path) -> None:
    assert Preset.load(preset) == PRESET
    assert Preset.from_plain(PRESET.plain()) == PRESET


def test_rows_have_what_was_found_and_learn_from_the_tuned_teacher(preset: Path, where: Runtime) -> None:
    plan = session(preset, where, SMALL, "kd", "hmkd").plan()
    cells = {planned.place.row: plan.cells[str(planned.digest)] for planned in plan.places}
    kd, teacher, hmkd = cells["kd"], cells["teacher alone"], cells["hmkd"]
    assert dict(kd.method.settings)["temperature"] == 2.5
    assert (kd.recipe.learning_rate, kd.recipe.weight_decay, kd.recipe.epochs) == (3e-5, 5e-4, 1)
    assert (teacher.recipe.learning_rate, teacher.recipe.weight_decay) == (1e-3, 1e-6)
    assert kd.teacher_cell == teacher.digest
    assert hmkd.recipe.learning_rate == 1e-3
    tuned = {planned.place.row: planned.place.tuned for planned in plan.places}
    assert tuned == {"teacher alone": "tuned", "student alone": "untuned", "kd": "tuned", "hmkd": "untuned"}


def test_a_row_that_states_a_setting_is_another_row(preset: Path, where: Runtime) -> None:
    plan = session(preset, where, SMALL, "kd(temperature=3)").plan()
    assert plan.places[-1].place.tuned == "untuned"
    assert dict(plan.cells[str(plan.places[-1].digest)].method.settings)["temperature"] == 3.0


def test_a_table_says_what_is_tuned_and_on_what(preset: Path, where: Runtime) -> None:
    asked = session(preset, where, OTHER, "kd")
    assert asked.run(jobs=1, track=False).exit_code == 0
    text = asked.table("markdown", ("macro_f1",))
    budget = "one budget for every row: 20 trials of 10 epochs, 4 folds of subject-val-v1, seed 0, 2 of them failed"
    assert f"hyper-parameters: preset mine, found with {budget}; maximised: mean macro-F1; " in text
    assert f"teacher alone, kd: on {OTHER} with settings tuned on {SMALL}." in text
    assert "student alone: untuned." in text
    last = Session(Selection(), where, say=lambda line: None, last=True)  # the preset's file is not needed any more
    preset.unlink()
    assert last.table("markdown", ("macro_f1",)) == text


def test_the_nearest_of_several_is_used(where: Runtime) -> None:
    there = replace(FOUND, dataset=OTHER)
    else_ = replace(FOUND, networks="a:b")
    both = replace(PRESET, found=(else_, there, FOUND))
    assert both.find(SMALL, PAIR, "kd") is FOUND
    assert replace(both, found=(else_, there)).find(SMALL, PAIR, "kd") is there
    assert replace(both, found=(else_,)).find(SMALL, PAIR, "kd") is else_
    assert both.find(SMALL, PAIR, "dkd") is None
    assert else_.note(SMALL, PAIR) == f"for {PAIR} on {SMALL} with settings tuned for a:b on {SMALL}"


def test_what_a_preset_and_an_option_both_say_is_refused(preset: Path) -> None:
    chosen = Selection(datasets=(SMALL,), pairs=(PAIR,), preset=str(preset), settings=("recipe.learning_rate=0.003",))
    with pytest.raises(KdbenchError, match="the preset mine both say it; drop one of them"):
        chosen.matrix()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("trials = 20\nep", "trails = 20\nep"), "no 'trails' in keys of a preset"),
        (lambda text: text.replace('date = "2026-11-26"\n', ""), "a preset lacks 'date'"),
        (lambda text: text.replace("trials = 20", 'trials = "20"'), "a preset: trials='20', wanted int"),
        (lambda text: text.replace("temperature = 2.5", "temperature = [1]"), "kd: temperature=[1], wanted a text"),
        (lambda text: text.replace("value = 0.9", 'value = "x"'), "a preset's [[found]]: value='x', wanted float"),
        (lambda text: text.partition("[[found]]")[0], "a preset lacks 'found'"),
        (lambda text: text + "oops", "preset "),
        (lambda text: text + "x = " + "[" * 100_000, "preset "),
        (lambda text: text.replace("learning_rate = 3e-05", "epochs = 1"), "kd: no 'epochs' in settings of a recipe"),
        (
            lambda text: text + "\n[[found]]" + text.split("[[found]]")[1],
            f"a preset has kd for {PAIR} on {SMALL} twice",
        ),
        (
            lambda text: text.replace("trials = 20\nfailed", "trials = 1\nfailed", 1),
            f"a preset of 20 trials for every row: kd for {PAIR} on {SMALL} has 1",
        ),
    ],
)
def test_a_preset_that_is_none_is_refused_in_one_line(preset: Path, change: Any, said: str) -> None:
    preset.write_text(change(preset.read_text()))
    with pytest.raises(KdbenchError) as caught:
        Preset.load(preset)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_found_setting_that_the_method_lacks_is_one_line(preset: Path, where: Runtime) -> None:
    preset.write_text(preset.read_text().replace("temperature", "heat"))
    with pytest.raises(KdbenchError, match="no 'heat' in settings of kd"):
        session(preset, where, SMALL, "kd").plan()

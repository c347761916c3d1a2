"""Defaults beside found settings in one table: which row gained from tuning, against what, and taught by whom."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kdbench.spec.preset import Found, Preset

SMALL = "synthetic(people=6, windows=2, length=32)"
PAIR, TEACHER, STUDENT = "resnet_lstman(width=0.05):mlp(hidden=16)", "resnet_lstman(width=0.05)", "mlp(hidden=16)"
ASK = ("-d", SMALL, "-p", PAIR, "-m", "kd", "--seeds", 2, "-S", "recipe.epochs=1", "-S", "recipe.batch_size=16")
RUN = ("run", *ASK, "--no-track", "-j", 1)
KD = Found(SMALL, PAIR, "kd", {"temperature": 2.5}, {"learning_rate": 1e-2}, 0.9, 0.8, 20, 0, 4, "kd 1")
ALONE = replace(KD, networks=STUDENT, row="student alone", settings={})
TAUGHT = replace(KD, networks=TEACHER, row="teacher alone", settings={})


def preset(path: Path, *found: Found) -> Path:
    versions = {"optuna": "5.0.0"}
    made = Preset("mine", "mean macro-F1", 20, 1, "subject-val-v1", (0,), "2026-11-26", versions, found=found)
    path.write_text(made.to_toml())
    return path


@pytest.fixture
def ran(call: Any, tmp_path: Path) -> Path:
    """A store with the matrix run with defaults, and with all but the teacher tuned."""
    assert call(*RUN).code == 0
    assert call(*RUN, "--preset", preset(tmp_path / "preset.toml", KD, ALONE)).code == 0
    return tmp_path


def test_the_gain_from_tuning_is_the_seed_matched_difference_of_both_runs(ran: Path, call: Any) -> None:
    def scores(*given: str | Path) -> dict[tuple[str, str], float]:
        lines = csv.DictReader(io.StringIO(call("table", *ASK, *given, "--format", "csv").out))
        return {(line["row"], line["seed"]): float(line["macro_f1"]) for line in lines}

    default, tuned = scores("-c", "quick"), scores("--preset", ran / "preset.toml")
    text = call("table", "--beside-default", "--format", "csv", "--metric", "macro_f1").out
    lines = {line["method"]: line for line in csv.DictReader(io.StringIO(text))}
    assert lines.keys() == {"teacher alone", "student alone", "kd"}
    for row, line in lines.items():
        seeds = [tuned[row, seed] - default[row, seed] for seed in ("0", "1")]
        assert float(line["from tuning"]) == pytest.approx(sum(seeds) / 2)
    assert float(lines["teacher alone"]["from tuning"]) == 0
    assert float(lines["kd"]["from tuning"]) != 0
    gain = [tuned["kd", seed] - tuned["student alone", seed] for seed in ("0", "1")]
    assert float(lines["kd"]["tuned gain"]) == pytest.approx(sum(gain) / 2)


def test_over_several_blocks_the_average_comes_first_and_p_is_corrected_over_its_rows(
    call: Any, tmp_path: Path
) -> None:
    other = SMALL.replace("people=6", "people=9")
    ask = (*RUN, "-d", other)
    found = preset(tmp_path / "preset.toml", KD, ALONE, replace(KD, dataset=other), replace(ALONE, dataset=other))
    assert call(*ask).code == 0
    assert call(*ask, "--preset", found).code == 0
    text = call("table", "--beside-default", "--format", "csv", "--metric", "macro_f1").out
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["dataset"] for line in lines] == [name for name in ("average", SMALL, other) for _ in range(3)]
    for number, line in enumerate(lines[:3]):
        for key in ("default mean", "tuned mean", "from tuning"):
            each = [float(lines[number + block][key]) for block in (3, 6)]
            assert float(line[key]) == pytest.approx(sum(each) / 2)
        assert line["95 % interval"]
    for block in (lines[:3], lines[3:6], lines[6:]):
        ordered = sorted((float(line["p"]), float(line["adjusted p"])) for line in block)
        least = [min(1.0, p * (3 - rank)) for rank, (p, _) in enumerate(ordered)]
        assert [adjusted for _, adjusted in ordered] == pytest.approx([max(least[: n + 1]) for n in range(3)])
    page = call("table", "--beside-default").out
    assert page.index("## Macro-F1, average over 2 blocks") < page.index(f"## Macro-F1 on {SMALL}")
    assert "p at most 0.05 over people and seeds, Holm's correction over the rows of a sheet): " in page
    assert "average over 2 blocks: no row" in page or "average over 2 blocks: kd" in page


def test_the_page_says_what_is_shown_and_who_taught(ran: Path, call: Any) -> None:
    text = call("table", "--beside-default").out
    assert f"## Macro-F1 on {SMALL}, {PAIR}" in text
    assert "What tuning is shown to change (macro-F1, points by the mean over people; p at most 0.05 over" in text
    assert "The same teachers taught in both runs." in text
    assert "Defaults: Macro-F1 and accuracy in percent" in text
    assert "Tuned: Macro-F1" in text
    assert "preset mine, found with one budget for every row" in text
    assert call("table", "-c", "quick", "--beside-default", *ASK).out == text, "of the run with defaults too"
    assert call(*RUN, "--preset", preset(ran / "other.toml", KD, ALONE, TAUGHT)).code == 0
    assert "The teacher was tuned too, and it is the tuned one that teaches" in call("table", "--beside-default").out


def test_methods_that_are_tuned_against_a_student_that_is_not_are_warned_of(ran: Path, call: Any) -> None:
    warning = "Warning: methods are tuned and student alone, over which they gain, is not."
    assert warning not in call("table").out
    assert warning in call(*RUN, "--preset", preset(ran / "kd.toml", KD)).out


def test_without_a_run_with_a_preset_there_is_nothing_beside_it(call: Any) -> None:
    assert call(*RUN).code == 0
    ended = call("table", "--beside-default")
    assert ended.code == 2
    assert ended.error.startswith("quick was not run with a preset in ")
    assert call("table", "--beside-default", "--costs").code == 2

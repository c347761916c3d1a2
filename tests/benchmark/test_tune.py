"""A search: its trials are the same however they are worked off, its budget is exact, and nothing is run twice."""

from __future__ import annotations

import contextlib
import io
import json
import lzma
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from optuna.samplers import TPESampler

from kdbench.cli import main
from kdbench.cli.tune import STOPPED
from kdbench.commands.studies import kept_studies
from kdbench.results.figures import SliceOfSearch, search_figure
from kdbench.spec.preset import Preset
from kdbench.store.records import Store
from kdbench.tune.claims import FileClaims
from kdbench.tune.found import best_of, finished
from kdbench.tune.knob import Knob
from kdbench.tune.ledger import BATCH, SAMPLING, Ledger, Trial, draw, importances, plain_knobs
from kdbench.tune.pruning import behind

PUBLISHED = Path(__file__).resolve().parents[2] / "results" / "published"
TRIALS = 2 * BATCH + 2
"""More than are drawn at random, and no whole number of batches."""

ROWS = ("-d", "synthetic(people=3, windows=2, length=32)", "-p", "resnet_lstman(width=0.05):mlp(hidden=16)")
ROWS += ("-m", "student_aux", "--no-teacher", "-S", "recipe.epochs=1", "-S", "recipe.batch_size=16")
"""Two rows without a teacher: the student alone and one that needs none."""


def trials_of(store: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Number, settings and value of every trial of every study."""
    with kept_studies(store, None) as studies:
        return {study.name: [(t.number, t.settings, t.state, t.value) for t in study.trials()] for study in studies}


def found_in(path: Path) -> Any:
    return Preset.load(path).found


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A folder with the store and the preset of a search in one process. Not to be written."""
    folder = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setenv("KDBENCH_CACHE", str(cache))
        places = ("--store", str(folder / "runs"), "-o", str(folder / "preset.toml"))
        with contextlib.redirect_stderr(io.StringIO()), pytest.raises(SystemExit) as end:
            main.main(args=["tune", *ROWS, "-j", "1", "--trials", str(TRIALS), *places], prog_name="kdbench")
    assert not end.value.code
    return folder


@pytest.fixture
def tune(store: Path, tmp_path: Path) -> tuple[str | Path, ...]:
    return ("tune", *ROWS, "--trials", str(TRIALS), "-o", tmp_path / "preset.toml")


def test_every_row_has_exactly_its_budget_and_the_first_trial_has_the_defaults(unbroken: Path) -> None:
    for study, trials in trials_of(unbroken / "runs").items():
        assert [number for number, *_ in trials] == list(range(TRIALS)), study
        assert {state for *_, state, _ in trials} == {"done"}
        assert trials[0][1]["recipe.learning_rate"] == 1e-3
        assert len({str(settings) for _, settings, *_ in trials}) == TRIALS, "a trial was drawn twice"
    preset = Preset.load(unbroken / "preset.toml")
    assert {found.row for found in preset.found} == {"student alone", "student_aux"}
    assert {(found.trials, found.failed, found.folds) for found in preset.found} == {(TRIALS, 0, 2)}
    assert all(found.default is not None and found.value >= found.default for found in preset.found)
    assert preset.versions.keys() >= {"optuna", "torch", "kdbench"}


def test_a_search_stopped_and_extended_has_the_same_trials(
    unbroken: Path, call: Any, tune: Any, store: Path, tmp_path: Path
) -> None:
    assert call(*tune, "-j", 1, "--trials", 3).code == 0
    assert {len(trials) for trials in trials_of(store).values()} == {3}
    assert call(*tune, "-j", 1).code == 0
    assert trials_of(store) == trials_of(unbroken / "runs")
    assert found_in(tmp_path / "preset.toml") == found_in(unbroken / "preset.toml")


def test_two_worker_processes_have_the_same_trials(unbroken: Path, forks: Any, tune: Any, store: Path) -> None:
    ended = forks(*tune, "-j", 2)
    assert ended.code == 0, ended.err
    assert trials_of(store) == trials_of(unbroken / "runs")


def test_two_processes_share_a_search(unbroken: Path, forks: Any, tune: Any, store: Path) -> None:
    both = [forks.begin(*tune, "-j", 1) for _ in range(2)]
    ended = [process.wait() for process in both]
    assert [each.code for each in ended] == [0, 0], [each.err for each in ended]
    assert trials_of(store) == trials_of(unbroken / "runs")
    told = Counter(line for each in ended for line in each.err.splitlines() if ": trial " in line)
    assert len(told) == 2 * TRIALS
    assert set(told.values()) == {1}, "a trial was run by both"
    assert all(": trial " in each.err for each in ended), "one of them did nothing"


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_search_killed_at_random_moments_goes_on_to_the_same_end(
    unbroken: Path, forks: Any, tune: Any, store: Path, tmp_path: Path, kills: int
) -> None:
    moments = random.Random(12)
    for number in range(kills):
        process = forks.begin(*tune, "-j", 1 + number % 2)
        time.sleep(moments.uniform(0.1, 1.0))
        process.kill(signal.SIGKILL)
        process.wait()
    ended = forks(*tune, "-j", 1)
    assert ended.code == 0, ended.err
    assert trials_of(store) == trials_of(unbroken / "runs")
    assert found_in(tmp_path / "preset.toml") == found_in(unbroken / "preset.toml")


def test_a_search_is_replayed_from_records_without_training(
    unbroken: Path, call: Any, tune: Any, store: Path, cells: Any
) -> None:
    copied = subprocess.run(["cp", "-r", str(unbroken / "runs"), str(store)], check=False)
    assert copied.returncode == 0
    (store / "tune" / "journal.log").unlink()
    before = {cell.name: (cell / "record.json").stat().st_mtime_ns for cell in cells(store)}
    assert call(*tune, "-j", 1).code == 0
    assert {cell.name: (cell / "record.json").stat().st_mtime_ns for cell in cells(store)} == before
    assert trials_of(store) == trials_of(unbroken / "runs")


FRAGILE = '''
import os
from typing import Annotated

from kdbench.architectures import Range
from kdbench.methods import Method, cross_entropy


class Fragile(Method):
    """Cross-entropy that breaks where its weight is above a half."""

    kind = "logit"
    roles = ("absent",)

    def __init__(self, setup, *, weight: Annotated[float, Range(0, 1, search=(0.0, 1.0))] = 0.25):
        super().__init__(setup)
        self.weight = weight

    def rounds(self, batch, nets):
        if self.weight > 0.5:
            with open(os.environ["BROKEN"], "a") as file:
                file.write(f"{self.weight}\\n")
            raise RuntimeError("too much")
        yield {"hard": cross_entropy(nets.student(batch).logits, batch.y)}
'''


def test_a_trial_that_breaks_is_tried_once_more_and_then_counts_as_failed(
    forks: Any, plug: Any, tmp_path: Path, store: Path
) -> None:
    path = plug("fragile", FRAGILE, "kdbench.methods: fragile = fragile:Fragile")
    where = {"path": [path], "env": {"BROKEN": str(tmp_path / "broken")}}
    rows = [*ROWS[:4], "-m", "fragile", *ROWS[6:]]
    ended = forks("tune", *rows, "-j", 1, "--trials", 6, "-o", tmp_path / "preset.toml", **where)
    assert ended.code == 0, ended.err
    with kept_studies(store, None) as studies:
        (study,) = (study for study in studies if study.facts["row"] == "fragile")
    trials = study.trials()
    assert len(trials) == 6
    failed = {str(trial.settings["weight"]) for trial in trials if trial.state == "failed"}
    assert failed == {str(trial.settings["weight"]) for trial in trials if float(trial.settings["weight"]) > 0.5}
    assert failed
    folds = study.facts["folds"]
    assert Counter((tmp_path / "broken").read_text().split()) == dict.fromkeys(failed, 2 * folds)
    status = forks("tune", "status", **where).out
    assert f"fragile {study.name[-8:]}: 6/6 trials, {len(failed)} failed" in status
    assert "failed: RuntimeError: too much (fragile.py" in status
    (found,) = (found for found in found_in(tmp_path / "preset.toml") if found.row == "fragile")
    assert (found.trials, found.failed) == (6, len(failed))
    assert float(found.settings["weight"]) <= 0.5


KNOBS = (
    Knob("weight", 1.0, 0.1, 10.0, log=True),
    Knob("order", 2, 1, 6, whole=True),
    Knob("kind", "a", choices=("a", "b")),
)


def test_what_a_trial_draws_hangs_on_earlier_batches_alone() -> None:
    trials: list[Trial] = []
    for number in range(4 * BATCH):
        settings = draw(KNOBS, trials, number, seed=3)
        trials.append(Trial(number, settings, "done", -abs(float(settings["weight"]) - 2), {}))
    for number, trial in enumerate(trials):
        begin = number - number % BATCH
        own = [Trial(t.number, t.settings, "running", None, {}) for t in trials[begin:number]]
        assert draw(KNOBS, [*trials[:begin], *own], number, seed=3) == trial.settings
        assert draw(KNOBS, trials, number, seed=3) == trial.settings
    late = 3 * BATCH
    worse = [Trial(t.number, t.settings, "done", -float(t.value or 0), {}) for t in trials]
    assert draw(KNOBS, worse, late, seed=3) != trials[late].settings, "values do not matter"
    assert draw(KNOBS, trials, 1, seed=4) != trials[1].settings


def test_importances_are_told_where_trials_tell_them_and_else_left_open() -> None:
    settings = [draw(KNOBS, [], number, seed=3) for number in range(12)]

    def judged(values: list[float]) -> dict[str, float]:
        pairs = enumerate(zip(settings, values, strict=True))
        return importances(KNOBS, [Trial(number, each, "done", value, {}) for number, (each, value) in pairs])

    told = judged([-abs(float(each["weight"]) - 2) for each in settings])
    assert sum(told.values()) == pytest.approx(1)
    assert max(told, key=told.__getitem__) == "weight"
    assert judged([0.5] * 12) == {}
    assert judged([0.5] * 11 + [0.6]) == {}, "its good trials are all that there are"


def test_no_argument_of_the_sampler_is_left_to_a_default_but_those_that_optuna_is_about_to_drop() -> None:
    told = {name: each.default for name, each in signature(TPESampler).parameters.items()}
    deprecated = {"consider_prior", "prior_weight", "consider_magic_clip", "consider_endpoints", "gamma", "weights"}
    deprecated |= {"warn_independent_sampling"}
    assert told.keys() - deprecated - {"constraints_func"} == (SAMPLING.keys() - {"sampler"}) | {"seed"}
    assert {told[name] for name in deprecated} == {None}, "what is None may not be given without a warning"


def test_a_half_written_line_of_the_journal_is_dropped(tmp_path: Path) -> None:
    journal = tmp_path / "journal.log"
    study = Ledger(journal).study("a")
    study.note({"knobs": plain_knobs(KNOBS)})
    study.add(KNOBS, draw(KNOBS, [], 0, 0))
    with journal.open("a") as file:
        file.write('{"op_code": 4, "work')
    again = Ledger(journal).study("a")
    again.tell(0, 0.5, {"scores": [0.5]})
    (trial,) = Ledger(journal).study("a").trials()
    assert (trial.state, trial.value, trial.facts) == ("done", 0.5, {"scores": [0.5]})


def test_a_claim_is_held_by_one_and_goes_with_its_holder(tmp_path: Path, forks: Any, until: Any) -> None:
    code = f"""
import pathlib, time
from kdbench.tune.claims import FileClaims
from kdbench.tune.found import best_of, finished
claims = FileClaims(pathlib.Path({str(tmp_path / "claims")!r}))
assert claims.take("a")
pathlib.Path({str(tmp_path / "held")!r}).touch()
time.sleep(100)
"""
    process = forks.start(code)
    until((tmp_path / "held").exists, "the other process's claim")
    claims = FileClaims(tmp_path / "claims")
    assert claims.take("b")
    assert not claims.take("a")
    process.kill(signal.SIGKILL)
    process.wait()
    assert claims.take("a")
    claims.close()


def test_a_preview_trains_nothing_and_tells_what_is_left(call: Any, store: Path, tune: Any, unbroken: Path) -> None:
    text = call(*tune, "--dry-run").out
    assert f"2 rows to tune, {TRIALS} trials each, {4 * TRIALS} cells" in text
    assert f"student_aux: 0/{TRIALS} trials done, {2 * TRIALS} cells to run; searched: aux_weight" in text
    assert not store.exists()
    text = call(*tune, "--dry-run", "--store", unbroken / "runs", "--trials", TRIALS + 1).out
    assert f"{TRIALS}/{TRIALS + 1} trials done, 2 cells to run, about" in text
    assert re.fullmatch(r"how long: about 0:00:\d\d, \d+ at a time, from what .*", text.splitlines()[-1])


def test_a_preview_knows_the_teacher_that_was_found_and_another_one_begins_its_rows_anew(
    call: Any, tmp_path: Path, store: Path
) -> None:
    rows = ["-d", "synthetic(people=4, windows=4, length=32)", *ROWS[2:4], "-m", "kd", "-S", "recipe.epochs=4"]
    rows += ["-S", "recipe.batch_size=16", "-j", 1, "--no-track", "-o", tmp_path / "found.toml"]
    assert call("tune", *rows, "--trials", 1).code == 0
    more = call("tune", *rows, "--trials", 6)
    assert more.code == 0
    [teacher] = [found for found in Preset.load(tmp_path / "found.toml").found if found.row == "teacher alone"]
    assert teacher.value > (teacher.default or 0), "else the first teacher was the best, and nothing is seen here"
    assert " kd: 1 trial under another teacher, found with another budget, do not count here\n" in more.err
    assert call("tune", *rows, "--trials", 6, "--dry-run").out.splitlines()[-1] == "all done"
    assert " do not count here" not in call("tune", *rows, "--trials", 6).err
    named = more.err.splitlines()[-1].split("`")[1]
    assert shlex.split(named)[:2] == ["kdbench", "run"]
    assert call("plan", *shlex.split(named)[2:]).code == 0


def test_what_was_found_is_shown_with_how_flat_it_is(call: Any, unbroken: Path, tmp_path: Path) -> None:
    kept = ("--store", unbroken / "runs")
    status = call("tune", "status", *kept).out
    assert status.count(f"{TRIALS}/{TRIALS} trials, best") == 2
    table = call("tune", "table", *kept).out
    assert f"Budget of a row: {TRIALS} trials of 1 epoch, 2 folds of subject-val-v1, seed 0, optuna " in table
    lines = call("tune", "table", *kept, "--format", "csv").out.splitlines()
    assert lines[0].startswith(
        "dataset,networks,row,trials,failed,given up,defaults,best,gain,as good,setting,default,found"
    )
    assert len(lines) == 1 + 2 + 3  # the training's two for each row, and one of the method
    wrote = call("tune", "plot", *kept, "-o", tmp_path / "figures").out
    assert wrote.count("wrote ") == 2
    assert all(path.stat().st_size > 10_000 for path in (tmp_path / "figures").glob("*.png"))


@pytest.mark.slow
def test_trials_given_up_between_folds_are_the_same_however_many_workers(
    forks: Any, tune: Any, store: Path, tmp_path: Path, call: Any
) -> None:
    """Some trials past the first eight are behind the median after one fold; they count, and run no more folds."""
    pruned = [*tune, "--prune", "--trials", 4 * BATCH]
    assert forks(*pruned, "-j", 1).code == 0
    assert forks(*pruned, "-j", 3, "--store", tmp_path / "other").code == 0
    serial = trials_of(store)
    assert serial == trials_of(tmp_path / "other")
    states = Counter(state for trials in serial.values() for _, _, state, _ in trials)
    assert states["pruned"] > 0
    assert sum(states.values()) == 2 * 4 * BATCH
    assert not any(state == "pruned" for trials in serial.values() for _, _, state, _ in trials[: 2 * BATCH])
    assert "given up between folds" in call("tune", "status").out
    assert "given up where below the median between folds" in call("tune", "table").out
    assert " given up between folds, being below the median" in Preset.load(tmp_path / "preset.toml").budget


def test_pruning_would_have_cost_the_published_search_no_setting_and_spared_it_little(tmp_path: Path) -> None:
    """The figures of docs/search.md: the rule, applied to trials that all ran to their end."""
    (tmp_path / "tune").mkdir()
    kept = PUBLISHED / "tuned-cpu" / "records" / "tune" / "journal.log.xz"
    (tmp_path / "tune" / "journal.log").write_bytes(lzma.decompress(kept.read_bytes()))
    trials, given_up, cells, spared, lost = 0, 0, 0, 0, 0
    with kept_studies(tmp_path, None) as studies:
        for study in studies:
            known, best = list[Trial](), best_of(finished(study))
            assert best is not None
            for trial in finished(study):
                scores = trial.facts["scores"]
                folds = range(1, len(scores))
                at = next((k for k in folds if behind(scores[:k], range(k), trial.number, known)), len(scores))
                known.append(trial if at == len(scores) else replace(trial, state="pruned"))
                trials, cells, spared = trials + 1, cells + len(scores), spared + len(scores) - at
                given_up, lost = given_up + (at < len(scores)), lost + (at < len(scores) and trial == best)
    assert (trials, given_up, cells, spared, lost) == (1120, 116, 4480, 307, 0)
    said = (PUBLISHED.parents[1] / "docs" / "search.md").read_text(encoding="utf-8").replace("\n", " ")
    assert f"given up {given_up} of {trials:,} trials, which spares {spared} of {cells:,} trainings" in said


def test_a_trial_is_behind_by_earlier_batches_on_the_same_folds_alone() -> None:
    done = [Trial(number, {}, "done", 0.5, {"scores": [0.1 * number, 0.9]}) for number in range(2 * BATCH)]
    assert behind([0.3], [0], 2 * BATCH, done)
    assert not behind([0.4], [0], 2 * BATCH, done)
    assert behind([0.4, 0.0], [0, 1], 2 * BATCH, done)
    assert not behind([0.0], [0], 2 * BATCH - 1, done), "too few are done before its batch"
    own = Trial(2 * BATCH, {}, "done", 0.9, {"scores": [0.9, 0.9]})
    assert not behind([0.4], [0], 2 * BATCH + 1, [*done, own]), "its own batch counts"


def test_cells_of_older_code_are_refused_until_they_may_be_run_again(
    unbroken: Path, call: Any, tune: Any, store: Path, cells: Any
) -> None:
    subprocess.run(["cp", "-r", str(unbroken / "runs"), str(store)], check=True)
    (store / "tune" / "journal.log").unlink()
    digest = cells(store)[0].name
    record = Store(store).record(digest)
    assert record is not None
    older = replace(record, sources={**record.sources, "loop": "of yesterday"})
    (store / digest / "record.json").write_text(older.to_json())
    ended = call(*tune, "-j", 1)
    assert ended.code == 2
    assert "1 cell in " in ended.err
    assert "of older code than today's" in ended.err
    assert "`kdbench tune --stale` runs them again" in ended.err
    assert call(*tune, "-j", 1, "--stale").code == 0
    again = Store(store).record(digest)
    assert again is not None
    assert again.sources == record.sources
    assert trials_of(store) == trials_of(unbroken / "runs")


def test_reading_a_study_does_not_write_to_it(unbroken: Path, call: Any, tmp_path: Path) -> None:
    journal = unbroken / "runs" / "tune" / "journal.log"
    before = journal.read_bytes()
    for given in (("status",), ("table",), ("plot", "-o", tmp_path / "figures")):
        assert call("tune", *given, "--store", unbroken / "runs").code == 0
    assert journal.read_bytes() == before


def test_the_time_left_is_told_once_a_trial_was_run(call: Any, tune: Any) -> None:
    ended = call(*tune, "-j", 1, "--trials", 2)
    told = [line for line in ended.err.splitlines() if ": trial " in line]
    assert re.search(r"trial 0 \(of 0 to 1\): \d+\.\d\d; about 0:00:\d\d left$", told[0])
    assert told[-1].endswith(tuple("0123456789")), "nothing is left"


def test_ctrl_c_says_how_to_go_on(forks: Any, tune: Any, store: Path, until: Any) -> None:
    process = forks.begin(*tune, "-j", 1)
    until((store / "tune" / "journal.log").exists, "the search")
    process.kill(signal.SIGINT)
    ended = process.wait()
    assert ended.code == 130
    assert ended.err.splitlines()[-1] == STOPPED


@pytest.mark.slow
def test_optuna_dashboard_opens_the_same_journal(unbroken: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    journal = unbroken / "runs" / "tune" / "journal.log"
    code = "from optuna_dashboard._cli import main; main()"
    command = [sys.executable, "-c", code, str(journal), "--host", "127.0.0.1", "--port", str(port)]
    page = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as dashboard:
        try:
            end = time.monotonic() + 60
            while True:
                try:
                    studies = json.load(page.open(f"http://127.0.0.1:{port}/api/studies"))["study_summaries"]
                    break
                except OSError:
                    assert dashboard.poll() is None, "it ended"
                    assert time.monotonic() < end, "it did not start"
                    time.sleep(0.1)
        finally:
            dashboard.terminate()
    assert {study["study_name"] for study in studies} == trials_of(unbroken / "runs").keys()


def test_a_figure_has_numbers_on_its_axes_that_people_can_read(tmp_path: Path) -> None:
    slices = [SliceOfSearch("weight", True, (1e-6, 1e-2), [1e-5, 1e-3], 1e-3, 0.5)]
    slices.append(SliceOfSearch("temperature", True, (1.0, 4.0), [1.5, 3.5], 3.5, 0.5))
    search_figure({0: 0.5, 1: 0.6}, slices, tmp_path / "a.svg", "kd")
    drawn = (tmp_path / "a.svg").read_text()
    assert "<!-- 0.0001 -->" in drawn
    assert "<!-- 2 -->" in drawn, "between 1 and 4 there is one power of ten alone"
    assert "<!-- 0.0002 -->" not in drawn
    assert "mathdefault" not in drawn


def test_studies_are_read_without_torch() -> None:
    code = "import sys, kdbench.commands.studies; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--protocol", "subject-v1"), "protocol subject-v1 judges by test people; a search wants subject-val-v1"),
        (("--storage", "sqlite:///a.db"), "--storage 'sqlite:///a.db', wanted postgresql://USER@HOST/NAME"),
        (("--storage", "mysql://me:secret@host/a"), "--storage 'mysql://me:***@host/a', wanted postgresql://"),
        (("-o", "no/such/folder/preset.toml"), "no/such/folder is no folder that can be written to"),
    ],
)
def test_what_cannot_be_searched_is_one_line(call: Any, tune: Any, options: tuple[str, ...], said: str) -> None:
    ended = call(*tune, *options)
    assert ended.code == 2
    assert ended.error.startswith(said)


def test_options_before_a_command_below_are_refused(call: Any) -> None:
    ended = call("tune", "--store", "mine", "status")
    assert ended.code == 2
    assert "--store belongs behind the command: kdbench tune status --store" in ended.err


def test_without_a_search_there_is_nothing_to_show(call: Any) -> None:
    for command in ("status", "table", "plot"):
        ended = call("tune", command)
        assert ended.code == 2
        assert ended.error.startswith("nothing was tuned in ")

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdbench.errors import KdbenchError
from kdbench.files import fresh_folder, write_whole
from kdbench.machine import Runtime
from kdbench.plan.model import Plan
from kdbench.results import Record
from kdbench.session import Session
from kdbench.spec.matrix import Matrix
from kdbench.spec.selection import Selection
from kdbench.spec.words import Spec
from kdbench.store.artefacts import write_checkpoint, write_weights
from kdbench.store.memory import chosen, matrices, remember, remembered
from kdbench.store.records import Store


@pytest.fixture
def record(done: Path, cells: Callable[[Path], list[Path]]) -> Record:
    found = Store(done).record(cells(done)[0].name)
    assert found is not None
    return found


def test_the_record_is_written_last_so_that_it_means_done(store: Path, record: Record) -> None:
    runs = Store(store)
    write_checkpoint(runs, record.digest, {"epoch": 1})
    runs.write_epoch(record.digest, 1)
    written: list[str] = []
    real = os.replace
    weights, arrays = {"w": torch.zeros(2)}, {"y": np.zeros(2)}

    def noted(source: str, target: Path) -> None:
        written.append(Path(target).name)
        real(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", noted)
        write_weights(runs, record.digest, weights)
        kept = runs.finish(record, curve="epoch\n", predictions=arrays)
    assert written[-1] == "record.json"
    assert set(written) == {path.name for path in runs.folder(record.digest).iterdir()}
    assert runs.record(record.digest) == kept == replace(record, files=kept.files)
    assert set(kept.files) == {"student.pt", "predictions.npz", "curve.csv"}


def test_what_is_forgotten_leaves_nothing_behind(copy: Path, record: Record) -> None:
    runs = Store(copy)
    write_checkpoint(runs, record.digest, {"epoch": 1})
    runs.write_epoch(record.digest, 1)
    runs.write_traceback(record.digest, "somewhere")
    runs.forget(record.digest)
    assert list(runs.folder(record.digest).iterdir()) == []
    runs.forget(record.digest)  # twice does no harm


def test_an_epoch_that_cannot_be_read_is_not_shown(store: Path) -> None:
    runs = Store(store)
    assert runs.epoch("cell") is None
    runs.write_epoch("cell", 3)
    assert runs.epoch("cell") == 3
    (store / "cell" / "epoch").write_text("")
    assert runs.epoch("cell") is None


def named(*names: str) -> list[Matrix]:
    return [Matrix(name, (Spec("synthetic"),), ((Spec("mlp"), Spec("mlp")),), (), (0,)) for name in names]


def order(runs: Store) -> list[str]:
    return [kept.matrix.name for kept in matrices(runs)]


def test_matrices_come_back_the_one_run_last_first(store: Path) -> None:
    runs = Store(store)
    one, two = named("one", "two")
    remember(runs, Plan(one))
    remember(runs, Plan(two))
    assert [kept.matrix for kept in matrices(runs)] == [two, one]
    remember(runs, Plan(one))
    assert [kept.matrix for kept in matrices(runs)] == [one, two]


def test_which_matrix_was_run_last_is_told_by_no_files_time(store: Path) -> None:
    runs = Store(store)
    for matrix in named("one", "two", "three"):
        remember(runs, Plan(matrix))
    for age, path in enumerate(sorted((store / "matrices").iterdir())):
        os.utime(path, (age, age))  # as after a clone, where a file's time is when it was written out
    assert order(runs) == ["three", "two", "one"]


def test_a_clock_that_goes_back_does_not_change_the_order(store: Path) -> None:
    runs = Store(store)
    one, two = named("one", "two")
    path = store / "matrices" / f"{remember(runs, Plan(one))}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "run_at": "2999-01-01T00:00:00+00:00"}))
    remember(runs, Plan(two))
    assert order(runs) == ["two", "one"]


def test_matrices_of_an_older_kdbench_come_last_by_their_newest_record(copy: Path, selection: Selection) -> None:
    runs = Store(copy)
    (kept,) = matrices(runs)
    for matrix in named("aaa", "zzz"):
        remember(runs, Plan(matrix))
    for path in (copy / "matrices").iterdir():
        plain = json.loads(path.read_text())
        path.write_text(json.dumps({key: value for key, value in plain.items() if key != "run_at"}))
    assert order(runs) == ["quick", "zzz", "aaa"]
    assert {kept.at for kept in matrices(runs)} == {None}
    remember(runs, Plan(kept.matrix))
    assert order(runs)[0] == "quick"


def test_a_matrix_is_chosen_by_its_name_its_identity_or_the_beginning_of_one(store: Path) -> None:
    runs = Store(store)
    one, two = named("one", "two")
    identity = remember(runs, Plan(one))
    other = remember(runs, Plan(replace(one, seeds=(0, 1))))
    remember(runs, Plan(two))
    assert chosen(runs, "two").matrix == chosen(runs, "tw").matrix == two
    assert chosen(runs, identity).matrix == chosen(runs, identity[:-1]).matrix == one
    with pytest.raises(KdbenchError, match=f"'one' may be {other}, {identity}; `kdbench list runs`"):
        chosen(runs, "one")
    with pytest.raises(KdbenchError, match=r"no 'three' in the matrices run in .*; known: "):
        chosen(runs, "three")
    with pytest.raises(KdbenchError, match="no matrix was run in "):
        chosen(Store(store / "empty"), "one")


def test_a_plan_comes_back_as_it_was_remembered(store: Path, where: Runtime, selection: Selection) -> None:
    with_reasons = replace(selection, methods=("hmkd", "kd", "at"))  # an MLP has no time axis: n/a
    plan = Session(with_reasons, where).plan()
    assert any(place.reason for place in plan.places)
    runs = Store(store)
    assert remembered(runs, plan.matrix) is None
    remember(runs, plan)
    again = remembered(runs, plan.matrix)
    assert again == plan
    assert list(again.cells) == list(plan.cells)  # teachers first
    assert all(cell.digest == digest for digest, cell in again.cells.items())
    assert remembered(runs, replace(plan.matrix, fallback=Spec("synthetic"))) is not None  # it was not needed


PLACE = '"dataset": "a", "pair": "b:c", "network": "c", "row": "d", "kind": "e", "part": "method", "seed": 0'


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"cells": {}, "places": []}',
        '{"cells": {"a": {}}, "places": []}',
        '{"cells": {}, "places": [{}]}',
        f'{{"cells": {{}}, "places": [{{{PLACE}, "digest": null}}]}}',
        f'{{"cells": {{}}, "places": [{{{PLACE}, "digest": "gone"}}]}}',
    ],
)
def test_a_plan_that_cannot_be_read_is_named(store: Path, content: str) -> None:
    runs = Store(store)
    matrix = Matrix("one", (Spec("synthetic"),), ((Spec("mlp"), Spec("mlp")),), (), (0,))
    path = store / "plans" / f"{remember(runs, Plan(matrix))}.json"
    path.write_text(content)
    with pytest.raises(KdbenchError, match=re.escape(f"{path}: ") + ".*; remove the file"):
        remembered(runs, matrix)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A small study of the user's own."""
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "dataset.toml").write_text(
        'name = "study"\nrate = 50\nclasses = ["walk", "sit"]\nchannels = [{ name = "x", unit = "g" }]\n'
        "[split]\ntest = [3]\n[windows]\n"
    )
    people, labels = np.repeat([1, 2, 3], 8), np.tile([0, 1], 12)
    x = np.random.default_rng(0).normal(size=(24, 1, 16))
    np.savez(folder / "windows.npz", x=x, y=labels, person=people)
    return folder


OWN = ("-p", "mlp(hidden=8):mlp(hidden=4)", "-m", "kd", "-S", "recipe.epochs=1", "-S", "recipe.batch_size=8")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")  # mlflow's own
def test_results_are_read_where_the_data_are_not(
    call: Callable[..., Any], store: Path, study: Path, tmp_path: Path
) -> None:
    job = ("-d", f"own(path={study})", *OWN)
    assert call("run", *job, "--no-track", "-j", 1).code == 0
    questions = [("table",), ("table", "--costs"), ("table", *job), ("status",), ("table", "--format", "csv")]
    before = [call(*question) for question in questions]
    assert all(ended.code == 0 for ended in before)
    study.rename(tmp_path / "elsewhere")
    assert [call(*question) for question in questions] == before
    assert call("track", "rebuild").out == f"wrote 3 runs to {store / 'mlflow.db'}\n"
    gone = f"own: {study} does not exist; wanted a folder that holds dataset.toml"
    other = f"{gone}; without its data a matrix can be read only as it was run here"
    assert call("table", "--seeds", 2).error == other
    (study).mkdir()  # what is there now is no dataset
    assert [call(*question) for question in questions] == before
    study.rmdir()
    assert call("run", *job, "--no-track").error == gone


@pytest.mark.slow
def test_a_dataset_of_ones_own_is_known_by_its_content_and_its_name_wherever_it_lies(
    call: Callable[..., Any], store: Path, study: Path, cells: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study.parent)
    first = call("run", "-d", "own(path=study)", *OWN, "--no-track", "-j", 1)
    assert first.code == 0
    assert "\n# kdbench: knowledge distillation on study\n" in first.out
    assert "Macro-F1 in percent on study" in first.out
    assert str(study) not in first.out
    shutil.copytree(study, study.parent / "moved")
    for path in ("./study", str(study), "moved"):
        again = call("run", "-d", f"own(path='{path}')", *OWN, "--no-track", "-j", 1)
        assert " 3 done before;" in again.err
        assert again.out == first.out
    assert len(cells(store)) == 3
    plan = call("plan", "-d", "own(path=study)", "-d", "own(path=moved)", *OWN)
    assert (plan.code, plan.error) == (
        2,
        "the dataset 'study' stands twice; own(path=moved) calls itself 'study', as another one does",
    )
    toml = study.parent / "moved" / "dataset.toml"
    toml.write_text(toml.read_text().replace('"study"', '"another"'))
    both = call("run", "-d", "own(path=study)", "-d", "own(path=moved)", *OWN, "--no-track", "-j", 1)
    assert both.code == 0
    assert "\n# kdbench: knowledge distillation on study, another\n" in both.out
    assert len(cells(store)) == 6  # another name is another dataset: it draws by its name


def test_a_file_in_the_place_of_the_store_is_refused(store: Path) -> None:
    store.write_text("")
    with pytest.raises(KdbenchError, match="is a file; wanted a folder"):
        Store(store).open_for_writing()


def test_a_store_is_made_with_the_folders_above_it_and_nothing_in_it(tmp_path: Path) -> None:
    Store(tmp_path / "a" / "b").open_for_writing()
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_whoever_reads_while_a_file_is_written_sees_all_of_the_old_or_all_of_the_new(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = {bytes([n]) * 200_000 for n in range(4)}
    write_whole(path, min(contents))
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for content in contents:
                write_whole(path, content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = {path.read_bytes() for _ in range(200)}
    finally:
        stop.set()
        writer.join()
    assert seen <= contents
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("error", [OSError(5, "broken"), KeyboardInterrupt(), ValueError("no")])
def test_a_folder_that_was_not_finished_is_not_there(error: BaseException, tmp_path: Path) -> None:
    def begin(folder: Path) -> Any:
        (folder / "a").write_text("half")
        raise error

    with pytest.raises(type(error)), fresh_folder(tmp_path / "entry") as folder:
        begin(folder)
    assert list(tmp_path.iterdir()) == []

"""A student that sees fewer sensors than its teacher: planned, trained, counted and told."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from kdbench.catalog.build import load_data
from kdbench.machine import Runtime
from kdbench.plan.expand import expand
from kdbench.session import Selection, Session
from kdbench.spec.matrix import Matrix
from kdbench.spec.words import Spec
from kdbench.store.records import Store

DATA = "synthetic(people=4, windows=2, length=32)"
PAIR = "fcn(width=0.05):mlp(hidden=8, channels=acc)"


def test_a_plan_names_what_a_student_sees_and_its_cells_have_it(where: Runtime) -> None:
    pair = (Spec("fcn", {"width": 0.05}), Spec("mlp", {"hidden": 8, "channels": "acc"}))
    matrix = Matrix(name="m", datasets=(Spec.parse(DATA),), pairs=(pair,), methods=(), seeds=(0,))
    plan = expand(matrix, lambda each: load_data(each, where))
    teacher, student = (planned.place for planned in plan.places)
    assert student.network == "mlp(hidden=8, channels=acc)"
    assert (teacher.note, student.note) == ("", "sees 3 of 6 channels: acc_x, acc_y, acc_z")
    said = {dict(cell.student.settings).get("channels") for cell in plan.cells.values()}
    assert said == {None, "acc_x+acc_y+acc_z"}


@pytest.mark.filterwarnings("error::UserWarning")
def test_methods_of_every_kind_teach_a_student_that_sees_less(where: Runtime) -> None:
    chosen = Selection(
        datasets=(DATA,), pairs=(PAIR,), methods=("kd", "simkd", "dml"), recipe="quick", settings=("recipe.epochs=1",)
    )
    session = Session(chosen, where)
    session.run(jobs=1, track=False)
    store = Store(where.store)
    found = {each.place.row: store.record(each.digest) for each in session.plan().places if each.digest}
    records = {row: record for row, record in found.items() if record is not None}
    assert {name: record.status for name, record in records.items()} == dict.fromkeys(records, "done")
    assert len(records) == 5
    hidden, channels, classes = 8, 3, 8
    student = channels * 32 * hidden + 2 * hidden * hidden + 3 * hidden + hidden * classes + classes
    assert records["kd"].costs["parameters"] == student == records["student alone"].costs["parameters"]
    assert records["kd"].costs["multiply_adds"] == channels * 32 * hidden + 2 * hidden * hidden + hidden * classes
    assert records["simkd"].costs["parameters"] != student, "it deploys more than the student"
    assert "student alone: sees 3 of 6 channels: acc_x, acc_y, acc_z" in session.table("markdown", ("macro_f1",))


def test_channels_that_are_not_there_are_refused_in_a_line(call: Any) -> None:
    for command in ("plan", "run"):
        ended = call(command, "-d", DATA, "-p", "fcn:mlp(channels=wrist)")
        assert ended.code == 2
        assert ended.err.startswith("error: synthetic: no 'wrist' in channels of mlp; known: acc, acc_x, acc_y")
        assert len(ended.err.splitlines()) == 1


def test_a_profile_is_of_the_channels_that_are_seen(call: Any) -> None:
    ended = call("profile", "--no-latency", "mlp(hidden=8, channels=acc)", "-d", DATA, "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(ended.out))
    assert float(row["parameters"]) == 3 * 32 * 8 + 2 * 64 + 3 * 8 + 8 * 8 + 8
    assert call("profile", "--no-latency", "mlp(channels=0+1)").code == 0
    refused = call("profile", "--no-latency", "mlp(channels=acc)")
    assert (refused.code, refused.err) == (2, "error: no 'acc' in channels of mlp; known: 0, 1, 2, 3, 4, 5, 6, 7, 8\n")


def test_the_shipped_matrix_teaches_the_wrist() -> None:
    matrix = Matrix.load("fewer_sensors")
    assert {str(student) for _, student in matrix.pairs} == {"mlp(hidden=64, channels=wrist)"}
    assert [str(dataset) for dataset in matrix.datasets] == ["selfback(places=both)"]
    assert (matrix.recipe.name, len(matrix.seeds)) == ("cpu", 3)

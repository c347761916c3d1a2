from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kdbench.catalog.build import load_data
from kdbench.data import PROTOCOLS
from kdbench.errors import KdbenchError
from kdbench.machine import Runtime
from kdbench.plan.expand import expand
from kdbench.plan.model import Plan
from kdbench.spec.matrix import Matrix, MethodRow
from kdbench.spec.recipe import Recipe
from kdbench.spec.words import Spec
from kdbench.store.records import Store

MATRIX = Matrix(
    name="m",
    datasets=(Spec("synthetic", {"people": 4, "windows": 2, "length": 32}),),
    pairs=(
        (Spec("resnet_lstman", {"width": 0.05}), Spec("mlp", {"hidden": 8})),
        (Spec("mlp", {"hidden": 16}), Spec("mlp", {"hidden": 8})),
    ),
    methods=(MethodRow(Spec("kd")), MethodRow(Spec("hmkd")), MethodRow(Spec("hmkd", {"role": "tuned"}), "tuned")),
    seeds=(0, 1),
    recipe=Recipe(name="two", epochs=2),
)


@pytest.fixture
def planned(where: Runtime) -> Callable[[Matrix], Plan]:
    return lambda matrix: expand(matrix, lambda part: load_data(part, where))


def test_the_student_alone_is_trained_once_for_all_its_teachers(planned: Any) -> None:
    plan = planned(MATRIX)
    alone = [planned for planned in plan.places if planned.place.row == "student alone"]
    assert len(alone) == 4
    assert len({place.digest for place in alone}) == 2
    # By seed: one student, two teachers, and three methods with each teacher.
    assert len(plan.cells) == 2 * (1 + 2 + 3 * 2)
    assert len(plan.places) == 2 * 2 * (2 + 3)


def test_a_network_that_is_its_own_teacher_is_one_cell(planned: Any) -> None:
    mlp = Spec("mlp", {"hidden": 8})
    plan = planned(replace(MATRIX, pairs=((mlp, mlp),), methods=()))
    assert len(plan.cells) == 2


def test_whoever_is_taught_comes_after_its_teacher(planned: Any) -> None:
    plan = planned(MATRIX)
    seen: set[str] = set()
    taught = 0
    for digest, cell in plan.cells.items():
        assert cell.digest == digest
        if cell.teacher_cell is not None:
            assert cell.teacher_cell in seen
            assert plan.cells[cell.teacher_cell].seed == cell.seed
            assert plan.cells[cell.teacher_cell].student == cell.teacher
            taught += 1
        seen.add(digest)
    assert taught == 2 * 2 * 2  # kd and tuned


def test_a_peer_has_no_teacher_cell_and_a_tuned_teacher_has(planned: Any) -> None:
    cells = planned(MATRIX).cells.values()
    roles = Counter((cell.role, cell.teacher is None, cell.teacher_cell is None) for cell in cells)
    assert roles == {
        ("absent", True, True): 6,
        ("frozen", False, False): 4,
        ("peer", False, True): 4,
        ("tuned", False, False): 4,
    }


def test_every_default_is_written_out_so_that_saying_it_changes_nothing(planned: Any) -> None:
    said = replace(
        MATRIX,
        methods=(MethodRow(Spec("kd", {"alpha": 0.9, "temperature": 4, "role": "frozen"})), *MATRIX.methods[1:]),
        datasets=(Spec("synthetic", {"seed": 0, "length": 32, "windows": 2, "people": 4}),),
    )
    assert planned(said) == replace(planned(MATRIX), matrix=said)


def test_where_and_how_it_runs_is_not_in_the_digest(planned: Any, where: Runtime, tmp_path: Path) -> None:
    elsewhere = replace(where, store=tmp_path / "x", cache=tmp_path / "cache", device="meta", checkpoint_seconds=5)
    other = expand(MATRIX, lambda part: load_data(part, elsewhere))
    assert list(other.cells) == list(planned(MATRIX).cells)


def test_a_row_that_says_supervised_adds_nothing_unless_it_has_a_label(planned: Any) -> None:
    plain = planned(replace(MATRIX, methods=(MethodRow(Spec("supervised")),)))
    labelled = planned(replace(MATRIX, methods=(MethodRow(Spec("supervised"), "once more"),)))
    assert len(plain.places) == 2 * 2 * 2
    assert len(labelled.places) == 2 * 2 * 3
    assert set(labelled.cells) == set(plain.cells)


def test_a_row_that_cannot_be_used_gets_a_reason_and_no_cell(planned: Any) -> None:
    impossible = MethodRow(Spec("hmkd", {"role": "frozen", "direction": "s2t"}), "impossible")
    plan = planned(replace(MATRIX, methods=(*MATRIX.methods, impossible)))
    assert set(plan.cells) == set(planned(MATRIX).cells)
    holes = [hole for hole in plan.places if hole.digest is None]
    assert [hole.place.row for hole in holes] == ["impossible"] * 4
    assert {hole.reason for hole in holes} == {
        "direction=s2t teaches the teacher alone, and a frozen teacher learns nothing"
    }


@pytest.mark.parametrize("label", ["student alone", "teacher alone", "kd"])
def test_a_label_that_another_row_has_is_refused(label: str, planned: Any) -> None:
    twice = replace(MATRIX, methods=(*MATRIX.methods, MethodRow(Spec("kd", {"alpha": 0.5}), label)))
    with pytest.raises(KdbenchError, match=f"the row '{label}' stands twice; give each a label of its own"):
        planned(twice)


def test_ten_thousand_cells_are_written_out(planned: Any) -> None:
    plan = planned(replace(MATRIX, seeds=tuple(range(1112))))
    assert len(plan.cells) == 1112 * 9
    assert len(plan.places) == 1112 * 10


SMALL = replace(MATRIX, pairs=MATRIX.pairs[1:], methods=(MethodRow(Spec("kd")),))


def test_leaving_each_person_out_in_turn_is_a_cell_for_each_fold(planned: Any) -> None:
    plan = planned(replace(SMALL, protocol="leave-one-person-out"))
    assert len(plan.cells) == len(plan.places) == 4 * 2 * 3  # folds, seeds, rows
    assert [(each.place.seed, each.place.fold) for each in plan.places[:8]] == [
        (s, f) for s in (0, 1) for f in range(4)
    ]
    for each in plan.places:
        cell = plan.cells[each.digest]
        assert (cell.seed, cell.fold) == (each.place.seed, each.place.fold)
        if cell.teacher_cell is not None:
            teacher = plan.cells[cell.teacher_cell]
            assert (teacher.seed, teacher.fold, teacher.student) == (cell.seed, cell.fold, cell.teacher)
    assert len(set(plan.names().values())) == len(plan.cells)


@pytest.mark.parametrize("protocol", ["subject-v1", "subject-val-v1", "random-leaky-v1"])
def test_other_protocols_are_run_on_fold_0_alone(protocol: str, planned: Any) -> None:
    plan = planned(replace(SMALL, protocol=protocol))
    assert len(plan.cells) == 2 * 3
    assert {cell.fold for cell in plan.cells.values()} == {0}


def test_only_a_protocol_that_leaks_is_warned_of(planned: Any) -> None:
    warnings = {name: planned(replace(SMALL, protocol=name)).warning for name in PROTOCOLS}
    assert warnings.pop("random-leaky-v1").startswith("LEAKS: ")
    assert set(warnings.values()) == {""}


TINY = ("-d", "synthetic(people=4, windows=4, length=32)", "-p", "mlp(hidden=16):mlp(hidden=8)", "-m", "kd")
TINY += ("-S", "recipe.epochs=1", "-S", "recipe.batch_size=16")


@pytest.mark.slow
def test_everyone_is_left_out_once_from_the_command_line_to_the_table(call: Any) -> None:
    everyone = (*TINY, "--protocol", "leave-one-person-out")
    assert "12 cells, 0 done, 12 to run" in call("plan", *everyone).out
    ended = call("run", *everyone, "-j", "1", "--no-track")
    assert ended.code == 0, ended.err
    assert "protocol leave-one-person-out; recipe" in ended.out
    assert "; predictions pooled over 4 folds; seed 0, so no spread;" in ended.out
    assert "12 cells trained;" in ended.out
    assert "kd seed 0 person 3: accuracy " in ended.err
    assert "12 done" in call("status").out
    rows = list(csv.DictReader(io.StringIO(call("table", "--format", "csv", "--metric", "accuracy").out)))
    assert [row["fold"] for row in rows] == ["0", "1", "2", "3"] * 3
    (wide,) = [
        row
        for row in csv.DictReader(io.StringIO(call("table", "--format", "csv-wide", "--metric", "accuracy").out))
        if row["row"] == "kd"
    ]
    (mean,) = [value for key, value in wide.items() if key.endswith(" mean") and key != "average mean"]
    assert float(mean) == pytest.approx(sum(float(row["accuracy"]) for row in rows if row["row"] == "kd") / 4)


@pytest.mark.slow
def test_each_fold_judges_another_person(call: Any, store: Path) -> None:
    assert call("run", *TINY, "--protocol", "leave-one-person-out", "-j", "1", "--no-track").code == 0
    runs = Store(store)
    rows = csv.DictReader(io.StringIO(call("table", "--format", "csv", "--metric", "accuracy").out))
    judged = {row["fold"]: set(runs.predictions(row["digest"])["person"].tolist()) for row in rows}
    assert [len(people) for people in judged.values()] == [1] * 4
    assert len(set().union(*judged.values())) == 4


@pytest.mark.slow
def test_a_table_of_a_protocol_that_leaks_says_so_loudly(call: Any, tmp_path: Path) -> None:
    ended = call("run", *TINY, "--protocol", "random-leaky-v1", "-j", "1", "--no-track")
    for text in (ended.out, call("table").out):
        assert text.count("protocol random-leaky-v1 (LEAKS: random 70 % of all windows") == 2
        assert "Answer (macro-F1, " in text
        assert text.rstrip().splitlines()[-1].count("LEAKS: ") == 1
    assert call("plot", "-o", tmp_path / "gain.svg").code == 0

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kdbench.cells import Runtime, load_data
from kdbench.errors import KdbenchError
from kdbench.plan import Plan, expand
from kdbench.spec import Matrix, MethodRow, Recipe, Spec

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
    return lambda matrix: expand(matrix, lambda dataset: load_data(dataset, where))


def test_the_student_alone_is_trained_once_for_all_its_teachers(planned: Any) -> None:
    plan = planned(MATRIX)
    alone = [place for place in plan.places if place.row == "student alone"]
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
    other = expand(MATRIX, lambda dataset: load_data(dataset, elsewhere))
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
    holes = [place for place in plan.places if place.digest is None]
    assert [place.row for place in holes] == ["impossible"] * 4
    assert {place.reason for place in holes} == {
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

"""What networks are set beside that is no network: a cell like any other, in no rank and in no test."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score
from sklearn.metrics import normalized_mutual_info_score as alike

from kdbench.catalog.find import REFERENCES
from kdbench.provenance.sources import sources
from kdbench.references._features import BANDS, LAGS, statistics
from kdbench.results.place import RowRole
from kdbench.session import Session
from kdbench.spec.cell import Cell
from kdbench.spec.selection import Selection
from kdbench.store.entries import entries

SMALL = "forest(trees=5)"


@pytest.fixture
def chosen(selection: Selection) -> Selection:
    return replace(selection, methods=("kd", SMALL), settings=(*selection.settings, "recipe.epochs=1"), seeds="2")


@pytest.fixture
def session(chosen: Selection, where: Any) -> Session:
    return Session(chosen, where, say=lambda line: None)


def of_reference(session: Session) -> list[Cell]:
    return [cell for cell in session.plan().cells.values() if cell.fitted]


def test_a_window_has_the_same_statistics_whatever_stands_beside_it() -> None:
    x = np.random.default_rng(0).normal(size=(1500, 3, 40)).astype(np.float32)
    found = statistics(x, 50.0)
    each = 10 + len(LAGS) + 2 + len(BANDS) - 1
    assert found.shape == (1500, 3 * each + 3)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(statistics(x[1100:1103], 50.0), found[1100:1103])


def test_statistics_of_a_sine_are_those_that_are_known_of_it() -> None:
    time = np.arange(200) / 100
    sine = np.sin(2 * np.pi * 5 * time + 0.3)
    x = np.stack([sine, -2 * sine])[None].astype(np.float32)
    found = statistics(x, 100.0)[0].astype(np.float64)
    own = found[: (len(found) - 1) // 2]
    mean, std, low, high, first, middle, third, energy, zero, center, *rest = own
    assert (mean, std, energy) == pytest.approx((0, 0.5**0.5, 0.5), abs=1e-6)
    assert (low, high) == pytest.approx((-1, 1), abs=0.02)
    assert (first, middle, third) == pytest.approx(np.quantile(sine, (0.25, 0.5, 0.75)), abs=1e-6)
    assert zero == center == pytest.approx(19 / 199)  # at (n pi - 0.3) / (10 pi) seconds, n = 1 .. 19
    lags, (frequency, entropy, *bands) = rest[: len(LAGS)], rest[len(LAGS) :]
    assert lags[0] == pytest.approx(-0.95, abs=1e-3)  # half a period of 0.1 s later, 19 of 20 halves are left
    assert frequency == 5
    assert entropy == pytest.approx(0, abs=1e-4)
    assert bands == pytest.approx([0, 0, 0, 0.25, 0, 0], abs=1e-6)  # 4 to 8 Hz; half the energy is at -5 Hz
    assert found[-1] == pytest.approx(-1)  # the channels move against each other


@pytest.mark.parametrize("shape", [(2, 1, 1), (3, 2, 2), (1, 4, 7)])
def test_statistics_of_what_does_not_move_or_is_short_are_finite(shape: tuple[int, int, int]) -> None:
    for x in (np.zeros(shape, np.float32), np.full(shape, 3, np.float32)):
        assert np.isfinite(statistics(x, 1.0)).all()


def test_a_class_that_nobody_has_in_training_gets_no_probability_and_its_column() -> None:
    rng = np.random.default_rng(1)
    y = np.repeat([0, 3], 20)
    x = (rng.normal(size=(40, 2, 32)) + y[:, None, None]).astype(np.float32)
    model: Any = REFERENCES.get("forest")(7, trees=10)
    model.fit(x, y, rate=10.0, classes=5)
    found = model.probabilities(x)
    assert found.shape == (40, 5)
    assert found.sum(axis=1) == pytest.approx(np.ones(40))
    assert (found[:, [1, 2, 4]] == 0).all()
    assert alike(y, found.argmax(axis=1)) == pytest.approx(1)
    again: Any = REFERENCES.get("forest")(7, trees=10)
    again.fit(x, y, rate=10.0, classes=5)
    np.testing.assert_array_equal(again.probabilities(x), found)


@pytest.mark.slow
def test_it_is_run_on_the_people_and_seeds_of_the_networks_and_stands_unranked(session: Session) -> None:
    ran = session.run(jobs=1, track=False)
    assert ran.exit_code == 0
    filled = {(entry.place.row, entry.place.seed): entry for entry in ran.entries}
    for seed in (0, 1):
        kept = [filled[row, seed].record for row in (SMALL, "student alone")]
        both = [session.store.predictions(record.digest) for record in kept if record]
        for name in ("y", "person", "row"):
            np.testing.assert_array_equal(both[0][name], both[1][name])
        record = kept[0]
        assert record is not None
        assert record.kind == "reference"
        guessed = both[0]["logits"].argmax(axis=1)
        labels = range(both[0]["logits"].shape[1])
        wanted = f1_score(both[0]["y"], guessed, labels=list(labels), average="macro", zero_division=0)
        assert record.metrics["student"]["macro_f1"] == pytest.approx(wanted)
        assert record.metrics["student"]["by_person"]
    assert filled[SMALL, 0].place.role is RowRole.REFERENCE
    table = ran.table("macro_f1")
    assert f"{SMALL}: a random forest" in table
    assert "in no test" in table
    line = next(line for line in table.splitlines() if line.startswith(f"| {SMALL}"))
    assert "reference" in line
    assert "**" not in line
    said = session.stats("macro_f1")
    assert not [line for line in said.splitlines() if line.startswith("|") and SMALL in line]
    assert f"{SMALL}, a reference that is no network, is +" in said  # it is above every method, which must be known


def test_one_cell_stands_under_every_pair_and_recipe_of_a_dataset(chosen: Selection, where: Any) -> None:
    pairs = ("mlp:mlp(hidden=8)", "mlp:mlp(hidden=16)")
    cells = of_reference(Session(replace(chosen, pairs=pairs), where))
    assert [cell.seed for cell in cells] == [0, 1]
    other = of_reference(Session(replace(chosen, recipe="cpu"), where))
    assert [cell.digest for cell in other] == [cell.digest for cell in cells]
    for cell in cells:
        assert Cell.from_plain(json.loads(json.dumps(cell.plain))) == cell
        assert cell.plain["recipe"] == {}


def test_it_sees_the_channels_that_the_student_sees(chosen: Selection, where: Any) -> None:
    every = of_reference(Session(chosen, where))[0]
    few = of_reference(Session(replace(chosen, pairs=("mlp:mlp(hidden=8, channels=x)",)), where))
    assert dict(few[0].student.settings)["channels"] != "all"
    assert "channels" not in dict(every.student.settings)


@pytest.mark.slow
def test_it_is_kept_gone_on_with_and_the_same_again(
    call: Callable[..., Any], sizes: tuple[str, ...], store: Path, cells: Callable[[Path], list[Path]]
) -> None:
    asked = ("run", *sizes, "-m", SMALL, "-j", "1")
    assert call(*asked).code == 0
    names = {path.name for folder in cells(store) for path in folder.iterdir()}
    assert "predictions.npz" in names
    assert "0 to run" in call(*asked).err + call(*asked).out
    assert call("status", "--verify").code == 0
    said = call("verify", "--sample", "3")
    assert said.code == 0, said.out
    assert said.err.count("the same, bit for bit") == 3
    assert call("table", "-o", store.parent / "t.tex").code == 0
    assert "Random forests" in (store.parent / "t.bib").read_text()


@pytest.mark.slow
def test_it_is_stale_where_its_code_changed_and_networks_are_not(session: Session, store: Path) -> None:
    session.run(jobs=1, track=False)
    plan = session.plan()
    for digest, cell in plan.cells.items():
        if cell.fitted:
            path = store / digest / "record.json"
            text = path.read_text()
            changed = {**json.loads(text), "check": None}
            changed["sources"]["reference"] = "0" * 16
            path.write_text(json.dumps(changed))
    stale = {entry.place.row for entry in entries(plan, session.store) if entry.stale}
    assert stale == {SMALL}
    code = [sources(cell) for cell in plan.cells.values()]
    assert {"reference" in each for each in code} == {True, False}


@pytest.mark.slow
def test_damaged_predictions_of_a_reference_are_found(session: Session, store: Path) -> None:
    session.run(jobs=1, track=False)
    digest = of_reference(session)[0].digest
    assert session.store.damage(digest) is None
    (store / digest / "predictions.npz").unlink()
    assert "predictions.npz" in str(session.store.damage(digest))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("forest(trees=0)", "trees=0 is outside"),
        ("forest(role=tuned)", "no 'role' in settings of forest"),
        ("forst", "did you mean 'forest'"),
    ],
)
def test_what_a_reference_does_not_take_is_refused_in_a_line(
    call: Callable[..., Any], sizes: tuple[str, ...], asked: str, said: str
) -> None:
    ended = call("plan", *sizes, "-m", asked)
    assert ended.code == 2
    assert said in ended.error


def test_a_search_leaves_it_out_and_lists_name_it(call: Callable[..., Any], sizes: tuple[str, ...]) -> None:
    assert "forest" in call("list", "references").out
    assert "Breiman" in call("show", "forest").out
    planned = call("tune", *sizes, "-m", SMALL, "--trials", "2", "--dry-run")
    assert "forest" not in planned.out

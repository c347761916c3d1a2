"""Training in bfloat16: what runs in it, what does not, and that nothing else changed by there being such a thing."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from kdbench.catalog.find import NETWORKS
from kdbench.catalog.names import NETWORK_NAMES
from kdbench.errors import KdbenchError
from kdbench.machine import Runtime
from kdbench.plan.model import Plan
from kdbench.provenance.sources import sources
from kdbench.schedule.jobs import job_of
from kdbench.session import Session
from kdbench.spec.matrix import Matrix
from kdbench.spec.recipe import RECIPES, Precision, parse_recipe
from kdbench.spec.selection import Selection
from kdbench.store.artefacts import read_checkpoint, read_weights
from kdbench.store.memory import identity_of
from kdbench.store.records import Store
from kdbench.training.precision import learning_in
from kdbench.worker import run_job

FAST = ("mlp", "cnn")
"""The others are gone through once in a while."""


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in NETWORK_NAMES.built_in]
)
def test_a_network_learns_in_bfloat16_shows_float32_and_is_judged_as_ever(name: str) -> None:
    torch.manual_seed(0)
    network, x = NETWORKS.get(name)(6, 64, 4), torch.randn(8, 6, 64)
    before, judged = deepcopy(network.state_dict()), network.eval()(x).logits
    network.train()
    with learning_in(Precision.BF16, [network]):
        torch.manual_seed(1)
        shown = network(x)
    torch.manual_seed(1)
    exact = network(x).logits
    again = NETWORKS.get(name)(6, 64, 4).eval()
    again.load_state_dict(before)
    with learning_in(Precision.BF16, [again]):
        assert torch.equal(again(x).logits, judged)
    assert {each.dtype for each in (shown.logits, shown.embedding, *shown.stages)} == {torch.float32}
    assert not torch.equal(shown.logits, exact)
    far = 0.5 if name == "mobile_net" else 0.1  # its narrow layers vary little, and normalising stretches the rounding
    assert (shown.logits - exact).norm() < far * exact.norm()
    (shown.logits.sum() + sum(stage.mean() for stage in shown.stages)).backward()
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert {each.dtype for each in gradients} == {torch.float32}
    assert all(bool(each.isfinite().all()) for each in gradients)


def weights(plan: Plan, root: Path) -> dict[tuple[str, str], torch.Tensor]:
    """All that was trained, by row and name."""
    store, cpu = Store(root), torch.device("cpu")
    rows = {planned.place.row: planned.digest for planned in plan.places if planned.digest}
    return {(row, key): value for row, each in rows.items() for key, value in read_weights(store, each, cpu).items()}


@pytest.mark.slow
def test_a_run_in_bfloat16_gives_other_weights_and_the_same_ones_when_it_was_broken_off(
    selection: Selection, where: Runtime, done: Path, tmp_path: Path
) -> None:
    asked = replace(selection, settings=(*selection.settings, "recipe.precision=bf16"))
    session = Session(asked, where, say=lambda line: None)
    assert session.run(jobs=1, track=False).exit_code == 0
    plan, store = session.plan(), Store(where.store)
    for digest, cell in plan.cells.items():
        record = store.record(digest)
        assert record is not None
        assert record.sources == sources(cell)
        assert "precision" in record.sources
    found, usual = weights(plan, where.store), weights(Session(selection, where).plan(), done)
    assert found.keys() == usual.keys()
    assert {row for row, key in found if not torch.equal(found[row, key], usual[row, key])} == {
        "teacher alone", "student alone", "kd", "hmkd",
    }  # fmt: skip
    elsewhere = replace(where, store=tmp_path / "broken")
    broken = Session(asked, elsewhere, say=lambda line: None)
    first = next(digest for digest, cell in plan.cells.items() if cell.teacher_cell is None)

    def stop() -> None:
        if broken.store.epoch(first) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(job_of(plan, first), elsewhere, stop)
    assert read_checkpoint(broken.store, first, torch.device("cpu"))
    assert broken.run(jobs=1, track=False).exit_code == 0
    again = weights(plan, elsewhere.store)
    assert all(torch.equal(again[key], value) for key, value in found.items())


def test_the_usual_precision_is_in_no_digest_no_source_and_no_matrix(selection: Selection, where: Runtime) -> None:
    asked = replace(selection, settings=(*selection.settings, "recipe.precision=float32"))
    usual, same = (Session(each, where).plan() for each in (selection, asked))
    assert list(usual.cells) == list(same.cells)
    for cell in usual.cells.values():
        assert "precision" not in cell.plain["recipe"]
        assert "precision" not in sources(cell)
    assert "precision" not in usual.matrix.plain()["recipe"]
    assert identity_of(same.matrix) == identity_of(usual.matrix)
    bf16 = replace(usual.matrix, recipe=RECIPES["har-bf16"])
    assert Matrix.from_plain(bf16.plain()) == bf16
    assert identity_of(bf16) != identity_of(usual.matrix)


def test_a_recipe_says_its_precision_in_tables_whatever_it_is_called(call: Any) -> None:
    own = parse_recipe({"name": "mine", "base": "cpu", "precision": "bf16", "note": "a try"})
    assert own.remark == "a try; forward passes of training in bfloat16"
    assert own.unnamed == replace(RECIPES["cpu-bf16"], name="")
    assert RECIPES["har-bf16"].changed({"precision": "float32"}).remark == ""
    with pytest.raises(KdbenchError, match=r"^recipe: no 'bf61' in precisions \(did you mean 'bf16'\?\); known: bf16"):
        parse_recipe({"name": "mine", "precision": "bf61"})
    assert call("run", "-S", "recipe.precision=fp16").error.startswith("recipe: no 'fp16' in precisions")
    assert "forward passes of training in bfloat16" in call("list", "recipes").out

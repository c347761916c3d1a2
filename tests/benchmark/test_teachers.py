"""Teachers: the ledger, the gate that refuses, and weights that a user brings along."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from kdbench.machine import Runtime
from kdbench.plan.gate import Gate
from kdbench.session import Session, runtime
from kdbench.spec.matrix import Matrix
from kdbench.spec.selection import Selection
from kdbench.store.artefacts import read_weights
from kdbench.store.packed import pack
from kdbench.store.records import Store

BOTH = ("-d", "synthetic(people=4, windows=2, length=16)", "-S", "recipe.epochs=2", "--no-track", "-j", 1)
BOTH += ("-p", "mlp(hidden=8):fcn(width=0.05)", "-p", "fcn(width=0.05):mlp(hidden=8)", "-m", "kd")
"""Two networks, each the other's teacher: one of the two is no better than its student, whatever they learn."""
TEACHER = "resnet_lstman(width=0.05)"


def states(call: Callable[..., Any], *more: str | int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(call("status", *more, "--json").out)
    return found


def teacher_of(root: Path) -> str:
    """Digest of the cell in which the tiny job's teacher was trained."""
    store = Store(root)
    records = [record for digest in store.digests() if (record := store.record(digest)) is not None]
    return next(r.digest for r in records if r.cell["student"]["name"] == "resnet_lstman")


@pytest.fixture
def weights(copy: Path) -> dict[str, torch.Tensor]:
    """Those of the tiny job's teacher, a little other than they were trained."""
    found = read_weights(Store(copy), teacher_of(copy), torch.device("cpu"))
    return {key: value * 1.01 if value.is_floating_point() else value for key, value in found.items()}


def test_the_ledger_lists_each_teacher_with_its_score_and_pupils(call: Callable[..., Any], copy: Path) -> None:
    out = call("teachers").out
    line = next(line for line in out.splitlines() if line.startswith(f"| {teacher_of(copy)} "))
    assert [part.strip() for part in line.split("|")][-3:] == ["trained", "kd", ""]  # hmkd's teacher is a peer
    assert json.loads(call("teachers", "--format", "json").out)["title"] == "kdbench: teachers"
    assert "no 'nope' in" in call("teachers", "--metric", "nope").error


@pytest.mark.slow
def test_a_gate_that_refuses_runs_nobody_whose_teacher_is_no_better(call: Callable[..., Any], store: Path) -> None:
    ended = call("run", *BOTH, "--teacher-gate", "refuse", "--seeds", 2)
    assert ended.code == 0, ended.err
    assert "not run: its teacher is no better than its student alone (macro-F1 " in ended.err
    refused = [each for each in states(call) if each["state"] == "n/a"]
    assert len(refused) in (2, 4)  # both seeds of one pair; of both where the networks are equally good
    assert "n/a" in ended.out
    assert "its teacher is no better than its student alone" in call("status").out
    assert "its teacher is no better than its student alone" in call("view", "failures").out
    assert f"{len(refused)} cells" in call("status", "--state", "n/a").out
    again = call("run", *BOTH, "--teacher-gate", "refuse", "--seeds", 2)
    assert "; 0 to run;" in again.err
    assert call("run", *BOTH, "--seeds", 2).code == 0  # who only wants a mark runs them
    assert {each["state"] for each in states(call)} == {"done"}


@pytest.mark.slow
def test_a_refusing_gate_agrees_with_the_mark_in_the_table(call: Callable[..., Any], store: Path) -> None:
    assert call("run", *BOTH, "--seeds", 2).code == 0
    where = runtime(store=store, cache=store.parent / "cache", device="cpu")
    session = Session(Selection(), where, say=lambda line: None, last=True)
    plan = session._kept()
    refusing = replace(plan, matrix=replace(plan.matrix, teacher_gate="refuse"))
    records = {digest: record for digest in plan.cells if (record := Store(store).record(digest)) is not None}
    gate = Gate(refusing)
    closed = {p.place.pair for p in plan.places if p.digest and gate.refusal(p.digest, records)}
    marked = [line.split("|")[2].strip() for line in call("view", "failures").out.splitlines() if "closed: " in line]
    assert closed == set(marked) != set()


def test_a_gate_waits_for_the_two_networks_alone_and_not_for_what_they_are_set_beside(where: Runtime) -> None:
    parts = {"datasets": [BOTH[1]], "pairs": ["mlp(hidden=8):fcn(width=0.05)"], "methods": ["kd", "forest"]}
    plan = Session(Matrix.from_plain({"name": "mine", "teacher_gate": "refuse", **parts}), where).plan()
    (judged,) = (digest for digest, cell in plan.cells.items() if cell.teacher_cell)
    needs = Gate(plan).needs(judged)
    assert sorted(plan.cells[digest].student.name for digest in needs) == ["fcn", "mlp"]
    assert any(cell.fitted for cell in plan.cells.values())


@pytest.mark.slow
def test_a_shard_runs_what_its_gate_must_know(call: Callable[..., Any], store: Path) -> None:
    for part in ("1/2", "2/2"):
        one = store / part[0]
        ended = call("run", *BOTH, "--teacher-gate", "refuse", "--seeds", 2, "--shard", part, "--store", one)
        assert ended.code == 0, ended.err
    call("merge", store / "1", store / "2")
    call("run", *BOTH, "--teacher-gate", "refuse", "--seeds", 2, "--store", store / "whole")
    both = [json.loads(call("status", "--json", "--store", path).out) for path in (store, store / "whole")]
    assert both[0] == both[1]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pt", "wrapped", "parallel", "safetensors"])
def test_weights_of_ones_own_teach(
    call: Callable[..., Any],
    copy: Path,
    job: Any,
    weights: dict[str, torch.Tensor],
    tmp_path: Path,
    form: str,
) -> None:
    path = tmp_path / ("mine.safetensors" if form == "safetensors" else "mine.pt")
    if form == "safetensors":
        save_file(weights, path)
    elif form == "wrapped":
        torch.save({"epoch": 3, "state_dict": weights}, path)
    else:
        prefix = "module." if form == "parallel" else ""
        torch.save({prefix + key: value for key, value in weights.items()}, path)
    ended = call("teachers", "import", path, *job)
    assert ended.code == 0, ended.err
    name = ended.out.split(":")[0]
    assert f"{TEACHER} on synthetic: macro-F1 " in ended.out
    if form != "pt":
        return
    trained = {path.name for path in copy.iterdir()}
    assert call("run", *job, "--teacher", name, "--no-track", "-j", 1).code == 0
    store, new = Store(copy), {path.name for path in copy.iterdir()} - trained
    records = [record for digest in sorted(new) if (record := store.record(digest)) is not None]
    taught = [record for record in records if record.cell["teacher_cell"]]
    assert [record.cell["method"]["name"] for record in taught] == ["kd"]  # whom the other teacher taught stays
    assert taught[0].teacher_weights == store.weights_hash(taught[0].cell["teacher_cell"])
    assert f"imported, weights {name}" in call("teachers").out
    assert f"weights {name} were brought along" in call("table").out
    assert call("verify", taught[0].digest).code == 0
    call("merge", copy, "--store", tmp_path / "other")
    assert call("verify", taught[0].cell["teacher_cell"], "--store", tmp_path / "other").code == 0


def test_the_same_weights_are_one_teacher_whatever_the_file(
    call: Callable[..., Any], copy: Path, job: Any, weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save(weights, tmp_path / "a.pt")
    save_file(dict(reversed(weights.items())), tmp_path / "b.safetensors")
    first, second = (call("teachers", "import", tmp_path / name, *job).out for name in ("a.pt", "b.safetensors"))
    assert first == second != ""
    assert len(list((copy / "imports").glob("*.pt"))) == 1
    pack(Store(copy), [], [], tmp_path / "small")  # what is published has no weights, theirs neither
    assert not (tmp_path / "small" / "imports").exists()


def test_an_imported_teacher_is_no_garbage_before_it_has_taught(
    call: Callable[..., Any], copy: Path, job: Any, weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save(weights, tmp_path / "mine.pt")
    before = Store(copy).digests()
    assert call("teachers", "import", tmp_path / "mine.pt", *job).code == 0
    (measured,) = set(Store(copy).digests()) - set(before)
    assert measured not in call("gc").out
    (copy / "imports").rename(tmp_path / "imports")  # whose weights are gone teaches nobody
    assert measured in call("gc").out


def test_what_is_no_teacher_is_refused_in_a_line(
    call: Callable[..., Any], copy: Path, job: Any, weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    def refusal(content: object) -> str:
        torch.save(content, tmp_path / "bad.pt")
        ended = call("teachers", "import", tmp_path / "bad.pt", *job)
        assert ended.code == 2
        error: str = ended.error
        return error

    key = next(key for key, value in weights.items() if value.dim() > 1)
    other = {name: value for name, value in weights.items() if name != key}
    assert f"{key} is missing (did you mean {key}s?)" in refusal({**other, f"{key}s": weights[key]})
    shape = tuple(weights[key].shape)
    assert f"{key} is {(1, *shape)}, wanted {shape}" in refusal({**weights, key: weights[key][None]})
    assert f"{key} has numbers that are not finite" in refusal({**weights, key: weights[key] * float("nan")})
    assert "holds a list, wanted a state dict" in refusal([1, 2])
    assert "cannot be read as weights alone" in refusal(torch.nn.Linear(2, 2))
    assert "is no file" in call("teachers", "import", tmp_path / "nothing.pt", *job).error
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (ran,)

    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil()))
    assert call("teachers", "import", tmp_path / "evil.pt", *job).code == 2
    assert not ran.exists()
    assert not (copy / "imports").exists()
    assert "no imported teacher begins with 'abc'" in call("plan", *job, "--teacher", "abc").error


@pytest.mark.slow
def test_imported_weights_that_are_damaged_or_for_another_network_are_not_used(
    call: Callable[..., Any], copy: Path, job: Any, weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save(weights, tmp_path / "mine.pt")
    name = call("teachers", "import", tmp_path / "mine.pt", *job).out.split(":")[0]
    wrong = call("plan", "-d", job[1], "--teacher", name, "-p", "mlp(hidden=8):mlp(hidden=4)")
    assert f"the teacher {name} is a {TEACHER} for other windows or another network" in wrong.error
    (kept,) = (copy / "imports").glob("*.pt")
    changed = {key: value * 2 if value.is_floating_point() else value for key, value in weights.items()}
    torch.save(changed, kept)
    ended = call("run", *job, "--teacher", name, "--seeds", "1", "--force", "--no-track", "-j", 1)
    assert "is damaged: not what was imported" in ended.err + ended.out
    assert ended.code == 2

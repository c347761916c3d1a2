"""A student is no fresher than its teacher, and a stale teacher teaches nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kdbench.store.records import Store

NET = '''
"""A network from outside."""

import torch

from kdbench.architectures import Backbone, Outputs


class Net(Backbone):
    """A dense layer."""

    family = "mlp"

    def __init__(self, channels, length, classes):
        super().__init__()
        self.body, self.head = torch.nn.Linear(channels * length, 8), torch.nn.Linear(8, classes)

    def forward(self, x):
        embedding = SCALE * torch.tanh(self.body(x.flatten(1)))
        return Outputs(self.head(embedding), (embedding[:, :, None],), embedding)
'''
TINY = ("-d", "synthetic(people=4, windows=1, length=16)", "-p", "net:mlp(hidden=4)", "-S", "recipe.epochs=1")
BLOCK = "synthetic(people=4, windows=1, length=16) net:mlp(hidden=4)"


@pytest.fixture
def net(plug: Callable[..., Path]) -> Callable[[str], list[Path]]:
    """The teacher's network with another scale: what it computes."""
    return lambda scale: [plug("net", NET.replace("SCALE", scale), "kdbench.architectures: net = net:Net")]


@pytest.mark.slow
def test_a_stale_teacher_is_refused_before_it_teaches_and_all_is_fresh_after_run_stale(
    forks: Any, net: Any, store: Path, tmp_path: Path
) -> None:
    def run(*rows: str) -> tuple[str, ...]:
        return ("run", *TINY, *rows, "--no-track", "-j", "1")

    assert forks(*run("-m", "kd"), path=net("1.0")).code == 0
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    refused = forks(*run("-m", "kd", "-m", "sp"), path=net("2.0"))
    assert refused.code == 2
    assert refused.error == (
        f"{BLOCK} sp seed 0 would be taught by {BLOCK} teacher alone seed 0, which is stale: its code changed since it "
        "was trained; `kdbench run --stale` trains such teachers, and whom they taught, again first"
    )
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before
    ended = forks(*run("-m", "kd", "-m", "sp", "--stale"), path=net("2.0"))
    assert ended.code == 0, ended.err
    assert " stale" not in forks("status", path=net("2.0")).out
    assert forks(*run("-m", "kd", "-m", "sp", "--store", str(tmp_path / "clean")), path=net("2.0")).code == 0
    stores = [("--store", str(tmp_path / "clean")), ()]  # the table for readers has training times
    clean, again = (forks("table", "--format", "csv-wide", *each, path=net("2.0")).out for each in stores)
    assert clean == again


@pytest.mark.slow
def test_whoever_was_taught_by_other_weights_is_stale_until_it_is_taught_again(
    forks: Any, net: Any, store: Path
) -> None:
    run = ("run", *TINY, "--no-track", "-j", "1", "-m")
    assert forks(*run, "kd", path=net("1.0")).code == 0
    assert forks(*run, "sp", path=net("1.0")).code == 0  # another matrix, the same teacher
    assert forks(*run, "sp", "--stale", path=net("2.0")).code == 0  # kd was taught by the weights of before
    assert forks("plan", *TINY, "-m", "kd", path=net("2.0")).code == 0
    runs = Store(store)
    for digest in runs.digests():  # as if kd were run under the new code from the old weights
        record = runs.record(digest)
        assert record is not None
        if record.cell["method"]["name"] == "kd":
            sp = next(r for r in map(runs.record, runs.digests()) if r and r.cell["method"]["name"] == "sp")
            sources = {**record.sources, "teacher": sp.sources["teacher"]}
            (store / digest / "record.json").write_text(replace(record, sources=sources).to_json())
    status = forks("status", *TINY, "-m", "kd", path=net("2.0")).out
    assert "kd: 1 stale" in status
    assert status.count(": 1 stale\n") == 1
    ended = forks(*run, "kd", "--stale", path=net("2.0"))
    assert [line.split(": ")[0] for line in ended.err.splitlines() if line.startswith("[")] == [
        f"[1/1] {BLOCK} kd seed 0"
    ]
    assert " stale" not in forks("status", *TINY, "-m", "kd", path=net("2.0")).out


def test_a_record_of_before_weights_were_kept_is_stale_where_its_teacher_is_younger(
    copy: Path, call: Any, job: Any
) -> None:
    runs = Store(copy)
    for digest in runs.digests():
        record = runs.record(digest)
        assert record is not None
        finished = "2026-01-02T00:00:00+00:00" if record.cell["teacher_cell"] is None else "2026-01-01T00:00:00+00:00"
        old = replace(record, teacher_weights=None, finished=finished)
        (copy / digest / "record.json").write_text(old.to_json())
    status = call("status", *job).out
    assert "kd: 1 stale" in status
    assert status.count(": 1 stale\n") == 1  # a peer is not taught by weights

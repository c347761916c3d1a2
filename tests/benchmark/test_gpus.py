"""Cells spread over GPUs: who sees which, how many at a time, and, where there is one, the same bits as by itself."""

from __future__ import annotations

import sys
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import torch

from kdbench.errors import KdbenchError
from kdbench.executors import default_jobs, jobs_per_gpu
from kdbench.executors._gpus import cards, cores
from kdbench.executors._pool import Worker
from kdbench.machine import Runtime

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


def test_cells_are_spread_over_the_gpus_that_this_process_may_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert cards("cuda") == ["3", "5"]
    assert cards("cuda:1") == cards("cpu") == []  # one by number is not spread, and a CPU is none


def test_so_many_cells_run_on_each_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    on = Runtime(Path(), Path(), device="cuda")
    assert default_jobs(on) == 2
    assert default_jobs(Runtime(Path(), Path(), device="cuda", jobs_per_gpu=4)) == 8
    assert default_jobs(Runtime(Path(), Path(), device="cuda", jobs_per_gpu=0)) == 2 * max(1, cores() // 2)
    assert default_jobs(Runtime(Path(), Path(), device="cuda:1", jobs_per_gpu=3)) == 3
    assert jobs_per_gpu("auto", "cuda") == 0
    assert jobs_per_gpu(None, "cpu") == 1


@pytest.mark.parametrize("asked", ["0", "-1", "many", "1.5", ""])
def test_a_number_of_jobs_that_is_none_is_refused(asked: str) -> None:
    with pytest.raises(KdbenchError, match="wanted auto, or 1 or more"):
        jobs_per_gpu(asked, "cuda")


def test_jobs_per_gpu_without_a_gpu_is_one_line(call: Any, job: Any) -> None:
    ended = call("run", *job, "--jobs-per-gpu", "4", "--device", "cpu")
    assert ended.code == 2
    assert ended.error == "--jobs-per-gpu 4: cells run on the CPU here; -j says how many at a time"


@pytest.mark.skipif(sys.platform != "linux", reason="reads another process's environment")
def test_a_worker_sees_its_gpu_alone(tmp_path: Path) -> None:
    worker = Worker(Runtime(tmp_path, tmp_path, device="cuda"), apart=False, messages=Queue(), card="5")
    try:
        environment = Path(f"/proc/{worker.process.pid}/environ").read_bytes().split(b"\0")
        assert b"CUDA_VISIBLE_DEVICES=5" in environment
    finally:
        worker.end()


@needs_gpu
def test_cells_beside_each_other_on_a_gpu_are_those_of_one_alone(call: Any, job: Any, tmp_path: Path) -> None:
    tables = []
    for how in (("--jobs-per-gpu", "1"), ("--jobs-per-gpu", "3")):
        assert call("run", *job, "--device", "cuda", *how, "--store", tmp_path / how[1]).code == 0
        tables.append(call("table", "--store", tmp_path / how[1], "--format", "csv").out)
    assert tables[0] == tables[1]
    assert call("verify", "--sample", "3", "--device", "cuda", "--store", tmp_path / "1").code == 0

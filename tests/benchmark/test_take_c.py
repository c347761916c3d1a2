"""The model in C says of every judged window what torch says, on a stand-in and, where it is here, on UCI HAR."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdbench.catalog.build import load_data
from kdbench.deploy.c_form import SANITISED, compiled, compiler, run_c, write_c
from kdbench.deploy.chain import chain
from kdbench.deploy.subject import take
from kdbench.session import runtime
from kdbench.spec.cell import Cell
from kdbench.store.records import Store

pytest.importorskip("onnxscript")
onnx_forms = pytest.importorskip("kdbench.deploy.onnx_forms")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(compiler() is None, reason="no C compiler here")]
ORIGINAL = Path(os.environ.get("KDBENCH_DATA", "")) if os.environ.get("KDBENCH_DATA") else None
wants = pytest.mark.skipif(ORIGINAL is None, reason="KDBENCH_DATA names no folder with the original of UCI HAR")


@pytest.mark.parametrize(
    ("dataset", "windows"),
    [("synthetic(people=6, windows=6, length=50)", None), pytest.param("uci_har", 2947, marks=wants)],
)
def test_it_is_clean_and_agrees_with_torch_on_the_whole_test_split(
    dataset: str, windows: int | None, server: Any, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = ("-d", dataset, "-p", "fcn(width=0.1):mlp(hidden=16)", "-p", "cnn(width=0.1):mlp(hidden=16)", "-m", "simkd")
    where: tuple[Any, ...] = ("--store", tmp_path / "runs", *(("--data-dir", ORIGINAL) if windows else ()))
    ended = server("run", *job, "-S", "recipe.epochs=1", *where, "--no-track", "-j", 1)
    assert ended.code == 0, ended.err
    store, seen = Store(tmp_path / "runs"), set()
    for digest in store.digests():
        record = store.record(digest)
        assert record is not None
        cell = Cell.from_plain(record.cell)
        place = runtime(store=store.root, cache=cache, device="cpu", data_dir=ORIGINAL if windows else None)
        subject = take(store, digest, load_data(cell.dataset, place))
        folder = tmp_path / digest
        folder.mkdir()
        onnx_forms.export(subject.model, len(subject.sees), subject.use.length, folder / "model.onnx")
        names = [subject.use.channels[number][0] for number in subject.sees]
        needs = write_c(chain(folder / "model.onnx"), names, subject.use.classes, folder)
        program = compiled(folder, folder / "model", SANITISED)  # -Wall -Wextra -Werror, the address sanitiser
        x = subject.windows(subject.split.evaluation)
        assert windows in (None, len(x))
        said = run_c(program, x, len(subject.use.classes))
        np.testing.assert_array_equal(said.argmax(axis=1), subject.probabilities.argmax(axis=1))
        np.testing.assert_allclose(said, subject.probabilities, rtol=0, atol=1e-5)
        told = subprocess.run([program, "run"], input=b"", capture_output=True, check=True).stderr.decode()
        assert told == f"RAM {needs.ram} bytes of buffers, flash {needs.flash} bytes of constants, code apart\n"
        seen.add((cell.method.name, cell.student.name))
        with capsys.disabled():
            print(f"\n{dataset}: {cell.method.name}, {cell.student.name}: {told.strip()}", end="")
    assert {student for _, student in seen} == {"mlp", "cnn", "fcn"}
    assert ("simkd", "mlp") in seen

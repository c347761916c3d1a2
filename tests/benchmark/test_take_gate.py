"""The gate is passed form by form: what 8 bits spoil is left out and said, what 32 bits spoil is not handed out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.slow

NETWORK = '''
"""A dense layer and what spoils a form of it."""

import torch
from torch import Tensor, nn

from kdbench.architectures import Backbone, Outputs


class {name}(Backbone):
    """A dense layer.

    Source: an example.

    Args:
        channels: C.
        length: T, samples.
        classes: K.

    Deviations: none.
    """

    family = "mlp"

    def __init__(self, channels: int, length: int, classes: int) -> None:
        super().__init__()
        self.dense = nn.Linear(channels * length, 16)
        self.head = nn.Linear(16, classes)
        self.register_buffer("same", torch.eye(16))
        self.register_buffer("far", torch.full((16,), 3e4))

    def forward(self, x: Tensor) -> Outputs:
        hidden = self.dense(x.flatten(1)).relu()
        {spoils}
        return Outputs(self.head(hidden), (hidden[:, :, None],), hidden)
'''
FAR = """hidden = nn.functional.linear(hidden, self.same, self.far).relu()
        hidden = nn.functional.linear(hidden, self.same, -self.far)"""
"""A sum that float32 holds, and steps of 8 and 16 bits do not."""
OTHERWISE = """hidden = hidden if not torch.compiler.is_exporting() else -hidden"""
DATA = "synthetic(people=6, windows=6, length=32)"


@pytest.fixture(scope="module")
def trained(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a teacher that exports otherwise than it is, and a student that 8 bits spoil. Not to be written."""
    place = tmp_path_factory.mktemp("spoilt")
    (place / "liar.py").write_text(NETWORK.format(name="Liar", spoils=OTHERWISE), encoding="utf-8")
    (place / "loud.py").write_text(NETWORK.format(name="Loud", spoils=FAR), encoding="utf-8")
    job = ("-d", DATA, "-p", f"{place / 'liar.py'}:{place / 'loud.py'}", "-m", "kd", "-S", "recipe.epochs=6")
    ended = server("run", *job, "--store", place / "runs", "--no-track", "-j", 1)
    assert ended.code == 0, ended.err
    return place / "runs"


def test_a_form_in_8_bits_that_fails_is_left_out_and_the_others_are_there(
    server: Any, trained: Path, tmp_path: Path
) -> None:
    ended = server("take", "student alone", "-o", tmp_path / "new", "--store", trained)
    assert ended.code == 1, ended.err
    said = [line for line in ended.err.splitlines() if line.startswith("warning: ")]
    assert said[0].startswith("warning: refused, so not in the folder: model.int8.onnx gives ")
    assert said[-1] == "warning: no form in 8 bits is in the folder: the gate refused every one that could be made"
    assert not (tmp_path / "new" / "model.int8.onnx").exists()
    assert (tmp_path / "new" / "model.onnx").exists()
    card = json.loads((tmp_path / "new" / "card.json").read_text(encoding="utf-8"))
    assert "model.int8.onnx" not in card["files"]
    assert "model.int8.onnx" not in [form["file"] for form in card["forms"]]
    (seen,) = [form for form in card["refused"] if form["file"] == "model.int8.onnx"]
    assert seen["label_agreement"] < 0.99
    assert f"{100 * seen['label_agreement']:.2f} %" in seen["against_the_gate"]
    page = (tmp_path / "new" / "parity.md").read_text(encoding="utf-8")
    assert seen["against_the_gate"] in page
    assert "ONNX, 8 bits, refused" in page
    table = server("table", "--deploy", "--store", trained).out
    assert "Refused, so in 32 bits: student alone" in table
    assert "Written against the gate" not in table


def test_force_keeps_it_and_marks_it(server: Any, trained: Path, tmp_path: Path) -> None:
    ended = server("take", "student alone", "-o", tmp_path / "new", "--store", trained, "--force")
    assert ended.code == 0, ended.err
    assert "warning: in the folder by --force, against the gate: model.int8.onnx gives " in ended.err
    assert (tmp_path / "new" / "model.int8.onnx").exists()
    card = json.loads((tmp_path / "new" / "card.json").read_text(encoding="utf-8"))
    against = {form["file"]: form["against_the_gate"] for form in card["forms"]}
    assert against["model.onnx"] is None
    assert against["model.int8.onnx"] in (tmp_path / "new" / "parity.md").read_text(encoding="utf-8")
    assert card["refused"] == []


def test_nothing_is_written_where_32_bits_say_otherwise(server: Any, trained: Path, tmp_path: Path) -> None:
    ended = server("take", "teacher alone", "-o", tmp_path / "new", "--store", trained)
    assert ended.code == 2
    assert ended.err.startswith("error: refused: model.onnx gives ")
    assert "a form in 32 bits must say what was trained" in ended.err
    assert not (tmp_path / "new").exists()


def test_who_is_judged_is_not_calibrated_on(server: Any, tmp_path: Path) -> None:
    job = ("-d", DATA, "-p", "mlp(hidden=8):mlp(hidden=16)", "-m", "kd", "--protocol", "random-leaky-v1")
    place = ("--store", tmp_path / "runs")
    assert server("run", *job, "-S", "recipe.epochs=6", *place, "--no-track", "-j", 1).code == 0
    ended = server("take", "student alone", "-o", tmp_path / "new", *place)
    assert ended.code == 1, ended.err
    assert "model.int8.onnx is calibrated on windows of 6 people whom it is judged on too (0 1 2 3 4 ...)" in ended.err
    assert (tmp_path / "new" / "model.onnx").exists()

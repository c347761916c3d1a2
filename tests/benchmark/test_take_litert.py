"""LiteRT's files say what torch says, and a folder says why where there are none."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kdbench.deploy import tflite_forms

PAGE = Path(__file__).resolve().parents[2] / "docs" / "deploy.md"
HERE = not tflite_forms.absent()
JOB = ("-d", "synthetic(people=6, windows=6, length=32)", "-S", "recipe.epochs=2", "--no-track", "-j", 1)


@pytest.mark.slow
@pytest.mark.parametrize("student", ["fcn(width=0.1)", "gru(width=0.1)"])
def test_a_folder_has_the_files_or_the_reason(student: str, server: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    store, place = tmp_path / "runs", tmp_path / "phone"
    assert server("run", *JOB, "-p", f"mlp(hidden=8):{student}", "--store", store).code == 0
    ended = server("take", "student alone", "-o", place, "--store", store, "--force")
    assert ended.code == 0, ended.err
    own = ("trained model: ", "model.", "demo.html wants ", "wrote ")
    assert [line for line in ended.out.splitlines() if not line.startswith(own)] == [], "converters speak"
    card = json.loads((place / "card.json").read_text(encoding="utf-8"))
    forms = {form["file"]: form for form in card["forms"]}
    if not HERE:
        assert f"model.tflite and model.int8.tflite: {tflite_forms.HOW}" in card["left_out"]
        pytest.skip("litert-torch is not installed (pip install 'kdbench[litert]')")
    assert forms["model.tflite"]["label_agreement"] == 1
    assert forms["model.tflite"]["largest_difference"] < 1e-5
    assert forms["model.tflite"]["latency_ms"]["p50"] > 0
    (code,) = re.findall(r"## In LiteRT\n\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    used = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert used.returncode == 0, used.stderr
    assert float(used.stdout) < 1e-4
    if student.startswith("gru"):
        assert any(
            each.startswith("model.int8.tflite: LiteRT writes out each step of the GRU") for each in card["left_out"]
        )
        return
    assert forms["model.int8.tflite"]["label_agreement"] >= 0.9
    assert forms["model.int8.tflite"]["bytes"] < forms["model.tflite"]["bytes"]

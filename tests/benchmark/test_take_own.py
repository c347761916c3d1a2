"""Own recordings to a folder that another machine uses on a raw recording, by the script of the docs."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdbench.catalog.build import load_data
from kdbench.catalog.find import DATASETS
from kdbench.session import runtime
from kdbench.spec.words import Spec

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "deploy.md"
TOML = """
name = "wrist"
rate = 20
classes = ["still", "shaking"]
channels = [{ name = "ax", unit = "g" }, { name = "ay", unit = "g" }, { name = "az", unit = "g" }]
[split]
fraction = 0.34
[recordings]
person = { from = "file" }
label = "what"
length = 32
step = 8
"""


def record(path: Path, person: int, label: int, rng: np.random.Generator) -> None:
    t = np.arange(200)
    wave = label * np.sin(2 * np.pi * t / (8 + person))[:, None] + [0, 0.2, 9.8]
    rows = wave + 0.05 * rng.normal(size=(200, 3))
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if path.stat().st_size == 0:
            writer.writerow(["ax", "ay", "az", "what"])
        writer.writerows([*map(repr, map(float, row)), ["still", "shaking"][label]] for row in rows)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Six people's recordings of two activities."""
    folder, rng = tmp_path / "study", np.random.default_rng(0)
    folder.mkdir()
    (folder / "dataset.toml").write_text(TOML)
    for person in range(6):
        for label in (0, 1):
            record(folder / f"p{person}.csv", person, label, rng)
    return folder


def test_a_recording_is_cut_and_labelled_as_in_training(call: Any, study: Path, cache: Path, tmp_path: Path) -> None:
    data = f"own(path={study})"
    ran = call("run", "-d", data, "-p", "fcn(width=0.1):mlp(hidden=8)", "-m", "kd", "-S", "recipe.epochs=3", "-j", 1)
    assert ran.code == 0, ran.err
    phone = tmp_path / "elsewhere" / "phone"
    taken = call("take", "kd", "-o", phone, "--force")
    assert taken.code == 0, taken.err

    code, *_ = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(list(filter(None, code.splitlines()))) == 10
    shutil.copy(study / "p3.csv", phone.parent / "raw.csv")
    text = (phone.parent / "raw.csv").read_text().splitlines()
    (phone.parent / "raw.csv").write_text("\n".join(line.rpartition(",")[0] for line in text[:201]) + "\n")
    alone = "import sys\nfor name in ('torch', 'kdbench', 'pandas', 'onnx'):\n    sys.modules[name] = None\n"
    (phone.parent / "use.py").write_text(alone + code)
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "use.py", "raw.csv"]
    used = subprocess.run(command, cwd=phone.parent, capture_output=True, text=True, env=environment)
    assert used.returncode == 0, used.stderr
    said = [line.split(",") for line in used.stdout.splitlines()]

    prepared = load_data(DATASETS.close(Spec.parse(data)), runtime(store=tmp_path, cache=cache, device="cpu"))
    windows, people = prepared.windows, dict(prepared.report["people"])
    person = next(number for number, name in people.items() if name == "p3")
    mine = (windows.person == int(person)) & (windows.y == 0)
    session = onnxruntime.InferenceSession(str(phone / "model.int8.onnx"))
    (odds,) = session.run(None, {"windows": np.ascontiguousarray(windows.x[mine])})
    assert [float(line[0]) * 20 for line in said] == windows.start[mine].tolist()
    assert [line[1] for line in said] == [("still", "shaking")[k] for k in odds.argmax(axis=1)]
    assert [line[2] for line in said] == [f"{value:.3f}" for value in odds.max(axis=1)]


def test_the_table_of_what_was_taken_has_the_row_and_says_what_was_not(call: Any, study: Path, tmp_path: Path) -> None:
    data = f"own(path={study})"
    job = ("-d", data, "-p", "fcn(width=0.1):mlp(hidden=8)", "-m", "kd", "-S", "recipe.epochs=3")
    assert call("run", *job, "-j", 1).code == 0
    ended = call("table", "--deploy")
    assert ended.code == 2
    assert ended.error.startswith("no cell of this matrix was taken to a device yet")
    assert call("take", "student alone", "-o", tmp_path / "phone", "--force").code == 0
    lines = {line.split("|")[1].strip(): line for line in call("table", "--deploy").out.splitlines() if "|" in line}
    size = (tmp_path / "phone" / "model.int8.onnx").stat().st_size
    assert "1 of 1" in lines["student alone"]
    assert f"{size / 1000:.3g} kB" in lines["student alone"]
    assert "0 of 1" in lines["kd"]
    table = list(csv.DictReader(call("table", "--deploy", "--format", "csv").out.splitlines()))
    assert [(row["method"], float(row["size_bytes"])) for row in table] == [("student alone", size)]
    assert call("table", "--deploy", "--costs").code == 2
    assert call("take", "kd", "-o", tmp_path / "other", "--force").code == 0
    kept = [json.loads(path.read_text()) for path in Path(os.environ["KDBENCH_STORE"]).glob("*/deploy.json")]
    values = sorted(100 * each["macro_f1"] for each in kept)
    assert all(len(each["people"]) >= 2 for each in kept)
    told = call("table", "--deploy").out.partition("## Macro-F1")[2]
    lines = {line.split("|")[1].strip(): line for line in told.splitlines() if "|" in line}
    shown = [
        float(lines[row].split("|")[3].strip().strip("*").split()[0].strip("*")) for row in ("kd", "student alone")
    ]
    assert sorted(shown) == pytest.approx(values, abs=0.051)
    assert f"{shown[0] - shown[1]:+.1f}" in lines["kd"] or shown[0] == shown[1]
    assert "On the device, each row and student alone in the form above." in told

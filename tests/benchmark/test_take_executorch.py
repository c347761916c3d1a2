"""ExecuTorch's programs say what torch says, and a folder says why where there are none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdbench.architectures import Outputs
from kdbench.deploy import executorch_forms
from kdbench.deploy.plain import plain, recurrent
from kdbench.deploy.subject import Whole, probabilities

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402

HERE = not executorch_forms.absent()
wants = pytest.mark.skipif(not HERE, reason="executorch is not installed (pip install 'kdbench[executorch]')")
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")  # torch is as slow there as it says
X = np.random.default_rng(0).normal(size=(96, 3, 33)).astype(np.float32)


class Padded(nn.Module):
    """What XNNPACK does not quantise as it stands: uneven and named padding, normalisations that stand alone."""

    def __init__(self) -> None:
        super().__init__()
        uneven = nn.Sequential(nn.ConstantPad1d((3, 4), 0.0), nn.Conv1d(3, 4, 8))
        self.first = nn.Sequential(uneven, nn.BatchNorm1d(4), nn.ReLU())
        self.backwards = nn.Sequential(nn.ConstantPad1d((4, 3), 0.0), nn.Conv1d(4, 4, 8, stride=2))
        self.same = nn.Conv1d(4, 4, 6, padding="same", bias=False)
        self.wide = nn.Conv1d(4, 4, 4, padding="same", dilation=3)
        self.lone, self.flat = nn.BatchNorm1d(4), nn.BatchNorm1d(4, affine=False)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Outputs:
        stage = self.lone(self.wide(self.same(self.backwards(self.first(x)).relu())).relu())
        embedding = self.flat(stage.mean(dim=2))
        return Outputs(self.head(embedding), (stage,), embedding)


@pytest.fixture
def whole() -> Whole:
    torch.manual_seed(0)
    network = Padded().train()
    for _ in range(20):
        network(torch.from_numpy(X))
    return Whole(network, X.mean(axis=(0, 2)), X.std(axis=(0, 2))).eval().requires_grad_(False)


def test_plainer_layers_say_the_same(whole: Whole) -> None:
    before = probabilities(whole, X)
    made = plain(whole)
    kinds = {type(module) for module in made.modules()}
    assert not kinds & {nn.BatchNorm1d, nn.ConstantPad1d}
    named = [module.padding for module in made.modules() if isinstance(module, nn.Conv1d)]
    assert named.count("same") == 1  # one that no even padding can stand for
    np.testing.assert_allclose(probabilities(made, X), before, atol=1e-6)
    assert any(isinstance(module, nn.BatchNorm1d) for module in whole.modules())  # the model itself stays as it was


def test_recurrent_layers_are_told_by_their_kind() -> None:
    assert recurrent(nn.Sequential(nn.GRU(3, 2), nn.LSTM(2, 2), nn.GRU(2, 2))) == ["GRU", "LSTM"]
    assert recurrent(nn.Linear(2, 2)) == []


@dataclass
class Given:
    """What the forms ask of a subject: its model and its training windows."""

    model: Whole
    calibration: Any = range(32)
    fit: Any = range(32)
    check: Any = range(32, 96)

    def windows(self, rows: Any) -> Any:
        return np.ascontiguousarray(X[rows])


@wants
@pytest.mark.slow
def test_both_programs_run_and_the_one_in_32_bits_says_the_same(whole: Whole) -> None:
    subject: Any = Given(whole)
    wanted = probabilities(whole, X)
    said = executorch_forms.run(bytes(executorch_forms.lower(subject).program.buffer), X)
    np.testing.assert_allclose(said, wanted, atol=1e-5)
    lowered = executorch_forms.lower_int8(subject)
    said = executorch_forms.run(bytes(lowered.program.buffer), X)
    assert (said.argmax(axis=1) == wanted.argmax(axis=1)).mean() >= 0.95
    assert "weights 8 bits by channel" in lowered.how


class Shaped(nn.Module):
    """What XNNPACK refuses where the mean and what reads it in another shape have two scales."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.first = nn.Sequential(nn.Conv1d(3, 8, 5, padding=2), nn.ReLU())
        self.second = nn.Conv1d(8 if kind == "step" else 2, 8, 1)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Outputs:
        stage = self.first(x)
        pooled = stage.mean(dim=2)  # (B, 8)
        shapes = {"step": pooled[:, :, None], "view": pooled.view(-1, 2, 4), "turned": pooled.view(-1, 4, 2).mT}
        embedding = self.second(shapes[self.kind].abs() if self.kind == "turned" else shapes[self.kind]).relu()
        embedding = embedding.flatten(1) if self.kind == "step" else embedding.mean(dim=2)
        return Outputs(self.head(embedding), (stage,), embedding)


@wants
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["step", "view", "turned"])
def test_a_mean_that_gets_another_shape_is_quantised(kind: str) -> None:
    torch.manual_seed(0)
    whole = Whole(Shaped(kind), X.mean(axis=(0, 2)), X.std(axis=(0, 2))).eval().requires_grad_(False)
    subject: Any = Given(whole)
    said = executorch_forms.run(bytes(executorch_forms.lower_int8(subject).program.buffer), X)
    assert (said.argmax(axis=1) == probabilities(whole, X).argmax(axis=1)).mean() >= 0.9


@wants
@pytest.mark.slow
@pytest.mark.parametrize("student", ["fcn(width=0.1)", "gru(width=0.1)"])
def test_a_folder_has_the_programs_or_the_reason(student: str, server: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    store, place = tmp_path / "runs", tmp_path / "new"
    job = ("-d", "synthetic(people=6, windows=6, length=32)", "-p", f"mlp(hidden=8):{student}")
    assert server("run", *job, "-S", "recipe.epochs=2", "--store", store, "--no-track", "-j", 1).code == 0
    ended = server("take", "student alone", "-o", place, "--store", store, "--force")
    assert ended.code == 0, ended.err
    card = json.loads((place / "card.json").read_text(encoding="utf-8"))
    forms = {form["file"]: form for form in card["forms"]}
    (left_out,) = [each for each in card["left_out"] if "model.pte" in each] or [""]
    assert left_out in (place / "parity.md").read_text(encoding="utf-8")
    if student.startswith("gru"):
        assert "ExecuTorch has no GRU" in left_out
        assert "model.pte" not in forms
    else:
        assert forms["model.pte"]["label_agreement"] == 1
        assert forms["model.pte"]["largest_difference"] < 1e-5
        assert forms["model.int8.pte"]["label_agreement"] >= 0.9
        assert forms["model.pte"]["latency_ms"]["p50"] > 0
        with np.load(place / "golden.npz") as golden:
            assert executorch_forms.proven(place / "model.pte", len(golden["labels"])) == []
            altered = (place / "model.pte").read_bytes()
            window = golden["windows"][0].tobytes()
            assert window in altered
            (tmp_path / "altered.pte").write_bytes(altered.replace(window, (-9 * golden["windows"][0]).tobytes()))
        assert executorch_forms.proven(tmp_path / "altered.pte", 1) == [0]

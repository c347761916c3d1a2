"""Every network leaves torch: exported to ONNX, it says in onnxruntime what it says here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from kdbench.architectures import Backbone
from kdbench.catalog.find import NETWORKS

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

OPSET = 18
SIZE = (3, 32, 4)
QUICK = {"mlp", "cnn", "fcn", "lstm"}
"""One of each kind of layer; the others take seconds each."""

pytestmark = [
    # The exporter's own code, seen in torch 2.13.
    pytest.mark.filterwarnings("ignore:`isinstance\\(treespec, LeafSpec\\)` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:_check_is_size will be removed:FutureWarning"),
    # nn.LSTM and nn.GRU list their weights again on every call.
    pytest.mark.filterwarnings("ignore:The tensor attributes self.*_flat_weights:UserWarning"),
]


class Logits(nn.Module):
    """A network that returns its logits alone."""

    def __init__(self, network: Backbone) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x).logits
        return logits


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in NETWORKS.names()],
)
def test_an_exported_network_says_the_same_at_any_batch_size(build, name: str, tmp_path: Path) -> None:
    network = build(name, SIZE)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for _ in range(2):  # statistics of batch normalisation that are not the initial ones
            network.train()(3 * torch.randn(8, *SIZE[:2], generator=generator) + 1)
    model, path = Logits(network).eval().requires_grad_(False), tmp_path / "network.onnx"
    torch.onnx.export(
        model,
        (torch.randn(2, *SIZE[:2], generator=generator),),
        path,
        dynamo=True,
        opset_version=OPSET,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        output_names=["logits"],
        external_data=False,
        optimize=False,  # it takes as long as the rest together; the page on export has it
        verbose=False,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    assert taken.shape[1:] == list(SIZE[:2])
    assert [given.name for given in session.get_outputs()] == ["logits"]
    for batch in (1, 7):
        x = torch.randn(batch, *SIZE[:2], generator=generator)
        (logits,) = session.run(None, {taken.name: x.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(logits), model(x), rtol=1e-4, atol=1e-4)


def test_the_page_on_export_works_as_it_is_written(build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[2].joinpath("docs", "export.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    network = build("mlp", (9, 128, 6), hidden=64)
    torch.save(network.state_dict(), "student.pt")
    exec(code, {"__name__": "page"})
    session = onnxruntime.InferenceSession("student.onnx", providers=["CPUExecutionProvider"])
    x = torch.randn(3, 9, 128, generator=torch.Generator().manual_seed(0))
    (logits,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), network.eval()(x).logits.detach(), rtol=1e-4, atol=1e-4)

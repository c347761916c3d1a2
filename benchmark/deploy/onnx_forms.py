"""A model as ONNX, in float32 and quantised: exported, made small, calibrated on training windows, run."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kdbench.deploy.fewest import fewest
from kdbench.deploy.quiet import told
from kdbench.deploy.rounding import rounded
from kdbench.deploy.subject import Floats, Subject, Whole
from kdbench.errors import KdbenchError

OPSET = 18
INPUT, OUTPUT = "windows", "probabilities"

PASSED_ON = (
    "MaxPool",
    "Relu",
    "Pad",
    "Reshape",
    "Flatten",
    "Transpose",
    "ReduceMean",
    "Squeeze",
    "Unsqueeze",
    "Gather",
)
TAKEN = ("Conv", "Gemm", "MatMul", *PASSED_ON)
"""Operations that are quantised: products, and what only passes their numbers on."""

RECURRENT = ("LSTM", "GRU", "RNN")
"""Operations with weights that static quantisation of ONNX Runtime does not take."""

BATCH = 16
"""Windows of a calibration step; each step must have as many."""


@dataclass(frozen=True)
class Quantised:
    """A quantised model.

    Args:
        activations: their bits inside the network, 8 or 16; what goes in and the logits have 16.
        agreement: share of the training windows by which this was chosen that keep their label.
        left: operations with weights that stayed in float32, with how many there are.
    """

    activations: int
    agreement: float
    left: dict[str, int]

    @property
    def said(self) -> str:
        """How it is quantised, in words."""
        text = f"weights 8 bits by channel; activations {self.activations} bits, input and logits 16"
        if self.left:
            what = ", ".join(f"{count} {name}" for name, count in sorted(self.left.items()))
            text += f"; in float32: {what}, which static quantisation of ONNX Runtime does not take"
        return text


def needed() -> None:
    """Make sure that the packages are here.

    Raises:
        KdbenchError: if one is not.
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(name)
        except ModuleNotFoundError:
            raise KdbenchError(f"this needs {name}, which is not installed: pip install 'kdbench[onnx]'") from None


def export(model: Whole, channels: int, length: int, path: Path) -> None:
    """Write a model for any number of raw windows (C, T), padding written out, weights inside the file.

    Raises:
        KdbenchError: if torch's exporter cannot take the network.
    """
    example = torch.zeros(2, channels, length)
    with told("torch cannot export this network to ONNX"):
        torch.onnx.export(
            model,
            (example,),
            path,
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )
    _strip(path)


def quantise(subject: Subject, path: Path) -> Quantised:
    """Write a model with weights in 8 bits: activations in 8 bits too, or in 16 where that changes too many labels.

    Weights are rounded so that errors cancel. Rounding and ranges are fitted on training windows, and the choice is
    made by other training windows; the judged ones are not looked at.

    Args:
        subject: whose training windows calibrate.
        path: where to.

    Raises:
        KdbenchError: if ONNX Runtime cannot quantise it.
    """
    import onnx

    with tempfile.TemporaryDirectory(prefix="kdbench-") as place:
        whole = Path(place) / "rounded.onnx"
        export(rounded(subject.model, subject.windows(subject.fit)), len(subject.sees), subject.use.length, whole)

        def form(bits: int, windows: Floats) -> tuple[tuple[int, Path], Floats]:
            trial = Path(place) / f"{bits}.onnx"
            _quantise(subject, whole, trial, bits)
            return (bits, trial), run(trial, windows)

        (bits, trial), agreement = fewest(subject, (partial(form, bits) for bits in (8, 16)))
        path.write_bytes(trial.read_bytes())
    _shorten(path)
    nodes = Counter(node.op_type for node in onnx.load(path).graph.node)
    return Quantised(bits, agreement, {name: nodes[name] for name in RECURRENT if nodes[name]})


def _quantise(subject: Subject, whole: Path, path: Path, bits: int) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    windows = subject.windows(subject.calibration)
    size = min(BATCH, len(windows))

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            starts = range(0, len(windows) - size + 1, size)
            self.batches = iter([{INPUT: windows[first : first + size]} for first in starts])

        def get_next(self) -> dict[str, Any] | None:
            return next(self.batches, None)

    prepared = path.with_suffix(".prepared.onnx")
    with told("ONNX Runtime cannot quantise this network"):
        quant_pre_process(str(whole), str(prepared), skip_symbolic_shape=True)
        ends = {name: [{"quant_type": QuantType.QInt16}] for name in _ends(prepared)}
        quantize_static(
            str(prepared),
            str(path),
            Reader(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8 if bits == 8 else QuantType.QInt16,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=sorted(TAKEN),
            extra_options={"TensorQuantOverrides": ends} if bits == 8 else {},
        )
    _strip(path)


def _ends(path: Path) -> list[str]:
    """What comes out of the normalisation, and the logits: few numbers that many labels hang on."""
    import onnx

    graph = onnx.load(path).graph
    made = {node.output[0]: node for node in graph.node}
    last = made[graph.output[0].name]
    first = next(node for node in graph.node if node.op_type == "Div")
    read = Counter(name for node in graph.node if node.op_type in TAKEN for name in node.input)
    written = {node.output[0] for node in graph.node if node.op_type in TAKEN}
    ends = [first.output[0]] if read[first.output[0]] else []
    return ends + [name for name in last.input[:1] if name in written]


def run(path: Path, x: Floats) -> Floats:
    """Probabilities (N, K) of raw windows, on one thread of the CPU."""
    say = session(path)
    return np.concatenate([say(x[first : first + 256]) for first in range(0, len(x), 256)])


def session(path: Path) -> Callable[[Floats], Floats]:
    """A model that is loaded once: raw windows (N, C, T) to probabilities (N, K)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    loaded = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def say(x: Floats) -> Floats:
        (found,) = loaded.run([OUTPUT], {INPUT: x})
        return np.asarray(found, np.float32)

    return say


def _strip(path: Path) -> None:
    """Leave out what only a debugger reads, which is 12 kB of stack traces and names in a file of 25 kB."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    for holder in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        holder.doc_string = ""
        del holder.metadata_props[:]
    del graph.value_info[:]
    onnx.save(model, path)


def _shorten(path: Path) -> None:
    """Give everything inside a model a short name: of a small one, names that a quantiser makes are a tenth."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        return  # what a graph inside reads is named there too
    kept = {each.name for each in (*graph.input, *graph.output)} | {""}
    names = [each.name for each in graph.initializer] + [name for node in graph.node for name in node.output]
    short = {name: f"{number:x}" for number, name in enumerate(name for name in names if name not in kept)}
    for each in graph.initializer:
        each.name = short.get(each.name, each.name)
    for node in graph.node:
        node.name = ""
        node.input[:] = [short.get(name, name) for name in node.input]
        node.output[:] = [short.get(name, name) for name in node.output]
    onnx.save(model, path)

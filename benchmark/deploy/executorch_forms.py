"""A model as an ExecuTorch program for XNNPACK, in float32 and in 8 bits, bundled with the golden windows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kdbench.deploy.fewest import fewest
from kdbench.deploy.golden import golden
from kdbench.deploy.plain import plainer, recurrent
from kdbench.deploy.quiet import quiet, told
from kdbench.deploy.reshaped import unscaled_before_shapes
from kdbench.deploy.rounding import rounded
from kdbench.deploy.subject import Floats, Subject, Whole

HOW = "executorch is not installed: pip install 'kdbench[executorch]'"

NEAR = 1e-4
"""How far a probability of a bundled window may be from what is expected of it."""

BATCH = 16
"""Windows of a calibration step."""

WEIGHTED = ("conv1d", "linear")
"""Operations with weights, as their names in a graph begin."""


@dataclass(frozen=True)
class Lowered:
    """A program.

    Args:
        program: what runs, without the windows that are bundled with it.
        how: how it was made, in words.
    """

    program: Any
    how: str


def absent() -> bool:
    """Whether ExecuTorch is not here."""
    return find_spec("executorch") is None


def not_for(subject: Subject) -> str | None:
    """Why a network is not taken, if it is not."""
    kinds = recurrent(subject.model)
    if not kinds:
        return None
    return (
        f"ExecuTorch has no {' and no '.join(kinds)}: it writes out each of up to {subject.use.length} steps, which "
        "takes minutes and hundreds of kB, and XNNPACK quantises none of them; model.onnx has it"
    )


def lower(subject: Subject) -> Lowered:
    """The program in float32.

    Raises:
        KdbenchError: if ExecuTorch cannot take the network.
    """
    model = plainer(subject)
    with told("ExecuTorch cannot take this network"):
        return Lowered(_lowered(model, _one(subject)), "weights and activations 32 bits, one window at a time")


def lower_int8(subject: Subject) -> Lowered:
    """The program in 8 bits: all of it, or all but the layer that gives the logits.

    Rounding is fitted and ranges are read on training windows, and the choice is made by other training windows, as for
    ONNX; each is run by ExecuTorch for it, since what XNNPACK cannot take shows there and not before.

    Raises:
        KdbenchError: if XNNPACK cannot quantise the network.
    """
    model = rounded(plainer(subject), subject.windows(subject.fit))

    def form(how: str, whole: bool, windows: Floats) -> tuple[tuple[str, Any], Floats]:
        with told("XNNPACK cannot quantise this network"):
            program = _lowered(_quantised(subject, model, whole=whole), _one(subject))
        return (how, program), run(bytes(program.buffer), windows)

    ways = (("", True), (", the last layer with weights in float32", False))
    (how, program), _ = fewest(subject, (partial(form, *way) for way in ways))
    return Lowered(program, f"weights 8 bits by channel, activations 8 bits{how}")


def write_bundled(subject: Subject, lowered: Lowered, path: Path, expected: Floats) -> None:
    """Write a program with the golden windows and what is expected of them.

    Args:
        subject: whose golden windows.
        lowered: the program.
        path: where to.
        expected: (N, K) for the golden windows.
    """
    from executorch.devtools import BundledProgram
    from executorch.devtools.bundled_program.config import MethodTestCase, MethodTestSuite
    from executorch.devtools.bundled_program.serialize import serialize_from_bundled_program_to_flatbuffer

    rows, _ = golden(subject)
    windows = subject.windows(subject.split.evaluation[rows])
    cases = [
        MethodTestCase(inputs=[torch.from_numpy(window)[None]], expected_outputs=[torch.from_numpy(odds)[None]])
        for window, odds in zip(windows, expected, strict=True)
    ]
    with quiet():
        bundled = BundledProgram(lowered.program, [MethodTestSuite("forward", cases)])
        path.write_bytes(serialize_from_bundled_program_to_flatbuffer(bundled))


def run(program: bytes, x: Floats) -> Floats:
    """Probabilities (N, K) of raw windows, one at a time through ExecuTorch's runtime.

    Raises:
        KdbenchError: if it cannot be run.
    """
    with told("ExecuTorch's runtime cannot run it"):
        from executorch.extension.pybindings.portable_lib import _load_for_executorch_from_buffer

        module = _load_for_executorch_from_buffer(program)
        said = [module.forward((torch.from_numpy(window)[None],))[0].numpy().copy() for window in x]
    return np.concatenate(said)


def proven(path: Path, windows: int) -> list[int]:
    """Numbers of the bundled windows of which a file does not say what it should."""
    failed = []
    with quiet():
        from executorch.extension.pybindings import portable_lib

        bundle = portable_lib._load_bundled_program_from_buffer(path.read_bytes())
        for number in range(windows):
            try:
                bundle.verify_result_with_bundled_expected_output("forward", number, rtol=0, atol=NEAR)
            except RuntimeError:
                failed.append(number)
    return failed


def _one(subject: Subject) -> torch.Tensor:
    return torch.from_numpy(subject.windows(subject.calibration[:1]))


def _quantised(subject: Subject, model: Whole, *, whole: bool) -> nn.Module:
    """The network with 8 bits as XNNPACK wants them, still in torch.

    Args:
        subject: whose training windows calibrate.
        model: in float32.
        whole: all of it, or all but its last layer with weights.
    """
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    x = torch.from_numpy(subject.windows(subject.calibration))
    batch = torch.export.Dim("batch", min=1, max=4096)
    exported = torch.export.export(model, (x[:2],), dynamic_shapes=({0: batch},)).module()
    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    if not whole:
        *_, last = (node.name for node in exported.graph.nodes if node.name.startswith(WEIGHTED))
        quantizer.set_filter_function(lambda node: node.name != last)
    prepared = prepare_pt2e(exported, quantizer)
    with torch.no_grad():
        for first in range(0, len(x), BATCH):
            prepared(x[first : first + BATCH])
    return unscaled_before_shapes(convert_pt2e(prepared))


def _lowered(model: nn.Module, window: torch.Tensor) -> Any:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    exported = torch.export.export(model, (window,))
    return to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()

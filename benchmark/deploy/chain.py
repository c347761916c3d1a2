"""A model's graph as a chain of layers, where it is one: what the inference in C is written from.

The graph is read rather than the network's class, so that any network whose graph is a chain of these operations is
taken: the MLP, the CNN and the FCN, what some methods deploy of them, and a plug-in of the kind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kdbench.deploy.subject import Floats
from kdbench.errors import KdbenchError

SAME = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Gather")
"""Operations that leave the numbers of a window as they are, if they leave as many."""
RECURRENT = ("RNN", "GRU", "LSTM")


class NoChain(KdbenchError):
    """The graph is none, or has an operation that the inference in C has not; the message says which."""


@dataclass(frozen=True)
class Layer:
    """One step of the chain.

    Args:
        name: normalise, convolution, linear, relu, maximum, mean or softmax.
        into: shape of a window before it.
        out: and after it.
        numbers: kernel, stride and padding at the left, as far as the layer has them.
        weights: arrays that it reads, by what they are called in C.
    """

    name: str
    into: tuple[int, ...]
    out: tuple[int, ...]
    numbers: dict[str, int]
    weights: dict[str, Floats]

    @property
    def in_place(self) -> bool:
        """Whether its result may stand where its operand did."""
        return self.name in ("relu", "softmax")


def chain(path: Path) -> list[Layer]:
    """The layers of an exported model, first to last.

    Args:
        path: the model in float32.

    Raises:
        NoChain: if it is something else.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    known = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            known[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    (given,) = [each for each in graph.input if each.name not in known]
    shape = tuple(each.dim_value for each in given.type.tensor_type.shape.dim[1:])
    nodes = [node for node in graph.node if node.op_type != "Constant"]
    for node in nodes:
        if node.op_type in RECURRENT:  # what prepares its state would be named in its place
            raise NoChain(f"the inference in C has no {node.op_type}")
    reader, layers, at = _Reader(known), [], given.name
    for node in nodes:
        live = [name for name in node.input if name and name not in known]
        if live != [at]:
            raise NoChain(f"the network branches before a {node.op_type}; the inference in C takes a chain of layers")
        made = reader.layer(node, shape)
        layers += [made] if made is not None else []
        shape = made.out if made is not None else reader.reshaped(node, shape)
        at = node.output[0]
    return layers


class _Reader:
    """Makes layers of nodes.

    Args:
        known: arrays of the graph by name.
    """

    def __init__(self, known: dict[str, Any]) -> None:
        self.known = known
        self.mean: Floats | None = None

    def layer(self, node: Any, shape: tuple[int, ...]) -> Layer | None:
        """A node's layer; None where it does no arithmetic of its own.

        Raises:
            NoChain: if there is no such layer in C.
        """
        make = {
            "Sub": self._less,
            "Div": self._divided,
            "Conv": self._convolution,
            "Gemm": self._linear,
            "Relu": self._relu,
            "MaxPool": self._maximum,
            "ReduceMean": self._mean,
            "Softmax": self._softmax,
        }.get(node.op_type)
        if make is not None:
            return make(node, shape)
        if node.op_type in SAME:
            return None
        raise NoChain(f"the inference in C has no {node.op_type}")

    def reshaped(self, node: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A window's shape after a node that leaves its numbers as they are."""
        if node.op_type == "Sub":
            return shape
        if node.op_type == "Unsqueeze":
            return (*shape, 1)
        if node.op_type in ("Gather", "Squeeze"):
            if shape[-1] != 1:
                raise NoChain(f"{node.op_type} picks some of {shape}; the inference in C takes all")
            return shape[:-1]
        return shape if node.op_type == "Identity" else (math.prod(shape),)

    def _less(self, node: Any, shape: tuple[int, ...]) -> None:
        if self.mean is not None or node.input[1] not in self.known:
            raise NoChain("the inference in C subtracts a mean once, before everything else")
        self.mean = self._array(node.input[1])

    def _divided(self, node: Any, shape: tuple[int, ...]) -> Layer:
        if self.mean is None or node.input[1] not in self.known:
            raise NoChain("the inference in C divides by a deviation once, after the mean was subtracted")
        return Layer(
            "normalise",
            shape,
            shape,
            {},
            {"mean": self.mean.reshape(-1), "deviation": self._array(node.input[1]).reshape(-1)},
        )

    def _convolution(self, node: Any, shape: tuple[int, ...]) -> Layer:
        has = _attributes(node)
        weights = self._array(node.input[1])
        if len(shape) != 2 or weights.ndim != 3 or has.get("group", 1) != 1 or set(has.get("dilations", [1])) != {1}:
            raise NoChain("the inference in C has convolutions over time alone, without groups and gaps")
        if has.get("auto_pad", b"NOTSET") != b"NOTSET":
            raise NoChain("the inference in C wants padding written out")
        left, right = has.get("pads", [0, 0])
        (stride,) = has.get("strides", [1])
        outputs, _, kernel = weights.shape
        length = (shape[1] + left + right - kernel) // stride + 1
        bias = self._array(node.input[2]) if len(node.input) > 2 else np.zeros(outputs, np.float32)
        numbers = {"kernel": kernel, "stride": stride, "left": left}
        return Layer("convolution", shape, (outputs, length), numbers, {"weight": weights, "bias": bias})

    def _linear(self, node: Any, shape: tuple[int, ...]) -> Layer:
        has = _attributes(node)
        weights = self._array(node.input[1])
        if has.get("alpha", 1.0) != 1.0 or has.get("beta", 1.0) != 1.0 or has.get("transA", 0):
            raise NoChain("the inference in C has Gemm with factors of 1 alone")
        weights = weights if has.get("transB", 0) else np.ascontiguousarray(weights.T)
        bias = self._array(node.input[2]) if len(node.input) > 2 else np.zeros(len(weights), np.float32)
        return Layer("linear", (math.prod(shape),), (len(weights),), {}, {"weight": weights, "bias": bias})

    def _relu(self, node: Any, shape: tuple[int, ...]) -> Layer:
        return Layer("relu", shape, shape, {}, {})

    def _maximum(self, node: Any, shape: tuple[int, ...]) -> Layer:
        has = _attributes(node)
        (kernel,), (stride,) = has["kernel_shape"], has.get("strides", [1])
        if any(has.get("pads", [0, 0])) or has.get("ceil_mode", 0) or set(has.get("dilations", [1])) != {1}:
            raise NoChain("the inference in C has maxima without padding and gaps alone")
        length = (shape[1] - kernel) // stride + 1
        return Layer("maximum", shape, (shape[0], length), {"kernel": kernel, "stride": stride}, {})

    def _mean(self, node: Any, shape: tuple[int, ...]) -> Layer:
        axes = self.known[node.input[1]].tolist() if len(node.input) > 1 else _attributes(node).get("axes")
        if len(shape) != 2 or axes not in ([2], [-1]):
            raise NoChain("the inference in C has means over time alone")
        kept = _attributes(node).get("keepdims", 1)
        return Layer("mean", shape, (shape[0], 1) if kept else shape[:1], {}, {})

    def _softmax(self, node: Any, shape: tuple[int, ...]) -> Layer:
        if len(shape) != 1:
            raise NoChain("the inference in C has a softmax over classes alone")
        return Layer("softmax", shape, shape, {}, {})

    def _array(self, name: str) -> Floats:
        if name not in self.known:
            raise NoChain("the inference in C has products with weights alone, and none of two activations")
        return np.ascontiguousarray(self.known[name], np.float32)


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {each.name: helper.get_attribute_value(each) for each in node.attribute}

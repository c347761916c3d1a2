"""What a network costs, counted rather than guessed.

One window goes through the network in evaluation mode while every operation that torch dispatches is watched, with the
fused kernels that hide the inside of LSTM and attention layers switched off. Operations that do not depend on the
window (weights that are computed from weights) or that the logits do not depend on are left out.

**Products** are what `multiply_adds` totals. A bias is free, as a multiply-add starts from it.

==============  =======================================================================================================
kind            multiply-adds
==============  =======================================================================================================
convolution     (inputs / groups) x kernel for each value of the output, padding included
linear          product of activations with weights: inputs for each value of the output; bilinear: first inputs x
                (second inputs + 1)
attention       product of activations with activations (q k^T, a v): summed terms for each value of the output; one
                for an outer product, however it is written
recurrent       any product inside nn.LSTM, nn.GRU, nn.RNN and their cells, the first step's with the zero state too
==============  =======================================================================================================

**Element-wise work** is counted apart, since much of it is folded away in deployment (batch normalisation into the
convolution before it) and published totals leave it out. Activation functions, comparisons, copies and additions of a
constant are free.

==============  =======================================================================================================
kind            operations
==============  =======================================================================================================
normalisation   batch normalisation with stored statistics 1 for each value; with statistics of the input (layer, group,
                instance) 3 for each value (mean, variance, normalise), and 1 more for scale and shift
pooling         average: kernel for each value of the output; adaptive average, mean and sum: 1 for each value of the
                input; maximum: none, it compares
softmax         2 for each value: sum, division
gates           products inside recurrent layers that are no matrix products: 3 for each unit and step of an LSTM, 2 of
                a GRU; their additions are the other half of a multiply-add
arithmetic      other products, quotients and powers, and sums and differences of two activations (residual
                connections): 1 for each value of the result; a product with a sum (addcmul, lerp) 2; linear, bilinear
                and bicubic interpolation the 2, 4 and 16 values that it weighs; norms and running sums 1, variance and
                standard deviation 2 for each value of the input
==============  =======================================================================================================

An operation that no rule knows counts nothing and is named in a warning.

**Activation memory** is the peak, over the operations, of the float32 bytes of every activation that the operation or a
later one still reads, and of its result; the window itself counts as long as it is read. A view needs no memory, an
element-wise operation and a batch normalisation take the place of an operand that nothing reads afterwards. Weights and
the scratch space of kernels do not count.
"""

from __future__ import annotations

import copy
import io
import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from kdbench.architectures import evaluating, on_its_own

_UNKNOWN = "unknown"
PRODUCTS = ("convolution", "linear", "attention", "recurrent")
ELEMENTWISE = ("normalisation", "pooling", "softmax", "gates", "arithmetic")
FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class Counts:
    """What one window in evaluation mode costs.

    Args:
        products: multiply-adds by kind, in the order of ``PRODUCTS``.
        elementwise: element-wise operations by kind, in the order of ``ELEMENTWISE``.
        activation_memory: peak of live activations, bytes in float32.
    """

    products: Mapping[str, int]
    elementwise: Mapping[str, int]
    activation_memory: int

    @property
    def multiply_adds(self) -> int:
        """All products."""
        return sum(self.products.values())


def parameters(module: nn.Module) -> int:
    """Number of parameters, each counted once."""
    return sum(p.numel() for p in module.parameters())


def file_size(module: nn.Module) -> int:
    """Bytes of the saved state, parameters and buffers, with floating-point numbers in float32; tied weights once."""
    state, saved = module.state_dict(), dict[tuple[object, ...], Tensor]()
    for t in state.values():
        saved[_place(t)] = (t.float() if t.is_floating_point() else t).detach().cpu()
    buffer = io.BytesIO()
    torch.save({key: saved[_place(t)] for key, t in state.items()}, buffer)
    return buffer.tell()


def _place(tensor: Tensor) -> tuple[object, ...]:
    """The same for tensors that are one."""
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype


def multiply_adds(network: nn.Module, channels: int, length: int) -> int:
    """Multiply-adds of convolutions and matrix products for one window (C, T) in evaluation mode."""
    return counts(network, channels, length).multiply_adds


def counts(network: nn.Module, channels: int, length: int) -> Counts:
    """Work and memory for one window (C, T) in evaluation mode, by the rules at the top of this file.

    Args:
        network: returns `Outputs` or logits; a network on another device is copied to the CPU.
        channels: C.
        length: T, samples.

    Warns:
        UserWarning: names the operations that no rule knows.
    """
    network, channels = on_its_own(network, channels)
    like = next(network.parameters())
    if like.device.type != "cpu":
        network = copy.deepcopy(network).cpu()
    window = torch.zeros(1, channels, length, dtype=like.dtype)
    with evaluating(network), torch.no_grad(), _unfused(), _Watch(network, window) as watch:
        outputs = network(window)
    return watch.counts(getattr(outputs, "logits", outputs))


@contextmanager
def _unfused() -> Iterator[None]:
    """Without the kernels that do a whole LSTM or attention layer in one operation."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            # Leaving oneDNN's flags sets its TF32 switch too, which warns where there is no Intel GPU.
            warnings.filterwarnings("ignore", message="TF32 acceleration on top of oneDNN")
            with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH):
                yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@dataclass(frozen=True)
class _Operation:
    """An operation that depends on the window; activations are known by the address of their memory."""

    name: str
    kind: str
    work: int
    reads: frozenset[int]
    writes: frozenset[int]
    in_place: bool  # may take the place of an operand that nothing reads afterwards


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees the operations of one forward pass."""

    def __init__(self, network: nn.Module, window: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.network = network
        self.operations: list[_Operation] = []
        self.bytes: dict[int, int] = {}  # of each activation
        self.kept: list[Tensor] = []  # no address is used twice
        self.recurrent = 0  # how many recurrent layers the current operation is inside
        self.window = self._written(window)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch loads its compiler, for seconds, only to keep it away

    def __enter__(self) -> _Watch:
        def entered(*_: Any) -> None:
            self.recurrent += 1

        def left(*_: Any) -> None:
            self.recurrent -= 1

        self.hooks = ExitStack()
        for module in self.network.modules():
            if isinstance(module, nn.RNNBase | nn.RNNCellBase):
                self.hooks.enter_context(module.register_forward_pre_hook(entered))
                self.hooks.enter_context(module.register_forward_hook(left, always_call=True))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        self.hooks.close()
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        operands = [t for t in tree_leaves((args, kwargs or {})) if isinstance(t, Tensor)]
        results = [t for t in tree_leaves(result) if isinstance(t, Tensor)]
        self.kept += operands + results
        taken = {_address(t) for t in operands}
        is_view = not func._schema.is_mutable and {_address(t) for t in results} <= taken
        if is_view or not results or not (self.recurrent or taken & self.bytes.keys()):
            return result
        name = func.overloadpacket.__name__.removesuffix("_")
        live = [_address(t) in self.bytes for t in operands]
        kind, work = self._work(name, args, operands, live, results[0])
        self.operations.append(
            _Operation(
                name,
                kind,
                work,
                reads=frozenset(taken & self.bytes.keys()),
                writes=frozenset(map(self._written, results)),
                in_place=torch.Tag.pointwise in func.tags or "batch_norm" in name,
            )
        )
        return result

    def _written(self, result: Tensor) -> int:
        size = FLOAT32 if result.is_floating_point() else result.element_size()
        address = _address(result)
        self.bytes[address] = result.untyped_storage().nbytes() // result.element_size() * size
        self.kept.append(result)
        return address

    def _work(
        self, name: str, args: tuple[Any, ...], operands: list[Tensor], live: list[bool], result: Tensor
    ) -> tuple[str, int]:
        """Kind and amount of an operation's work."""
        if name in _FACTORS:
            left, right = _FACTORS[name]
            both = all(_address(args[i]) in self.bytes for i in (left, right))
            kind = "recurrent" if self.recurrent else "attention" if both else "linear"
            return kind, result.numel() * args[left].shape[-1]
        if name == "convolution":
            given, weight, transposed = args[0], args[1], args[6]
            return "convolution", (given if transposed else result).numel() * math.prod(weight.shape[1:])
        if name == "_trilinear":  # inside nn.Bilinear
            _, first, second = args[1].shape
            return "linear", result.numel() * first * (second + 1)
        if self.recurrent:
            return "gates", result.numel() if name == "mul" else 0
        if "_norm" in name and name.startswith(("native", "_native", "_batch", "cudnn")):
            stored = "batch_norm" in name and ("no_training" in name or args[5] is False)
            affine = args[1 if "group" in name or "batch" in name else 2] is not None
            return "normalisation", result.numel() * (1 if stored else 3 + affine)
        if name in ("avg_pool2d", "avg_pool3d"):
            return "pooling", result.numel() * math.prod(args[1])
        if name in ("mean", "sum") or name.startswith("_adaptive_avg_pool"):
            return "pooling", args[0].numel()
        if name in ("_softmax", "_safe_softmax", "_log_softmax"):
            return "softmax", 2 * result.numel()
        if name in ("add", "sub", "rsub"):
            return "arithmetic", result.numel() if sum(live) == 2 else 0
        if name == "mul" and sum(live) == 2 and result.numel() > max(t.numel() for t in operands):
            return "attention", result.numel()  # each value of one with each of the other: q k^T of two vectors
        if name in _EACH_RESULT:
            return "arithmetic", _EACH_RESULT[name] * result.numel()
        if name in _EACH_INPUT:
            return "arithmetic", _EACH_INPUT[name] * args[0].numel()
        return "arithmetic" if name in _FREE else _UNKNOWN, 0

    def counts(self, logits: Tensor) -> Counts:
        """What the logits depend on, added up."""
        needed, operations = {_address(logits)}, []
        for operation in reversed(self.operations):
            if operation.writes & needed:
                needed |= operation.reads
                operations.append(operation)
        operations.reverse()
        unknown = sorted({operation.name for operation in operations if operation.kind == _UNKNOWN})
        if unknown:
            warnings.warn(f"no rule counts {', '.join(unknown)}: their work is left out", stacklevel=3)
        last = {address: i for i, operation in enumerate(operations) for address in operation.reads}
        last[_address(logits)] = len(operations)
        live, peak = {self.window}, self.bytes[self.window]
        work: Counter[str] = Counter()
        for i, operation in enumerate(operations):
            work[operation.kind] += operation.work
            dying = {address for address in live if last.get(address, i) <= i}
            new = {address: self.bytes[address] for address in operation.writes - live if address in last}
            total = sum(self.bytes[address] for address in live) + sum(new.values())
            for size in new.values():
                if operation.in_place and any(self.bytes[a] >= size for a in dying & operation.reads):
                    total -= size
            peak = max(peak, total)
            live = (live - dying) | new.keys()
        return Counts({kind: work[kind] for kind in PRODUCTS}, {kind: work[kind] for kind in ELEMENTWISE}, peak)


_FACTORS = {
    "mm": (0, 1),
    "bmm": (0, 1),
    "mv": (0, 1),
    "dot": (0, 1),
    "addmm": (1, 2),
    "baddbmm": (1, 2),
    "addmv": (1, 2),
}
"""Which arguments of a matrix product are multiplied."""

_EACH_RESULT = {
    **dict.fromkeys(("mul", "div", "square", "pow", "reciprocal"), 1),
    **dict.fromkeys(("addcmul", "addcdiv", "lerp", "upsample_linear1d"), 2),
    "upsample_bilinear2d": 4,
    "upsample_bicubic2d": 16,
}
"""Arithmetic operations for each value of the result."""

_EACH_INPUT = {
    **dict.fromkeys(("linalg_vector_norm", "norm", "prod", "cumsum", "cumprod", "logsumexp"), 1),
    **dict.fromkeys(("var", "std", "var_mean", "std_mean"), 2),
}
"""Arithmetic operations for each value of the input."""

_FREE = frozenset(
    word
    for words in (
        # functions of one value
        "relu relu6 leaky_relu _prelu_kernel elu celu selu gelu silu mish softplus log_sigmoid_forward hardtanh "
        "hardsigmoid hardswish hardshrink softshrink threshold sigmoid tanh erf exp exp2 expm1 log log2 log10 "
        "log1p sqrt rsqrt sin cos tan atan abs neg sgn sign round floor ceil trunc glu",
        # comparisons and choices
        "clamp clamp_min clamp_max maximum minimum fmax fmin max min amax amin aminmax argmax argmin eq ne lt le "
        "gt ge where masked_fill logical_and logical_or logical_not logical_xor bitwise_and bitwise_or "
        "bitwise_not isnan isinf isfinite any all topk sort argsort max_pool2d_with_indices "
        "max_pool3d_with_indices adaptive_max_pool2d adaptive_max_pool3d",
        # copies
        "clone copy _to_copy cat stack repeat roll flip rot90 tril triu index index_select index_put gather "
        "scatter masked_select take embedding slice_scatter select_scatter constant_pad_nd reflection_pad1d "
        "reflection_pad2d replication_pad1d replication_pad2d upsample_nearest1d upsample_nearest2d pixel_shuffle "
        "_unsafe_view _reshape_copy im2col",
        # new tensors of an activation's size
        "fill zero new_zeros new_ones new_full new_empty zeros_like ones_like full_like empty_like",
    )
    for word in words.split()
)
"""Operations that count nothing."""


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()

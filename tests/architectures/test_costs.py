"""Every rule of counting, layer by layer, against closed forms written out by hand."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from kdbench.catalog.find import NETWORKS
from kdbench.costs.counting import Counts, counts, file_size, parameters

B4 = 4  # bytes of a float32


class Net(nn.Module):
    """A layer on windows (B, C, T), or on (B, T, C) where it is ``over_time``; what it returns are the logits."""

    def __init__(self, layer: nn.Module, *, over_time: bool = False) -> None:
        super().__init__()
        self.layer, self.over_time = layer, over_time

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer(x.transpose(1, 2) if self.over_time else x)
        logits: Tensor = out[0] if isinstance(out, tuple) else out
        return logits


class Attention(nn.Module):
    """Attention of a sequence with itself."""

    def __init__(self, width: int, heads: int, *, weights: bool) -> None:
        super().__init__()
        self.layer, self.weights = nn.MultiheadAttention(width, heads, batch_first=True), weights

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x, x, x, need_weights=self.weights)[0]
        return out


def counted(layer: nn.Module, channels: int, length: int, *, over_time: bool = False) -> Counts:
    return counts(Net(layer, over_time=over_time), channels, length)


def work(layer: nn.Module, channels: int, length: int, *, over_time: bool = False) -> dict[str, int]:
    """Products and element-wise work together, without what is zero."""
    found = counted(layer, channels, length, over_time=over_time)
    assert found.multiply_adds == sum(found.products.values())
    return {kind: n for kind, n in {**found.products, **found.elementwise}.items() if n}


C, T = 6, 40
CONVOLUTIONS = [
    # settings, outputs, samples out, multiply-adds of one output value
    ({"kernel_size": 5}, 8, 36, 6 * 5),
    ({"kernel_size": 5, "padding": 2}, 8, 40, 6 * 5),
    ({"kernel_size": 5, "padding": 2, "bias": False}, 8, 40, 6 * 5),
    ({"kernel_size": 3, "stride": 2}, 8, 19, 6 * 3),
    ({"kernel_size": 3, "dilation": 4}, 8, 32, 6 * 3),
    ({"kernel_size": 3, "groups": 2}, 8, 38, 3 * 3),
    ({"kernel_size": 3, "groups": 6}, 12, 38, 1 * 3),
    ({"kernel_size": 1}, 8, 40, 6),
]


@pytest.mark.parametrize(("settings", "outputs", "samples", "each"), CONVOLUTIONS)
def test_a_convolution_multiplies_once_per_weight_that_a_value_sees(
    settings: dict[str, int], outputs: int, samples: int, each: int
) -> None:
    assert work(nn.Conv1d(C, outputs, **settings), C, T) == {"convolution": outputs * samples * each}


def test_a_transposed_convolution_multiplies_once_per_weight_that_an_input_reaches() -> None:
    layer = nn.ConvTranspose1d(C, 8, 3, stride=2)
    assert work(layer, C, T) == {"convolution": C * T * 8 * 3}


def test_a_convolution_over_two_axes_has_both_in_its_kernel() -> None:
    layer = nn.Sequential(nn.Unflatten(1, (1, C)), nn.Conv2d(1, 8, (2, 5)))
    assert work(layer, C, T) == {"convolution": 8 * (C - 1) * (T - 4) * 2 * 5}


def test_the_weights_of_a_normed_convolution_are_computed_once_and_not_for_each_window() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.Conv1d(C, 8, 5))
    assert work(layer, C, T) == {"convolution": 8 * (T - 4) * C * 5}


@pytest.mark.parametrize("bias", [True, False])
def test_a_dense_layer_multiplies_once_per_weight_and_step(bias: bool) -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(C * T, 7, bias=bias))
    assert work(flat, C, T) == {"linear": C * T * 7}
    assert work(nn.Linear(C, 7, bias=bias), C, T, over_time=True) == {"linear": T * C * 7}


UNITS = 5


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(("kind", "gates", "mixing"), [(nn.LSTM, 4, 3), (nn.GRU, 3, 2), (nn.RNN, 1, 0)])
def test_a_recurrent_layer_multiplies_input_and_state_for_every_gate_and_step(
    kind: Callable[..., nn.Module], gates: int, mixing: int, layers: int, both_ways: bool, bias: bool
) -> None:
    directions = 1 + both_ways
    layer = kind(C, UNITS, layers, batch_first=True, bidirectional=both_ways, bias=bias)
    inputs = [C, *[UNITS * directions] * (layers - 1)]
    products = sum(T * directions * gates * UNITS * (given + UNITS) for given in inputs)
    elementwise = {"gates": T * layers * directions * mixing * UNITS} if mixing else {}
    assert work(layer, C, T, over_time=True) == {"recurrent": products, **elementwise}


class Stepped(nn.Module):
    """A recurrent cell called at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(C, UNITS)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), UNITS)
        for step in x.unbind(1):
            state = self.cell(step, state)
        return state


def test_a_recurrent_cell_is_counted_as_its_layer() -> None:
    assert work(Stepped(), C, T, over_time=True)["recurrent"] == T * 3 * UNITS * (C + UNITS)


@pytest.mark.parametrize("weights", [True, False])
def test_attention_is_four_projections_and_two_products_of_activations(weights: bool) -> None:
    width, heads = 6, 3
    found = work(Attention(width, heads, weights=weights), width, T, over_time=True)
    assert found["linear"] == 4 * T * width * width
    assert found["attention"] == 2 * T * T * width  # q k^T and a v, over all heads
    assert found["softmax"] == 2 * heads * T * T
    # The scale of 1 / sqrt(width of a head): of q alone, or its root of q and of k.
    assert found["arithmetic"] == (T * width if weights else 2 * T * width)
    assert found.keys() == {"linear", "attention", "softmax", "arithmetic"}


@pytest.mark.parametrize("norm_first", [True, False])
def test_an_encoder_layer_is_counted_whole_although_torch_would_fuse_it(norm_first: bool) -> None:
    width, heads, inner = 6, 2, 10
    layer = nn.TransformerEncoderLayer(width, heads, inner, batch_first=True, norm_first=norm_first)
    assert work(layer, width, T, over_time=True) == {
        "linear": T * (4 * width * width + 2 * width * inner),
        "attention": 2 * T * T * width,
        "softmax": 2 * heads * T * T,
        "normalisation": 2 * T * width * 4,
        "arithmetic": 2 * T * width + 2 * T * width,  # scale; residual connections
    }


def test_an_encoder_of_several_layers_is_several_times_one() -> None:
    def encoder(layers: int) -> dict[str, int]:
        layer = nn.TransformerEncoderLayer(6, 2, 10, batch_first=True)
        return work(nn.TransformerEncoder(layer, layers), 6, T, over_time=True)

    assert encoder(3) == {kind: 3 * n for kind, n in encoder(1).items()}


@pytest.mark.parametrize(
    ("layer", "operations"),
    [
        (nn.AvgPool1d(4), C * T),
        (nn.AvgPool1d(4, stride=2), C * 19 * 4),
        (nn.AdaptiveAvgPool1d(1), C * T),
        (nn.AdaptiveAvgPool1d(8), C * T),
        (nn.MaxPool1d(4), 0),
        (nn.AdaptiveMaxPool1d(1), 0),
    ],
)
def test_an_average_costs_what_it_sums_and_a_maximum_nothing(layer: nn.Module, operations: int) -> None:
    assert work(nn.Sequential(nn.Conv1d(C, C, 1), layer), C, T) == {
        "convolution": C * C * T,
        **({"pooling": operations} if operations else {}),
    }


@pytest.mark.parametrize(
    ("layer", "each"),
    [
        (nn.BatchNorm1d(C), 1),
        (nn.BatchNorm1d(C, affine=False), 1),
        (nn.BatchNorm1d(C, track_running_stats=False), 4),
        (nn.InstanceNorm1d(C), 3),
        (nn.InstanceNorm1d(C, affine=True), 4),
        (nn.GroupNorm(2, C), 4),
        (nn.GroupNorm(2, C, affine=False), 3),
        (nn.LayerNorm(T), 4),
        (nn.LayerNorm(T, elementwise_affine=False), 3),
    ],
)
def test_a_normalisation_costs_more_where_it_has_to_take_statistics(layer: nn.Module, each: int) -> None:
    found = work(nn.Sequential(nn.Conv1d(C, C, 1), layer), C, T)
    assert found == {"convolution": C * C * T, "normalisation": each * C * T}


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.place = nn.Conv1d(C, C, 1), nn.Parameter(torch.ones(C, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.conv(x)) * 0.5 + self.place


def test_a_sum_of_activations_and_a_scale_count_and_a_constant_added_does_not() -> None:
    assert work(Residual(), C, T) == {"convolution": C * C * T, "arithmetic": 2 * C * T}


class Pointwise(nn.Module):
    """A convolution and one function of what it gives."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv1d(C, C, 1, bias=False), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.conv(x))


@pytest.mark.parametrize(
    ("function", "operations"),
    [
        (torch.square, C * T),
        (lambda z: z**3, C * T),
        (lambda z: torch.addcmul(z, z, z), 2 * C * T),
        (lambda z: torch.lerp(z, 2 + z.relu(), 0.5), 2 * C * T),
        (lambda z: z.var(dim=2), 2 * C * T),
        (lambda z: torch.linalg.vector_norm(z, dim=2), C * T),
        (lambda z: nn.functional.interpolate(z, scale_factor=2, mode="linear"), 2 * C * 2 * T),
        (lambda z: nn.functional.interpolate(z, scale_factor=2, mode="nearest"), 0),
        (lambda z: torch.cat([z.relu(), z.sigmoid()]).clamp(0, 1), 0),
    ],
    ids=["square", "power", "addcmul", "lerp", "variance", "norm", "linear", "nearest", "free"],
)
def test_arithmetic_of_single_values_is_counted(function: Callable[[Tensor], Tensor], operations: int) -> None:
    assert counts(Pointwise(function), C, T).elementwise["arithmetic"] == operations


class Pairing(nn.Module):
    """A bilinear layer over the channels of each sample, with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Bilinear(C, C, 7)

    def forward(self, x: Tensor) -> Tensor:
        steps = x.transpose(1, 2).contiguous()
        out: Tensor = self.layer(steps, steps)
        return out


def test_a_bilinear_layer_is_a_matrix_for_each_output_and_a_product_with_its_result() -> None:
    assert counts(Pairing(), C, T).products["linear"] == T * 7 * (C * C + C)


def test_an_operation_that_no_rule_knows_is_named_in_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"no rule counts _fft_r2c: their work is left out"):
        found = counts(Pointwise(lambda z: torch.fft.rfft(z).abs()), C, T)
    assert found.multiply_adds == C * C * T


class Spare(nn.Module):
    """Computes more than its logits need."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.spare = nn.Linear(T, 3), nn.Linear(T, 1000)
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.last = self.spare(x)
        out: Tensor = self.used(x)
        return out


def test_what_the_logits_do_not_depend_on_costs_nothing() -> None:
    found = counted(Spare(), C, T)
    assert found.products["linear"] == C * T * 3
    assert found.activation_memory == B4 * (C * T + C * 3)


def test_the_fast_paths_of_evaluation_are_back_on_afterwards_and_the_mode_is_kept() -> None:
    network = Net(nn.TransformerEncoderLayer(C, 2, 8, batch_first=True), over_time=True).train()
    network.layer.dropout.eval()
    before = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled, torch.get_rng_state()
    with torch.no_grad():
        inside = counts(network, C, T)
    assert inside == counts(network, C, T)
    assert [name for name, module in network.named_modules() if not module.training] == ["layer.dropout"]
    assert (torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_a_network_that_cannot_take_the_window_is_left_as_it_was() -> None:
    network = Net(nn.Sequential(nn.LSTM(C, 4, batch_first=True)), over_time=True).train()
    with pytest.raises(RuntimeError):
        counts(network, C + 1, T)
    assert network.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    assert torch.backends.mkldnn.enabled


def memory(*layers: nn.Module) -> int:
    return counts(Net(nn.Sequential(*layers)), C, T).activation_memory


def test_memory_peaks_where_a_layers_input_and_output_are_largest_together() -> None:
    assert memory(nn.Conv1d(C, 20, 1), nn.Conv1d(20, 3, 1)) == B4 * T * (C + 20)
    assert memory(nn.Conv1d(C, 2, 1), nn.Conv1d(2, 30, 1)) == B4 * T * (2 + 30)


def test_element_wise_layers_and_views_need_no_memory_of_their_own() -> None:
    conv = nn.Conv1d(C, 20, 1)
    plain = memory(conv)
    assert plain == B4 * T * (C + 20)
    assert memory(conv, nn.BatchNorm1d(20), nn.ReLU(), nn.Dropout(), nn.Flatten()) == plain


def test_a_shortcut_keeps_its_activation_alive() -> None:
    class Shortcut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv1d(C, 10, 1), nn.Conv1d(10, C, 1)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.second(self.first(x))

    assert memory(nn.Conv1d(C, 10, 1), nn.Conv1d(10, C, 1)) == B4 * T * (C + 10)
    assert memory(Shortcut()) == B4 * T * (C + 10 + C)


def test_memory_is_that_of_float32_whatever_the_network_is_in() -> None:
    network = Net(nn.Conv1d(C, 20, 1)).double()
    assert counts(network, C, T).activation_memory == B4 * T * (C + 20)


def test_stages_kept_for_a_method_do_not_count_as_memory(build) -> None:
    hidden = 300
    network = build("mlp", (C, T, 4), hidden=hidden)
    assert counts(network, C, T).activation_memory == B4 * max(C * T + hidden, 2 * hidden)


def test_the_file_is_what_torch_saves() -> None:
    network = nn.Sequential(nn.Conv1d(C, 500, 9), nn.BatchNorm1d(500))
    buffer = io.BytesIO()
    torch.save(dict(network.state_dict()), buffer)
    state = B4 * (parameters(network) + 2 * 500) + 8  # statistics, and how many batches they are of
    assert state <= file_size(network) == len(buffer.getvalue()) <= 1.05 * state + 4096
    assert file_size(network.double()) == len(buffer.getvalue())


def test_tied_weights_are_in_the_file_once_whatever_their_precision() -> None:
    layer = nn.Linear(200, 200)
    alone, tied = nn.Sequential(layer), nn.Sequential(layer, nn.ReLU(), layer)
    assert file_size(alone) <= file_size(tied) <= file_size(alone) + 1024
    assert file_size(tied.double()) == file_size(tied.float())


def test_an_outer_product_of_activations_counts_as_the_matrix_product_that_it_is() -> None:
    class Outer(nn.Module):
        def __init__(self, written: str) -> None:
            super().__init__()
            self.written, self.scale = written, nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            q, k = x[:, 0, :, None], x[:, 1, None, :] * self.scale
            return q * k if self.written == "product" else q @ k

    for written in ("product", "matmul"):
        found = counts(Outer(written), 2, 16)
        assert found.products["attention"] == 16 * 16, written
        assert found.elementwise["arithmetic"] == 16, written  # scaling k


def test_the_headline_teacher_counts_what_is_counted_by_hand() -> None:
    found = counts(NETWORKS.get("resnet_lstman")(9, 128, 6), 9, 128)
    assert found.multiply_adds == 261_343_488
    assert found.products["attention"] == 2 * (128 * 128 + 128 * 128)  # q k^T and a v of two layers

"""MobileNet: its counts against the published ones, and what a separable block mixes."""

from __future__ import annotations

import pytest
import torch

from kdbench.architectures import probe
from kdbench.costs.counting import multiply_adds, parameters

UCI = (9, 128, 6)
# inputs, outputs and length after each separable block, for windows of 128
BLOCKS = [
    (32, 64, 64), (64, 128, 32), (128, 128, 32), (128, 256, 16), (256, 256, 16), (256, 512, 8),
    *[(512, 512, 8)] * 5, (512, 1024, 4), (1024, 1024, 4),
]  # fmt: skip


def test_mobile_net_costs_what_thirteen_separable_blocks_cost(build) -> None:
    network = build("mobile_net", UCI, small=False)
    blocks = sum(3 * a + 2 * a + a * b + 2 * b for a, b, _ in BLOCKS)  # two convolutions without bias, two norms
    assert parameters(network) == 3 * 9 * 32 + 2 * 32 + blocks + 1025 * 6 == 3_183_366
    by_hand = 64 * 3 * 9 * 32 + sum((3 * a + a * b) * length for a, b, length in BLOCKS) + 1024 * 6
    assert multiply_adds(network, *UCI[:2]) == by_hand == 20_506_624


def test_the_count_is_that_of_the_network_for_images_but_for_its_square_kernels(build) -> None:
    # Public code for images has 4,231,976 trainable parameters (4.2 million in the paper): 3 channels, 1000 classes.
    network = build("mobile_net", (3, 224, 1000), small=False)
    square = (9 - 3) * (3 * 32 + sum(a for a, _, _ in BLOCKS))
    assert parameters(network) + square == 4_231_976


@pytest.mark.parametrize(("length", "lengths"), [(128, [64, 32, 16, 8, 4]), (90, [45, 23, 12, 6, 3]), (1, [1] * 5)])
def test_a_stage_is_half_as_long_as_the_one_before_it(build, length: int, lengths: list[int]) -> None:
    stages = probe(build("mobile_net", (3, length, 4), width=0.25), 3, length).stages
    assert stages == tuple(zip([16, 32, 64, 128, 256], lengths, strict=True))


def test_a_separable_block_filters_each_channel_alone_and_mixes_them_at_one_sample(build) -> None:
    along_time, across = build("mobile_net", (3, 32, 4), width=0.25).eval().stages[0][0]
    x = torch.randn(1, 8, 16, generator=torch.Generator().manual_seed(0))
    other = x.clone()
    other[:, 5] += 1
    moved = (along_time(other) != along_time(x)).any(dim=2)[0]
    assert moved.tolist() == [channel == 5 for channel in range(8)]
    other = x.clone()
    other[:, :, 7] += 1
    moved = (across(other) != across(x)).any(dim=1)[0]
    assert moved.tolist() == [sample == 7 for sample in range(16)]

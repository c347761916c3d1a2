"""The residual network against its counts and the teacher that it is a branch of."""

from __future__ import annotations

import torch

from kdbench.architectures import probe
from kdbench.costs.counting import multiply_adds, parameters

UCI = (9, 128, 6)


def block(inputs: int, outputs: int, *, project: bool) -> int:
    """Parameters: convolutions 8, 5, 3 with biases, their normalisations, and the shortcut's."""
    body = (8 * inputs + 1) * outputs + (5 * outputs + 1) * outputs + (3 * outputs + 1) * outputs + 3 * 2 * outputs
    return body + ((inputs + 1) * outputs if project else 0) + 2 * outputs


def test_resnet_has_two_million_parameters_and_257_million_multiply_adds(build) -> None:
    network = build("resnet", UCI, small=False)
    blocks = block(9, 128, project=True) + block(128, 256, project=True) + block(256, 256, project=False)
    assert parameters(network) == blocks + 257 * 6 == 2_018_182
    weights = 8 * 9 * 128 + 8 * 128**2 + 9 * 128 + 8 * 128 * 256 + 8 * 256**2 + 128 * 256 + 8 * 256**2 + 8 * 256**2
    assert multiply_adds(network, *UCI[:2]) == 128 * weights + 256 * 6 == 257_181_184


def test_resnet_is_the_residual_branch_of_resnet_lstman(build) -> None:
    teacher, branch = build("resnet_lstman", UCI).eval(), build("resnet", UCI).eval()
    branch.blocks.load_state_dict(teacher.blocks.state_dict())
    x = torch.randn(2, 9, 128, generator=torch.Generator().manual_seed(0))
    whole, alone = teacher(x), branch(x)
    assert len(alone.stages) == 3
    assert all(torch.equal(a, b) for a, b in zip(alone.stages, whole.stages[:3], strict=True))
    assert torch.equal(alone.embedding, whole.embedding[:, : alone.embedding.shape[1]])


def test_half_the_width_is_the_first_published_network(build) -> None:
    network = build("resnet", UCI, small=False, width=0.5)
    assert probe(network, *UCI[:2]).stages == ((64, 128), (128, 128), (128, 128))

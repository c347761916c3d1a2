"""A frozen teacher is run once and then served from its files, which changes no number and leaves no gradient."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import kdbench.training.evaluate
import kdbench.training.teachers
from kdbench.architectures import Backbone, Outputs
from kdbench.catalog.find import NETWORKS

NAME = "resnet_lstman"
ROWS = (14, 0, 3, 3, 9)  # not in order, one twice


@pytest.fixture
def network(bench) -> Backbone:
    """A network whose batch normalisation has seen windows."""
    made: Backbone = bench.network(NAME, trained=True).network
    return made


@pytest.fixture
def served(bench, network: Backbone):  # type: ignore[no-untyped-def]
    return bench.frozen(bench.network(NAME, trained=True))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kdbench.training.evaluate, "CHUNK", 4)


def fields(outputs: Outputs) -> list[Tensor]:
    return [outputs.logits, outputs.embedding, *outputs.pooled, *outputs.stages]


def live(network: Backbone, x: Tensor) -> list[Tensor]:
    """All fields of all windows in evaluation mode, in the order of their rows, four at a time."""
    network.eval().requires_grad_(False)  # torch's GRU rounds otherwise where its weights could learn
    with torch.no_grad():
        parts = [fields(network(x[first : first + 4])) for first in range(0, len(x), 4)]
    return [torch.cat(part) for part in zip(*parts, strict=True)]


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if not entry.name.endswith(".lock"))


@pytest.mark.parametrize("name", NETWORKS.names())
def test_served_outputs_are_those_of_a_live_pass_bit_for_bit(bench, name: str) -> None:
    wanted = live(bench.network(name, trained=True).network, bench.x)
    served = bench.frozen(bench.network(name, trained=True))
    for rows in (ROWS, tuple(range(15)), (7,)):
        got = fields(served(bench.batch(*rows)))
        assert [g.shape[0] for g in got] == [len(rows)] * len(wanted)
        assert all(torch.equal(g, w[list(rows)]) for g, w in zip(got, wanted, strict=True))


def test_files_serve_a_later_process_without_running_the_network(bench, network: Backbone, served, monkeypatch) -> None:
    wanted = fields(served(bench.batch(*ROWS)))
    later = bench.frozen(bench.network(NAME, trained=True))
    assert later.stage_count == len(network(bench.x[:1]).stages)

    def not_again(*args: object) -> Iterator[Outputs]:
        raise AssertionError("the network ran again")

    monkeypatch.setattr(kdbench.training.teachers, "outputs_in_order", not_again)
    got = fields(later(bench.batch(*ROWS)))
    assert all(torch.equal(g, w) for g, w in zip(got, wanted, strict=True))


def test_only_what_is_touched_is_computed_and_written(bench, served) -> None:
    outputs = served(bench.batch())
    assert not served.folder.exists()
    assert outputs.logits.shape == (8, 4)
    assert names(served.folder) == ["small"]
    assert outputs.pooled
    assert len(outputs.stages) == 5
    assert names(served.folder) == ["small"]
    wide = outputs.stages[1]
    assert names(served.folder) == ["small", "stage1"]
    torch.testing.assert_close(wide.mean(dim=2), outputs.pooled[1])
    assert torch.equal(outputs.stages[-1], served(bench.batch()).stages[4])
    assert names(served.folder) == ["small", "stage1", "stage4"]


def test_stages_are_indexed_and_sliced_like_a_tuple(bench, served) -> None:
    stages = served(bench.batch()).stages
    assert [stage.shape for stage in stages[1:4:2]] == [stages[1].shape, stages[3].shape]
    assert len(tuple(stages)) == 5
    with pytest.raises(IndexError):
        stages[5]


def test_outputs_have_no_fields_but_their_own(bench, served) -> None:
    with pytest.raises(AttributeError, match="attention"):
        served(bench.batch()).attention  # noqa: B018


def test_a_teacher_served_from_a_memory_mapped_file_says_the_same(bench, served, monkeypatch) -> None:
    on_device = fields(served(bench.batch(*ROWS)))
    monkeypatch.setattr(kdbench.training.teachers, "ON_DEVICE", 0)
    mapped = bench.frozen(bench.network(NAME, trained=True))
    first = fields(mapped(bench.batch(*ROWS)))
    assert all(torch.equal(a, b) for a, b in zip(first, on_device, strict=True))
    for field in first:
        field.zero_()  # what a method does to a batch does not reach the file, nor the next batch
    again = fields(mapped(bench.batch(*ROWS)))
    assert all(torch.equal(a, b) for a, b in zip(again, on_device, strict=True))
    later = fields(bench.frozen(bench.network(NAME, trained=True))(bench.batch(*ROWS)))
    assert all(torch.equal(a, b) for a, b in zip(later, on_device, strict=True))


def test_an_augmented_batch_is_judged_live(bench, network: Backbone, served) -> None:
    batch = bench.batch(*ROWS).with_inputs(bench.x[:5] + 1)
    network.eval()
    with torch.no_grad():
        wanted = fields(network(bench.x[:5] + 1))
    got = fields(served(batch))
    assert all(torch.equal(g, w) for g, w in zip(got, wanted, strict=True))
    assert not any(g.requires_grad for g in got)
    assert not served.folder.exists(), "what was said of other inputs is not kept"


def test_no_gradient_reaches_the_teacher(bench, served) -> None:
    before = {key: value.clone() for key, value in served.network.state_dict().items()}
    outputs = served(bench.batch())
    assert not any(field.requires_grad for field in fields(outputs))
    assert not any(p.requires_grad for p in served.network.parameters())
    assert not served.network.training
    assert bench.same(before, dict(served.network.state_dict()))


@pytest.mark.parametrize("role", ["frozen", "peer"])
def test_the_teachers_head_passes_gradients_on_and_keeps_none(bench, role: str) -> None:
    training = bench.training("hmkd", NAME, "mlp", role)
    head: nn.Linear = training.teacher.network.head
    features = torch.randn(3, head.in_features, requires_grad=True)
    logits = training.nets.teacher_head(features)
    torch.testing.assert_close(logits, head(features))
    logits.square().sum().backward()
    assert features.grad.abs().max() > 0
    assert head.weight.grad is None


def test_what_a_killed_process_left_is_never_read(bench, network: Backbone, served) -> None:
    wanted = live(network, bench.x)
    left = served.folder / ".small-left"
    left.mkdir(parents=True)
    np.save(left / "logits.npy", np.full((15, 4), 7, np.float32))
    (left / "embedding.npy").write_bytes(b"half")
    (served.folder / "small.lock").touch()
    got = fields(served(bench.batch(*ROWS)))
    assert all(torch.equal(g, w[list(ROWS)]) for g, w in zip(got, wanted, strict=True))


def test_a_pass_that_breaks_off_leaves_no_folder_and_the_next_one_starts_over(
    bench, network: Backbone, served, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = kdbench.training.teachers.outputs_in_order

    def broken(network: nn.Module, x: Tensor) -> Iterator[Outputs]:
        yield next(whole(network, x))
        raise KeyboardInterrupt

    monkeypatch.setattr(kdbench.training.teachers, "outputs_in_order", broken)
    with pytest.raises(KeyboardInterrupt):
        served(bench.batch()).logits  # noqa: B018
    assert names(served.folder) == []
    monkeypatch.setattr(kdbench.training.teachers, "outputs_in_order", whole)
    assert torch.equal(served(bench.batch(*ROWS)).logits, live(network, bench.x)[0][list(ROWS)])


def test_outputs_do_not_depend_on_the_mode_that_the_network_was_left_in(bench, network: Backbone) -> None:
    learner = bench.network(NAME, trained=True)
    assert learner.network.training
    served = bench.frozen(learner)
    assert torch.equal(served(bench.batch(*ROWS)).logits, live(network, bench.x)[0][list(ROWS)])

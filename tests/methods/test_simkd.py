"""The student with the teacher's classifier: what is trained, deployed and counted."""

from __future__ import annotations

import math

import pytest
import torch

from kdbench.architectures import Outputs
from kdbench.costs.counting import parameters

PAIRS = [("resnet_lstman", "mlp"), ("mlp", "resnet_lstman")]


def deployed(training):  # type: ignore[no-untyped-def]
    return training.method.deployed(training.student.network, training.teacher.network.head)


@pytest.mark.parametrize(("teacher", "student"), PAIRS)
def test_the_deployed_model_is_the_trunk_the_projector_and_the_teachers_classifier(bench, teacher, student) -> None:
    training = bench.run(bench.training("simkd", teacher, student, "frozen"))
    model = deployed(training).eval()
    trunk, head = training.student.network.eval(), training.teacher.network.head
    method = training.method.eval()
    with torch.no_grad():
        outputs: Outputs = model(bench.x)
        plain = trunk(bench.x)
        projected = method.projector(plain.embedding[:, :, None])[:, :, 0]
        torch.testing.assert_close(outputs.logits, projected @ head.weight.T + head.bias)
    assert torch.equal(outputs.embedding, projected)
    assert all(torch.equal(a, b) for a, b in zip(outputs.stages, plain.stages, strict=True))
    trained = parameters(trunk) - parameters(trunk.head) + parameters(method)
    assert parameters(model) == trained + parameters(head)


def test_the_students_own_classifier_never_learns_and_all_the_rest_does(bench) -> None:
    training = bench.training("simkd", "resnet_lstman", "mlp", "frozen")
    before = {key: value.clone() for key, value in training.student.network.state_dict().items()}
    bench.run(training)
    for key, value in training.student.network.state_dict().items():
        assert torch.equal(value, before[key]) == key.startswith("head."), key


def test_the_deployed_model_is_a_copy_that_later_training_leaves_alone(bench) -> None:
    training = bench.training("simkd", "resnet_lstman", "mlp", "frozen")
    model = deployed(training).eval()
    logits = model(bench.x).logits
    assert training.student.network.training, "as the loop left it"
    bench.run(training)
    assert torch.equal(model(bench.x).logits, logits)
    assert not torch.equal(deployed(training).eval()(bench.x).logits, logits)


def test_the_loss_is_the_mean_squared_distance_of_the_embeddings_alone(bench) -> None:
    training = bench.training("simkd", "resnet_lstman", "mlp", "frozen", reduction=3)
    batch = bench.batch()
    student, teacher = training.nets.student(batch), training.nets.teacher(batch)
    training.method.eval()
    losses = training.method.losses(batch, student, teacher)
    projected = training.method.projector(student.embedding[:, :, None])[:, :, 0]
    pairs = zip(projected.flatten().tolist(), teacher.embedding.flatten().tolist(), strict=True)
    wanted = math.fsum((p - t) ** 2 for p, t in pairs) / projected.numel()
    assert {key: value.item() for key, value in losses.items()} == {"match": pytest.approx(wanted)}
    assert training.method.projector[0].out_channels == teacher.embedding.shape[1] // 3


def test_there_is_no_deployed_model_without_a_teachers_classifier(bench) -> None:
    training = bench.training("simkd", "mlp", "mlp", "frozen")
    with pytest.raises(RuntimeError, match="classifier"):
        training.method.deployed(training.student.network, None)

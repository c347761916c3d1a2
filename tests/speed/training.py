"""What the training loop costs beside what it replaces and beside nothing at all, on UCI HAR.

Run as a script: ``KDBENCH_DATA=FOLDER python tests/speed/training.py``. One thread, batch 128, full-width teacher.
Ratios compare medians of one run in which the compared loops take turns, so that a change of the machine meets both.
All seconds are of processor time, which on one thread is what the clock of a quiet machine would show.

The reference is the loop that distillation repositories usually have: a DataLoader over samples, the teacher's forward
pass at every step, ``.item()`` on the loss at every step.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from kdbench import runtime
from kdbench.architectures import Backbone, probe
from kdbench.architectures.mlp import MLP
from kdbench.architectures.resnet_lstman import ResNetLSTMaN
from kdbench.catalog.build import load_data
from kdbench.catalog.find import DATASETS
from kdbench.data import Normalisation, split
from kdbench.methods import Method, Setup
from kdbench.methods._modules import StageEnsemble
from kdbench.methods.hmkd import HMKD
from kdbench.methods.kd import KD
from kdbench.methods.supervised import Supervised
from kdbench.roles import Role
from kdbench.spec.recipe import Recipe
from kdbench.spec.words import Spec
from kdbench.training.loop import Learner, Training
from kdbench.training.teachers import FrozenTeacher

BATCH, EPOCHS, STEPS = 128, 7, 12


def networks() -> tuple[Backbone, Backbone]:
    torch.manual_seed(0)
    return MLP(9, 128, 6), ResNetLSTMaN(9, 128, 6)


def method(cls: Callable[..., Method], y: Tensor, role: Role) -> Method:
    student, teacher = networks()
    shapes = probe(student, 9, 128), probe(teacher, 9, 128)
    taught = shapes[1] if role.present else None
    return cls(Setup(classes=6, labels=y, student=shapes[0], role=role, teacher=taught))


def training(chosen: Method, teacher: Learner | FrozenTeacher | None, epochs: int) -> Training:
    student = Learner(networks()[0], "mlp")
    recipe = Recipe(name="speed", epochs=epochs, batch_size=BATCH)
    return Training(student, teacher, chosen, method_name="m", recipe=recipe, seed=0, dataset="uci_har")


def usual_epoch(x: Tensor, y: Tensor) -> float:
    student, teacher = networks()
    teacher.eval()
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-3, weight_decay=5e-4)
    loader = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True, drop_last=True)
    total = 0.0
    begun = time.process_time()
    for windows, labels in loader:
        student.train()
        logits = student(windows).logits
        with torch.no_grad():
            taught = teacher(windows).logits
        soft = F.kl_div(F.log_softmax(logits / 4, 1), F.softmax(taught / 4, 1), reduction="batchmean") * 16
        loss = 0.1 * F.cross_entropy(logits, labels) + 0.9 * soft
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return time.process_time() - begun


def bare_hmkd_step(y: Tensor) -> Callable[[Tensor, Tensor], None]:
    """The default HMKD after its ramp, written out by hand: no loop, no seeds, no logging."""
    student, teacher = networks()
    nets = nn.ModuleList([student, teacher]).train()
    merges = [StageEnsemble([c for c, _ in probe(net, 9, 128).stages], 128, "softmax") for net in (student, teacher)]
    heads = [nn.Linear(128, 6) for _ in nets]
    added = nn.ModuleList([*merges, *heads])
    optimizer = torch.optim.Adam([*nets.parameters(), *added.parameters()], lr=1e-3, weight_decay=5e-4, fused=True)
    nets.train()

    def soft(learner: Tensor, target: Tensor) -> Tensor:
        target = F.log_softmax(target.detach() / 4, 1)
        return 16 * F.kl_div(F.log_softmax(learner / 4, 1), target, reduction="batchmean", log_target=True)

    def step(windows: Tensor, labels: Tensor) -> None:
        outputs = [net(windows) for net in nets]
        features = [merge(out.pooled) for merge, out in zip(merges, outputs, strict=True)]
        normal = [F.layer_norm(feature, (128,)) for feature in features]
        loss = sum(F.cross_entropy(out.logits, labels) for out in outputs)
        loss = loss + sum(F.cross_entropy(head(f), labels) for head, f in zip(heads, features, strict=True))
        loss = loss + soft(outputs[0].logits, outputs[1].logits) + soft(outputs[1].logits, outputs[0].logits)
        loss = loss + F.mse_loss(normal[0], normal[1].detach()) + F.mse_loss(normal[1], normal[0].detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def main() -> None:
    torch.set_num_threads(1)
    data = load_data(DATASETS.close(Spec("uci_har")), runtime(data_dir=os.environ.get("KDBENCH_DATA")), download=True)
    rows = split("subject-v1", data.windows, dataset="uci_har", seed=0).train
    x = torch.from_numpy(Normalisation.fit(data.windows.x[rows]).apply(data.windows.x[rows]))
    y = torch.from_numpy(data.windows.y[rows])

    with tempfile.TemporaryDirectory() as folder:
        frozen = FrozenTeacher(networks()[1], x, Path(folder, "teacher"))
        begun = time.process_time()
        frozen.rows("logits", torch.arange(1))
        once = time.process_time() - begun
        distil = training(method(KD, y, Role.FROZEN), frozen, EPOCHS)
        alone = training(method(Supervised, y, Role.ABSENT), None, EPOCHS)
        turns: dict[str, list[float]] = {"kd": [], "alone": []}
        for name, run in (("kd", distil), ("alone", alone)) * EPOCHS:
            turns[name].append(one_epoch(run, x, y))
        kd, cross_entropy = statistics.median(turns["kd"][1:]), statistics.median(turns["alone"][1:])
        usual = usual_epoch(x, y)
    print(f"frozen-teacher KD epoch      {kd:8.3f} s (teacher's outputs, once: {once:.1f} s)")
    print(f"cross-entropy-only epoch     {cross_entropy:8.3f} s; ratio KD / cross-entropy {kd / cross_entropy:.3f}")
    print(f"usual KD loop, epoch         {usual:8.3f} s; ratio usual / KD {usual / kd:.1f}")

    step = bare_hmkd_step(y)
    order = torch.randperm(len(x))[: BATCH * STEPS].split(BATCH)
    mutual = training(method(HMKD, y, Role.PEER), Learner(networks()[1], "resnet_lstman"), 100_000)
    ours, bare = [], []
    warnings.filterwarnings("ignore", message="the (student|teacher)'s merged features")  # they have hardly begun
    for index in order:  # a training set of one batch makes an epoch of one step
        windows, labels = x[index], y[index]
        begun = time.process_time()
        step(windows, labels)
        bare.append(time.process_time() - begun)
        ours.append(one_epoch(mutual, windows, labels))
    ratio = statistics.median(ours[1:]) / statistics.median(bare[1:])
    print(f"HMKD step                    {statistics.median(ours[1:]):8.3f} s; bare step "
          f"{statistics.median(bare[1:]):.3f} s; ratio {ratio:.3f}")  # fmt: skip


class _Enough(Exception):
    pass


def one_epoch(run: Training, x: Tensor, y: Tensor) -> float:
    """Seconds of this training's next epoch."""
    begun = time.process_time()

    def stop(_: Training) -> None:
        raise _Enough

    with suppress(_Enough):
        run.run(x, y, stop)
    return time.process_time() - begun


if __name__ == "__main__":
    main()

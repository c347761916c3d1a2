"""What a run costs beside the bare training steps of its cells: python tests/speed/running.py [SEEDS [DATASET]].

``KDBENCH_DATA=FOLDER`` holds UCI HAR. 24 cells by default: teacher, student, frozen (kd) and mutual (hmkd) at 6 seeds,
3 epochs. The same networks are trained by steps that are written out by hand, between the runs of the same minutes, and
all that is said is a ratio. Run it where nothing else runs, on at least two cores (three for the three drivers).
``1 "synthetic(people=6, windows=24)"`` tries the script itself in some minutes; its ratios say nothing.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdbench import runtime
from kdbench.architectures import Backbone, probe
from kdbench.architectures.mlp import MLP
from kdbench.architectures.resnet_lstman import ResNetLSTMaN
from kdbench.catalog.build import load_data
from kdbench.catalog.find import DATASETS
from kdbench.data import Normalisation, split
from kdbench.methods._modules import StageEnsemble
from kdbench.spec.words import Spec

EPOCHS, BATCH, STEPS = 3, 128, 15
MATRIX = ("-p", "resnet_lstman(width=0.25):mlp(hidden=64)", "-m", "kd", "-m", "hmkd")
MATRIX += ("-S", f"recipe.epochs={EPOCHS}", "-S", f"recipe.batch_size={BATCH}")
Step = Callable[[Tensor, Tensor], None]
Sizes = tuple[int, int, int]
"""Channels, length and classes of windows."""


def networks(sizes: Sizes) -> tuple[Backbone, Backbone]:
    """A student and a teacher, as the matrix has them."""
    return MLP(*sizes, hidden=64), ResNetLSTMaN(*sizes, width=0.25)


def optimised(module: nn.Module, loss: Callable[[Tensor, Tensor], Tensor]) -> Step:
    """A step of Adam on a loss."""
    optimizer = torch.optim.Adam(module.train().parameters(), lr=1e-3, weight_decay=5e-4, fused=True)

    def step(windows: Tensor, labels: Tensor) -> None:
        value = loss(windows, labels)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return step


def soft(learner: Tensor, target: Tensor) -> Tensor:
    target = F.log_softmax(target.detach() / 4, 1)
    return 16 * F.kl_div(F.log_softmax(learner / 4, 1), target, reduction="batchmean", log_target=True)


def bare_steps(sizes: Sizes) -> dict[str, Step]:
    """A step of each kind of cell; what a frozen teacher says is there, since it is computed once for all students."""
    alone, teacher = networks(sizes)
    taught, said = networks(sizes)[0], torch.randn(BATCH, sizes[2])

    def kd(windows: Tensor, labels: Tensor) -> Tensor:
        logits = taught(windows).logits
        return 0.1 * F.cross_entropy(logits, labels) + 0.9 * soft(logits, said[: len(logits)])

    return {
        "student alone": optimised(alone, lambda x, y: F.cross_entropy(alone(x).logits, y)),
        "teacher alone": optimised(teacher, lambda x, y: F.cross_entropy(teacher(x).logits, y)),
        "kd": optimised(taught, kd),
        "hmkd": mutual(sizes),
    }


def mutual(sizes: Sizes) -> Step:
    """HMKD's step by hand: both networks learn, from labels, logits and merged stages."""
    nets = nn.ModuleList(networks(sizes))
    stages = [[channels for channels, _ in probe(net, *sizes[:2]).stages] for net in networks(sizes)]
    merges = [StageEnsemble(each, 128, "softmax") for each in stages]
    heads = [nn.Linear(128, sizes[2]) for _ in nets]

    def loss(windows: Tensor, labels: Tensor) -> Tensor:
        one, other = (net(windows) for net in nets)
        first, second = (merge(out.pooled) for merge, out in zip(merges, (one, other), strict=True))
        normal = [F.layer_norm(feature, (128,)) for feature in (first, second)]
        value = F.cross_entropy(one.logits, labels) + F.cross_entropy(other.logits, labels)
        value = value + F.cross_entropy(heads[0](first), labels) + F.cross_entropy(heads[1](second), labels)
        value = value + soft(one.logits, other.logits) + soft(other.logits, one.logits)
        return value + F.mse_loss(normal[0], normal[1].detach()) + F.mse_loss(normal[1], normal[0].detach())

    return optimised(nn.ModuleList([*nets, *merges, *heads]), loss)


def measured(steps: dict[str, Step], x: Tensor, y: Tensor, seconds: dict[str, list[float]]) -> None:
    """Add some seconds of each kind of step, in turns."""
    for index in torch.randperm(len(x))[: BATCH * STEPS].split(BATCH):
        windows, labels = x[index], y[index]
        for name, step in steps.items():
            begun = time.perf_counter()
            step(windows, labels)
            seconds[name].append(time.perf_counter() - begun)


def kdbench(*args: str, store: Path, cache: Path) -> tuple[float, subprocess.Popen[str]]:
    environment = {**os.environ, "KDBENCH_STORE": str(store), "KDBENCH_CACHE": str(cache)}
    command = [sys.executable, "-m", "kdbench", "run", *MATRIX, *args]
    return time.perf_counter(), subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL,
                                                 stderr=subprocess.PIPE, text=True)  # fmt: skip


def ended(begun: float, process: subprocess.Popen[str]) -> tuple[float, int]:
    """Seconds since a run began, and how many cells it trained."""
    said = process.communicate()[1]
    seconds = time.perf_counter() - begun
    assert process.returncode == 0, said
    found = re.search(r"^(\d+) cells? trained in ", said, re.MULTILINE)
    return seconds, int(found[1]) if found else 0


def main(seeds: int, dataset: Spec) -> None:
    """Run in stores of their own, with bare steps before, between and after."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        where = runtime(data_dir=os.environ.get("KDBENCH_DATA"), cache=root / "cache", device="cpu")
        data = load_data(DATASETS.close(dataset), where, download=True)
        rows = split("subject-v1", data.windows, dataset=data.description.name, seed=0).train
        x = torch.from_numpy(Normalisation.fit(data.windows.x[rows]).apply(data.windows.x[rows]))
        y = torch.from_numpy(data.windows.y[rows])
        steps = bare_steps((*x.shape[1:], len(data.description.classes)))
        took: dict[str, list[float]] = {name: [] for name in steps}
        runs: dict[str, float] = {}
        asked = ("-d", str(dataset), "--seeds", str(seeds))

        def timed(label: str, *args: str, store: str) -> None:
            measured(steps, x, y, took)
            runs[label] = ended(*kdbench(*asked, *args, store=root / store, cache=root / "cache"))[0]

        for jobs in ("2", "1"):
            timed(jobs, "-j", jobs, store=f"tracked-{jobs}")
        timed("untracked", "-j", "2", "--no-track", store="untracked")
        timed("again", "-j", "2", "--no-track", store="untracked")  # starts, plans, reads and prints
        timed("three jobs", "-j", "3", "--no-track", store="three-jobs")
        begun = [kdbench(*asked, "-j", "1", "--no-track", store=root / "three", cache=root / "cache")
                 for _ in range(3)]  # fmt: skip
        three = [ended(*each) for each in begun]
        measured(steps, x, y, took)
    batches = max(1, len(x) // BATCH)
    cells = {name: EPOCHS * batches * statistics.median(values) for name, values in took.items()}
    bare = seeds * sum(cells.values())
    count = seeds * len(cells)
    each = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in cells.items())
    print(f"{count} cells; a bare cell: {each}; {bare:.1f} s in all")
    print(f"-j 2: {runs['2']:.1f} s, {runs['2'] / (bare / 2):.3f} of half the bare steps (1.10 is wanted)")
    print(f"  without starting and planning: {(runs['2'] - runs['again']) / (bare / 2):.3f}")
    print(f"-j 2 trains {runs['1'] / runs['2']:.2f} times the cells an hour of -j 1 (1.85 is wanted)")
    extra = (runs["2"] - runs["untracked"]) / runs["2"]
    print(
        f"MLflow: {100 * extra:.1f} % of the wall time; a run of what is done: {100 * runs['again'] / runs['2']:.1f} %"
    )
    trained = sum(number for _, number in three)
    slowest = max(seconds for seconds, _ in three)
    share = f"{slowest / runs['three jobs']:.3f} of the time of -j 3"
    print(f"three drivers: {trained} of {count} cells trained, in {share} (1.10 is wanted, on three idle cores)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6, Spec.parse(sys.argv[2] if len(sys.argv) > 2 else "uci_har"))

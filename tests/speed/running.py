"""What a run costs beside the bare training steps of its cells: python tests/speed/running.py --help.

``KDBENCH_DATA=FOLDER`` holds UCI HAR. 24 cells by default: teacher, student, frozen (kd) and mutual (hmkd) at 6 seeds,
3 epochs. The same networks are trained by steps that are written out by hand, on as many cores at once as the run has,
between the runs of the same minutes, and all that is said is a ratio. Run it where nothing else runs, on at least two
cores (three for the three drivers). ``--seeds 1 --dataset "synthetic(people=6, windows=24)"`` tries the script itself;
its ratios say nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdbench import runtime
from kdbench.architectures import Backbone, probe
from kdbench.catalog.build import load_data
from kdbench.catalog.find import DATASETS, NETWORKS
from kdbench.data import Normalisation, split
from kdbench.methods._modules import StageEnsemble
from kdbench.spec.words import Spec

EPOCHS, BATCH, STEPS = 3, 128, 15
STUDENT = Spec.parse("mlp(hidden=64)")
METHODS = ("-m", "kd", "-m", "hmkd", "-S", f"recipe.epochs={EPOCHS}", "-S", f"recipe.batch_size={BATCH}")
KINDS = 4
SPARED = "kd, its teacher given"
"""A step without the teacher's forward pass: kdbench runs a frozen teacher once a window and not once an epoch."""
PARTS = ("cores", "mlflow", "drivers")
Step = Callable[[Tensor, Tensor], None]
Networks = Callable[[], tuple[Backbone, Backbone]]
"""Makes a student and a teacher."""
Times = dict[str, list[float]]
"""Seconds of single steps, by what is trained."""


def networks_of(teacher: Spec, sizes: tuple[int, int, int]) -> Networks:
    """A student and a teacher for windows of so many channels, samples and classes, as the matrix has them."""

    def made() -> tuple[Backbone, Backbone]:
        one, other = (NETWORKS.get(each.name)(*sizes, **each.settings) for each in (STUDENT, teacher))
        return one, other

    return made


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


def bare_steps(networks: Networks, channels: int, length: int, classes: int) -> dict[str, Step]:
    """A step of each kind of cell, and kd's where what the frozen teacher says of each window is there already."""
    (alone, teacher), (taught, frozen), (told, _) = networks(), networks(), networks()
    frozen.eval()
    said = torch.randn(BATCH, classes)

    def kd(learner: nn.Module, logits: Callable[[Tensor], Tensor], windows: Tensor, labels: Tensor) -> Tensor:
        mine = learner(windows).logits
        return 0.1 * F.cross_entropy(mine, labels) + 0.9 * soft(mine, logits(windows))

    def run(windows: Tensor) -> Tensor:
        with torch.no_grad():
            return frozen(windows).logits  # type: ignore[no-any-return]

    return {
        "student alone": optimised(alone, lambda x, y: F.cross_entropy(alone(x).logits, y)),
        "teacher alone": optimised(teacher, lambda x, y: F.cross_entropy(teacher(x).logits, y)),
        "kd": optimised(taught, lambda x, y: kd(taught, run, x, y)),
        SPARED: optimised(told, lambda x, y: kd(told, lambda x: said[: len(x)], x, y)),
        "hmkd": mutual(networks, channels, length, classes),
    }


def mutual(networks: Networks, channels: int, length: int, classes: int) -> Step:
    """HMKD's step by hand: both networks learn, from labels, logits and merged stages."""
    nets = nn.ModuleList(networks())
    stages = [[wide for wide, _ in probe(net, channels, length).stages] for net in networks()]
    merges = [StageEnsemble(each, 128, "softmax") for each in stages]
    heads = [nn.Linear(128, classes) for _ in nets]

    def loss(windows: Tensor, labels: Tensor) -> Tensor:
        one, other = (net(windows) for net in nets)
        first, second = (merge(out.pooled) for merge, out in zip(merges, (one, other), strict=True))
        normal = [F.layer_norm(feature, (128,)) for feature in (first, second)]
        value = F.cross_entropy(one.logits, labels) + F.cross_entropy(other.logits, labels)
        value = value + F.cross_entropy(heads[0](first), labels) + F.cross_entropy(heads[1](second), labels)
        value = value + soft(one.logits, other.logits) + soft(other.logits, one.logits)
        return value + F.mse_loss(normal[0], normal[1].detach()) + F.mse_loss(normal[1], normal[0].detach())

    return optimised(nn.ModuleList([*nets, *merges, *heads]), loss)


def bare(asked: argparse.Namespace) -> None:
    """Print the seconds of some steps of each kind, in turns, and how many windows there are."""
    torch.set_num_threads(1)
    dataset = Spec.parse(asked.dataset)
    where = runtime(data_dir=os.environ.get("KDBENCH_DATA"), cache=asked.cache, device="cpu")
    data = load_data(DATASETS.close(dataset), where, download=True)
    rows = split("subject-v1", data.windows, dataset=data.description.name, seed=0).train
    x = torch.from_numpy(Normalisation.fit(data.windows.x[rows]).apply(data.windows.x[rows]))
    y = torch.from_numpy(data.windows.y[rows])
    sizes = (*x.shape[1:], len(data.description.classes))
    steps = bare_steps(networks_of(Spec.parse(asked.teacher), sizes), *sizes)
    took: Times = {name: [] for name in steps}
    for index in torch.randperm(len(x))[: BATCH * STEPS].split(BATCH):
        windows, labels = x[index], y[index]
        for name, step in steps.items():
            begun = time.perf_counter()
            step(windows, labels)
            took[name].append(time.perf_counter() - begun)
    print(json.dumps({"windows": len(x), "took": took}))


class Bench:
    """Runs in stores of their own, with bare steps before, between and after."""

    def __init__(self, asked: argparse.Namespace, root: Path) -> None:
        self.asked, self.root, self.windows = asked, root, 0
        self.took: dict[int, dict[str, list[float]]] = {1: {}, 2: {}}
        self.runs: dict[str, float] = {}

    def measure(self, cores: int) -> None:
        """Bare steps, in as many processes at once."""
        command = [sys.executable, __file__, *sys.argv[1:], "--bare", "--cache", str(self.root / "cache")]
        begun = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(cores)]
        for said in [process.communicate()[0] for process in begun]:
            told: dict[str, Any] = json.loads(said)
            self.windows = told["windows"]
            for name, seconds in told["took"].items():
                self.took[cores].setdefault(name, []).extend(seconds[2:])  # the first are slow

    def steps(self, cores: int) -> dict[str, float]:
        """Seconds of a cell's bare steps, by kind, where so many cores are busy; kd's without its teacher besides."""
        batches = EPOCHS * max(1, self.windows // BATCH)
        return {name: batches * statistics.median(seconds) for name, seconds in self.took[cores].items()}

    def bare(self, cores: int, but: str = SPARED) -> float:
        """Seconds of all cells one after the other, with one of the two kinds of kd's step."""
        return float(self.asked.seeds * sum(seconds for name, seconds in self.steps(cores).items() if name != but))

    def start(self, store: str, *args: str, tiny: bool = False) -> tuple[float, subprocess.Popen[str]]:
        environment = {**os.environ, "KDBENCH_STORE": str(self.root / store), "KDBENCH_CACHE": str(self.root / "cache")}
        dataset, seeds = ("synthetic(people=6, windows=2)", 1) if tiny else (self.asked.dataset, self.asked.seeds)
        matrix = ["-d", dataset, "-p", f"{self.asked.teacher}:{STUDENT}", "--seeds", str(seeds)]
        command = [sys.executable, "-m", "kdbench", "run", *matrix, *METHODS, *args]
        return time.perf_counter(), subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL,
                                                     stderr=subprocess.PIPE, text=True)  # fmt: skip

    def timed(self, label: str, store: str, *args: str, cores: int = 2) -> None:
        self.measure(cores)
        self.runs[label] = ended(*self.start(store, *args))[0]
        self.measure(cores)


def ended(begun: float, process: subprocess.Popen[str]) -> tuple[float, int]:
    """Seconds since a run began, and how many cells it trained."""
    said = process.communicate()[1]
    seconds = time.perf_counter() - begun
    assert process.returncode == 0, said
    found = re.search(r"^(\d+) cells? trained in ", said, re.MULTILINE)
    return seconds, int(found[1]) if found else 0


def on_cores(bench: Bench) -> None:
    """How near a run comes to the bare steps, and two workers to twice one."""
    bench.timed("two", "two", "-j", "2", "--no-track")
    bench.timed("again", "two", "-j", "2", "--no-track")  # starts, plans, reads and prints
    half = bench.bare(2) / 2
    said = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in bench.steps(2).items())
    print(f"a bare cell, two at a time: {said}; {bench.bare(2):.1f} s in all")
    print(f"-j 2: {bench.runs['two']:.1f} s, {bench.runs['two'] / half:.3f} of half the bare steps (1.10 is wanted)")
    print(f"  where the bare steps are given what kd's teacher says: {2 * bench.runs['two'] / bench.bare(2, 'kd'):.3f}")
    print(f"  without starting and planning: {(bench.runs['two'] - bench.runs['again']) / half:.3f}", flush=True)
    bench.timed("one", "one", "-j", "1", "--no-track", cores=1)
    both, slower = bench.runs["one"] / bench.runs["two"], bench.bare(2) / bench.bare(1)
    print(f"-j 1: {bench.runs['one']:.1f} s, {bench.runs['one'] / bench.bare(1):.3f} of the bare steps")
    print(f"-j 2 trains {both:.2f} times the cells an hour of -j 1 (1.85 is wanted)")
    print(f"  two bare loops at once do {2 / slower:.2f} times the steps of one: so much this machine has to give")


def with_mlflow(bench: Bench) -> None:
    """What records, planning and MLflow take, on a machine that has tracked a run before."""
    ended(*bench.start("first", tiny=True))
    for label, how in (("untracked", ("--no-track",)), ("tracked", ())):
        bench.timed(label, label, "-j", "2", *how)
    bench.timed("done", "tracked", "-j", "2")
    whole, count = bench.runs["tracked"], bench.asked.seeds * KINDS
    mlflow = whole - bench.runs["untracked"]
    print(f"{count} cells of {bench.bare(2) / count:.1f} s: MLflow takes {mlflow:+.1f} of {whole:.1f} s")
    print(f"  a run of what is done takes {bench.runs['done']:.1f} s")


def with_drivers(bench: Bench) -> None:
    """Three drivers with a worker each beside one driver with three."""
    bench.timed("three jobs", "three-jobs", "-j", "3", "--no-track")
    three = [ended(*each) for each in [bench.start("three", "-j", "1", "--no-track") for _ in range(3)]]
    trained, slowest = sum(number for _, number in three), max(seconds for seconds, _ in three)
    share = slowest / bench.runs["three jobs"]
    wanted = bench.asked.seeds * KINDS
    print(f"three drivers: {trained} of {wanted} cells trained, in {share:.3f} of the time of -j 3 (1.10 is wanted)")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, default=6)
    options.add_argument("--dataset", default="uci_har")
    options.add_argument("--teacher", default="resnet_lstman(width=0.25)")
    options.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options.add_argument("--bare", action="store_true", help="only the steps by hand, in this process")
    options.add_argument("--cache", type=Path, help="of --bare")
    asked = options.parse_args()
    if asked.bare:
        bare(asked)
        return
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(asked, Path(name))
        for part, measure in zip(PARTS, (on_cores, with_mlflow, with_drivers), strict=True):
            if part in asked.parts:
                measure(bench)


if __name__ == "__main__":
    main()

"""What pays on a GPU: cells an hour by how many share the card, and a training step eager, captured, compiled, in bf16.

Run as a script where there is a GPU: ``KDBENCH_DATA=FOLDER python tests/speed/gpu.py``; ``KDBENCH_SPEED_DATASET`` names
another dataset than UCI HAR. Ratios compare medians of one run.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812

from kdbench.catalog.find import NETWORKS

NETWORKS_OF = {"mlp": {"hidden": 64}, "cnn": {}, "tiny_har": {}, "resnet_lstman": {"width": 0.25}}
WIDE = {"resnet_lstman": {}}
BATCH, STEPS, TURNS = 128, 30, 5
WORKERS = (1, 4, 16)
WAYS = ("eager", "captured", "bf16", "compiled")
KDBENCH = [sys.executable, "-c", "from kdbench.cli import main; main()"]
MATRIX = ["-p", "cnn:mlp(hidden=64)", "-m", "kd", "-m", "dist", "-m", "hmkd", "--seeds", "4", "-S", "recipe.epochs=5"]
Step = Callable[[], object]


def step_of(name: str, settings: dict[str, float], way: str) -> Step:
    """One step of training on one batch, of a network of its own."""
    x, y = torch.randn(BATCH, 9, 128, device="cuda"), torch.randint(6, (BATCH,), device="cuda")
    torch.manual_seed(0)
    network = NETWORKS.get(name)(9, 128, 6, **settings).cuda().train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True, capturable=way == "captured")

    def loss() -> torch.Tensor:
        with torch.autocast("cuda", torch.bfloat16, enabled=way == "bf16"):
            return F.cross_entropy(network(x).logits, y)

    run = torch.compile(loss) if way == "compiled" else loss

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        run().backward()
        optimizer.step()

    return captured_step(step) if way == "captured" else step


def captured_step(step: Step) -> Step:
    """The step as one CUDA graph, after it was warmed up on a stream of its own."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def milliseconds(step: Step) -> float:
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(STEPS):
        step()
    torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - begun) / STEPS


def compare(name: str, settings: dict[str, float]) -> None:
    steps, said = {}, []
    for way in WAYS:
        try:
            steps[way] = step_of(name, settings, way)
            milliseconds(steps[way])  # compiles, and fills caches
        except Exception as error:  # a network that this way cannot take
            steps.pop(way, None)
            said.append(f"{way} {type(error).__name__}")
    times = {way: statistics.median(milliseconds(step) for _ in range(TURNS)) for way, step in steps.items()}
    said += [f"{way} {times['eager'] / time_:.1f} x" for way, time_ in times.items() if way != "eager"]
    print(f"{name:14} {settings!s:16} eager {times['eager']:6.2f} ms a step; {', '.join(said)}", flush=True)


def cells_an_hour(workers: int, dataset: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        how = ["--device", "cuda", "--jobs-per-gpu", str(workers), "--no-track", "--store", folder]
        begun = time.perf_counter()
        subprocess.run([*KDBENCH, "run", "-d", dataset, *MATRIX, *how], check=True, capture_output=True)
        seconds = time.perf_counter() - begun
        return 3600 * len(list(Path(folder).glob("*/record.json"))) / seconds


def main() -> None:
    if not torch.cuda.is_available():
        sys.exit("no GPU here")
    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {len(os.sched_getaffinity(0))} cores", flush=True
    )
    for name, settings in [*NETWORKS_OF.items(), *WIDE.items()]:
        compare(name, settings)
    dataset = os.environ.get("KDBENCH_SPEED_DATASET", "uci_har")
    found = {workers: cells_an_hour(workers, dataset) for workers in WORKERS}
    for workers, rate in found.items():
        print(f"{workers:3} at a time: {rate:7.0f} cells an hour, {rate / found[1]:.2f} x one at a time", flush=True)


if __name__ == "__main__":
    main()

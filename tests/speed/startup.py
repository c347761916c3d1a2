"""How long the command line takes to answer on large stores: ``python tests/speed/startup.py [RECORDS]``.

Prints medians of several whole processes, their processor time beside the clock's, and what importing torch costs in
the same run. The stores are those of a matrix of 38 rows, two datasets and five pairs at many seeds: one pair at two
seeds is really run, and its records stand for the others, with people's scores moved at random so that none are alike.
"""

from __future__ import annotations

import copy
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from kdbench.commands.planning import fresh_plan
from kdbench.results.record import Record
from kdbench.session import runtime
from kdbench.spec.matrix import Matrix
from kdbench.store.memory import remember
from kdbench.store.records import Store

KDBENCH = [sys.executable, "-c", "from kdbench.cli import main; main()"]
RUNS = 3
A_SEED = 400
"""Cells of one seed, about."""


def matrix_text() -> str:
    methods = [("kd", "temperature", [round(1 + n / 10, 1) for n in range(20)])]
    methods += [("hmkd", "mid_weight", [round(0.1 + n / 10, 1) for n in range(18)])]
    rows = [
        f'[[method]]\nname = "{name}"\nlabel = "{name}{value}"\nsettings = {{ {setting} = {value} }}'
        for name, setting, values in methods
        for value in values
    ]
    pairs = json.dumps([f"mlp(hidden=200):mlp(hidden={8 + n})" for n in range(5)])
    datasets = '["synthetic(people=36, windows=4)", "synthetic(people=30, windows=4)"]'
    return "\n".join([f'datasets = {datasets}\npairs = {pairs}\nrecipe = "quick"', *rows])


class Large:
    """Stores of the matrix at as many seeds as are asked for.

    Args:
        folder: for all of them.
        environment: of the processes.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.config = folder, folder / "large.toml"
        self.config.write_text(matrix_text())
        self.where = runtime(store=folder / "one", cache=folder / "cache", device="cpu")
        one = ["run", "-c", str(self.config), "-p", "mlp(hidden=200):mlp(hidden=8)", "--seeds", "2", "--no-track"]
        subprocess.run(
            [*KDBENCH, *one, "--store", str(folder / "one")], env=environment, check=True, capture_output=True
        )
        self.known: dict[tuple[str, str, int], Record] = {}
        store = Store(folder / "one")
        for record in (store.record(path.parent.name) for path in store.root.glob("*/record.json")):
            if record is not None:
                self.known.setdefault(_kind(record.cell), record)

    def store(self, seeds: int, *, files: bool = False) -> Path:
        """A store with a record for every cell; with ``files``, predictions and curves too."""
        matrix = replace(Matrix.from_toml(self.config.read_text(), "large", "large"), seeds=tuple(range(seeds)))
        plan, store = fresh_plan(matrix, self.where, chosen=True), Store(self.folder / f"runs{seeds}")
        chance = random.Random(0)
        for digest, cell in plan.cells.items():
            like = self.known[_kind(cell.plain)]
            metrics = _moved(like.metrics, chance)
            store.folder(digest).mkdir(parents=True)
            made = replace(like, digest=digest, cell=cell.plain, metrics=metrics, files={})
            (store.folder(digest) / "record.json").write_text(made.to_json())
            for name in ("predictions.npz", "curve.csv") if files else ():
                source = self.folder / "one" / like.digest / name
                if source.exists():
                    os.link(source, store.folder(digest) / name)
        remember(store, plan)
        print(f"{len(plan.cells)} records in {store.root.name}", flush=True)
        return store.root


def _kind(cell: dict[str, Any]) -> tuple[str, str, int]:
    return cell["method"]["name"], json.dumps(cell["dataset"], sort_keys=True), cell["seed"] % 2


def _moved(metrics: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    moved = copy.deepcopy(metrics)
    for scores in moved["student"]["by_person"].values():
        for name in ("accuracy", "f1"):
            scores[name] = min(1.0, max(0.0, scores[name] + chance.gauss(0, 0.03)))
    return moved


def imports(command: list[str], environment: dict[str, str]) -> set[str]:
    """Top-level names of what a command imports."""
    timed = [sys.executable, "-X", "importtime", *command[1:]]
    lines = subprocess.run(timed, env=environment, capture_output=True, text=True).stderr.splitlines()
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines}


def seconds(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Medians of the clock and of processor time; the first of the runs fills caches and is left out."""
    clock, processor = [], []
    for _ in range(RUNS + 1):
        begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        clock.append(time.perf_counter() - begun)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(clock[1:]), statistics.median(processor[1:])


def main() -> None:
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, "KDBENCH_CACHE": str(folder / "cache"), "KDBENCH_NO_TRACK": "1"}
        torch = seconds([sys.executable, "-c", "import torch"], environment)

        def say(what: str, command: list[str], *, beyond: bool = False) -> None:
            clock, processor = seconds(command, environment)
            less = f", {clock - torch[0]:5.2f} s beyond importing torch" if beyond else ""
            print(f"{what:44} {clock:6.2f} s (processor {processor:5.2f} s){less}", flush=True)

        print(f"{'import torch':44} {torch[0]:6.2f} s (processor {torch[1]:5.2f} s)")
        say("kdbench --help", [*KDBENCH, "--help"])
        large = Large(folder, environment)
        many = large.store(max(1, records // A_SEED))
        for command in ("status", "table", "stats"):
            asked = [*KDBENCH, command, "--store", str(many)]
            say(f"kdbench {command}", asked)
            heavy = sorted({"torch", "numpy", "pandas"} & imports(asked, environment))
            print(f"{'':44} imports {', '.join(heavy) or 'neither torch nor numpy'}")
        say("kdbench plot", [*KDBENCH, "plot", "--store", str(many), "-o", str(folder / "gain.png")])
        config = ["-c", str(large.config)]
        planned = [*config, "--seeds", str(max(1, records // A_SEED // 2)), "--store", str(folder / "none")]
        say(f"kdbench plan, {records // 2} cells", [*KDBENCH, "plan", *planned], beyond=True)
        few = large.store(max(2, records // A_SEED // 16))
        resumed = [*config, "--seeds", few.name.removeprefix("runs"), "--store", str(few)]
        say("kdbench run, all done", [*KDBENCH, "run", *resumed], beyond=True)
        some = large.store(max(1, records // A_SEED // 10), files=True)
        page = folder / "report.html"
        say("kdbench report", [*KDBENCH, "report", "--store", str(some), "-o", str(page)])
        print(f"{'':44} {page.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

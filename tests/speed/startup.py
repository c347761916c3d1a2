"""How long the command line takes to answer. Run as a script: ``python tests/speed/startup.py``.

Prints medians over several whole processes, beside the cost of importing torch in the same run. The stores that
`status`, `table` and `stats` read are made from one real run, whose records are copied to every cell of a larger plan.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

MATRIX = """
datasets = ["synthetic(people=4, windows=4)"]
pairs = ["resnet_lstman(width=0.05):mlp(hidden=8)", "mlp(hidden=16):mlp(hidden=8)"]
methods = ["kd", "hmkd", "student_aux"]
seeds = 1250
recipe = "quick"
"""
KDBENCH = [sys.executable, "-c", "from kdbench.cli import main; main()"]


def store_of(seeds: int, folder: str, environment: dict[str, str]) -> Path:
    """A store with a record for every cell of a matrix with so many seeds, eight a seed."""
    from kdbench.commands.planning import fresh_plan
    from kdbench.session import runtime
    from kdbench.spec.matrix import Matrix
    from kdbench.store.memory import remember
    from kdbench.store.records import Store

    matrix = Matrix.from_toml(MATRIX, "large", "large")
    where = runtime(store=Path(folder, "one"), cache=folder, device="cpu")
    small = Path(folder, "small.toml")
    small.write_text(MATRIX.replace("1250", "1"))
    subprocess.run([*KDBENCH, "run", "-c", str(small), "--store", str(where.store), "--no-track"], env=environment,
                   check=True, capture_output=True)  # fmt: skip
    records = list(
        map(Store(where.store).record, sorted(path.parent.name for path in where.store.glob("*/record.json")))
    )
    known = {_kind(record.cell): record for record in records if record is not None}
    large = Store(Path(folder, f"runs{seeds}"))
    plan = fresh_plan(replace(matrix, seeds=tuple(range(seeds))), where, chosen=True)
    for digest, cell in plan.cells.items():
        record = known[_kind(cell.plain)]
        large.folder(digest).mkdir(parents=True)
        content = replace(record, digest=digest, cell=cell.plain).to_json()
        (large.folder(digest) / "record.json").write_text(content)
    remember(large, plan)
    return large.root


def _kind(cell: dict[str, Any]) -> tuple[str, str]:
    return cell["method"]["name"], json.dumps(cell["student"], sort_keys=True)


def imports(command: list[str]) -> set[str]:
    """Top-level names of what a command imports."""
    lines = subprocess.run([sys.executable, "-X", "importtime", *command[1:]], capture_output=True, text=True).stderr
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines.splitlines()}


def median_seconds(command: list[str], environment: dict[str, str], runs: int) -> float:
    times = []
    for _ in range(runs + 1):  # the first run fills the caches of the operating system
        begun = time.perf_counter()
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - begun)
    return statistics.median(times[1:])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        matrix = Path(folder, "large.toml")
        matrix.write_text(MATRIX)
        environment = {**os.environ, "KDBENCH_CACHE": folder, "KDBENCH_STORE": str(Path(folder, "runs"))}
        plan = [*KDBENCH, "plan", "-c", str(matrix)]
        first = subprocess.run(plan, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()[0]
        torch = median_seconds([sys.executable, "-c", "import torch"], environment, 5)
        print(f"import torch            {torch:6.2f} s")
        print(f"kdbench --help          {median_seconds([*KDBENCH, '--help'], environment, 9):6.2f} s")
        seconds = median_seconds(plan, environment, 5)
        print(f"kdbench plan            {seconds:6.2f} s, {seconds - torch:.2f} s beyond importing torch ({first})")
        for seeds in (125, 2500):
            root = store_of(seeds, folder, environment)
            for command in ("status", "table", "stats"):
                asked = [*KDBENCH, command, "--store", str(root)]
                seconds = median_seconds(asked, environment, 3)
                heavy = sorted({"torch", "numpy", "pandas"} & imports(asked))
                print(f"kdbench {command:15} {seconds:6.2f} s, {8 * seeds} records, imports of {heavy or 'neither'}")


if __name__ == "__main__":
    main()

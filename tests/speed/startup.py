"""How long the command line takes to answer. Run as a script: ``python tests/speed/startup.py``.

Prints medians over several whole processes, beside the cost of importing torch in the same run.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MATRIX = """
datasets = ["synthetic(people=4, windows=4)"]
pairs = ["resnet_lstman(width=0.05):mlp(hidden=8)", "mlp(hidden=16):mlp(hidden=8)"]
methods = ["kd", "hmkd", "student_aux"]
seeds = 1250
recipe = "quick"
"""
KDBENCH = [sys.executable, "-c", "from kdbench.cli import main; main()"]


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


if __name__ == "__main__":
    main()

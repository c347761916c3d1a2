"""How far off the time left is after a quarter of 40 cells: python tests/speed/estimate.py [JOBS].

Trains teacher, student, kd and hmkd at ten seeds, on generated data, and asks the store as ``kdbench status`` does.
What is said later, of few seconds, is shown beside it. A busy machine that changes its mind changes the answer: run it
where nothing else runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kdbench.store.drivers import drivers
from kdbench.store.records import Store

MATRIX = ("-d", "synthetic(people=6, windows=24)", "-p", "resnet_lstman(width=0.1):mlp(hidden=64)")
MATRIX += ("-m", "kd", "-m", "hmkd", "--seeds", "10", "-S", "recipe.epochs=8", "--no-track")
WANTED = 0.25


def main(jobs: str) -> None:
    """Run, ask at each quarter, compare with what it took."""
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name, "runs"))
        environment = {**os.environ, "KDBENCH_STORE": str(store.root), "KDBENCH_CACHE": str(Path(name, "cache"))}
        command = [sys.executable, "-m", "kdbench", "run", *MATRIX, "-j", jobs]
        told: dict[int, tuple[float, float, float]] = {}
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            while run.poll() is None:
                for driver, alive in drivers(store):
                    quarter = int(4 * driver.done / driver.total)
                    if alive and quarter in (1, 2, 3) and quarter not in told and driver.seconds_left is not None:
                        told[quarter] = time.monotonic(), driver.done / driver.total, driver.seconds_left
                if len(store.digests()) < 40:
                    trained = time.monotonic()  # not what comes after: the table
                time.sleep(0.1)
        assert run.returncode == 0, "the run failed; run it alone to see why"
    for quarter, (at, share, left) in told.items():
        took = trained - at
        off = abs(left - took) / took
        verdict = f", {'within' if off <= WANTED else 'BEYOND'} {100 * WANTED:.0f} %" if quarter == 1 else ""
        said = f"after {100 * share:.0f} %: {left:.1f} s left were said, {took:.1f} s it took"
        print(f"{said}: off by {100 * off:.0f} %{verdict}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "2")

"""How long datasets take to parse and to load again. Run as a script: ``KDBENCH_DATA=... python tests/speed/data.py``.

For each dataset whose original archive is in ``KDBENCH_DATA``: seconds to parse it, seconds to load it from the cache
(which hashes every window) and peak memory, each in a process of its own. Importing kdbench is not counted in seconds,
but is in memory, which is therefore printed for the imports alone as well.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

MEASURED = """
import resource, sys, time
from kdbench.catalog.build import load_data
from kdbench.catalog.find import DATASETS
from kdbench.errors import DataUnavailable
from kdbench.session import runtime
from kdbench.spec.words import Spec

where = runtime(data_dir=sys.argv[1], device="cpu")
begun = time.perf_counter()
try:
    windows = len(load_data(DATASETS.close(Spec(sys.argv[2])), where).windows.y) if len(sys.argv) > 2 else 0
except DataUnavailable:
    sys.exit(3)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
print(windows, time.perf_counter() - begun, peak)
"""
NOT_HERE = 3


def measured(cache: str, *args: str) -> tuple[int, float, float] | None:
    """Windows, seconds and peak memory in MiB; None where the archive is not here."""
    command = [sys.executable, "-c", MEASURED, *args]
    done = subprocess.run(command, env={**os.environ, "KDBENCH_CACHE": cache}, stdout=subprocess.PIPE, text=True)
    if done.returncode == NOT_HERE:
        return None
    done.check_returncode()
    windows, seconds, peak = done.stdout.split()
    return int(windows), float(seconds), float(peak)


def main() -> None:
    folder = os.environ.get("KDBENCH_DATA")
    if not folder:
        sys.exit("KDBENCH_DATA is not set, wanted a folder with original archives")
    with tempfile.TemporaryDirectory() as cache:
        imports = measured(cache, folder)
        assert imports is not None
        print(f"imports alone                                              peak {imports[2]:5.0f} MiB")
        for name in ("uci_har", "hapt", "motionsense", "classyglass", "selfback"):
            parsed, loaded = measured(cache, folder, name), measured(cache, folder, name)
            if parsed is None or loaded is None:
                print(f"{name:12} not in {folder}")
                continue
            print(f"{name:12} {parsed[0]:6} windows  parsed {parsed[1]:6.2f} s, peak {parsed[2]:5.0f} MiB")
            print(f"{'':28} cached {loaded[1]:6.2f} s, peak {loaded[2]:5.0f} MiB")


if __name__ == "__main__":
    main()

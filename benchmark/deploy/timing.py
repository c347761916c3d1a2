"""How fast a form is on one thread, and what memory it takes, in a process that runs nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kdbench.deploy.subject import Floats
from kdbench.errors import KdbenchError

TIMES = 300
"""Windows that latency is taken from, one at a time."""

_SCRIPT = """
import json, os, sys, time
import numpy
model, given, times = sys.argv[1], numpy.load(sys.argv[2]), int(sys.argv[3])
{imports}
def resident():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
before = resident()
{loads}
taken = []
say()
for _ in range(times):
    began = time.perf_counter()
    say()
    taken.append(1e3 * (time.perf_counter() - began))
after = resident()
print(json.dumps([*numpy.quantile(taken, [0.5, 0.9, 0.99]).tolist(), None if before is None else after - before]))
"""

_ONNX = {
    "imports": "import onnxruntime",
    "loads": """
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.log_severity_level = 3
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
def say():
    session.run(None, {name: given})
""",
}

_EXECUTORCH = {
    "imports": """
import torch
from executorch.extension.pybindings import portable_lib
portable_lib._unsafe_reset_threadpool(1)
given = (torch.from_numpy(given),)
""",
    "loads": """
bundle = portable_lib._load_bundled_program_from_buffer(open(model, "rb").read())
program = portable_lib._load_for_executorch_from_bundled_program(bundle)
def say():
    program.forward(given)
""",
}

_LITERT = {
    "imports": "from ai_edge_litert.interpreter import Interpreter",
    "loads": """
loaded = Interpreter(model_path=model, num_threads=1)
loaded.allocate_tensors()
at, end = loaded.get_input_details()[0]["index"], loaded.get_output_details()[0]["index"]
def say():
    loaded.set_tensor(at, given)
    loaded.invoke()
    loaded.get_tensor(end)
""",
}
_BY_ENDING = {".onnx": _ONNX, ".pte": _EXECUTORCH, ".tflite": _LITERT}


@dataclass(frozen=True)
class Timed:
    """What running a model takes.

    Args:
        p50: milliseconds of one window, the median.
        p90: the 90th percentile.
        p99: the 99th.
        memory: bytes by which loading and running it raised the resident memory of a process that had the runtime
            already; for the model in C the bytes of its buffers; None where the system does not tell.
    """

    p50: float
    p90: float
    p99: float
    memory: int | None


def timed(path: Path, window: Floats, times: int = TIMES) -> Timed:
    """Run a model window by window on one thread.

    Args:
        path: of the model.
        window: (1, C, T), raw.
        times: how often.

    Raises:
        KdbenchError: if it cannot be run.
    """
    with tempfile.TemporaryDirectory(prefix="kdbench-") as place:
        given = Path(place) / "window.npy"
        np.save(given, window)
        parts = _BY_ENDING[path.suffix]
        script = _SCRIPT.replace("{imports}", parts["imports"]).replace("{loads}", parts["loads"])
        command = [sys.executable, "-c", script, str(path), str(given), str(times)]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise KdbenchError(f"{path.name} cannot be run: {(done.stderr.splitlines() or ['no reason'])[-1]}")
    p50, p90, p99, memory = json.loads(done.stdout.splitlines()[-1])
    return Timed(p50, p90, p99, memory)

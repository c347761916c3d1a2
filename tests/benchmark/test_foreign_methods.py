"""What a method from outside may do to its process, and to its run: nothing that reaches another cell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from kdbench.store.records import Store
from kdbench.training.determinism import STATES, reproducible

METHOD = '''
import builtins, ctypes, gc, json, os, random, resource, signal, sys, threading, time, warnings
from typing import Annotated

import numpy as np
import torch

import kdbench.seeds
import kdbench.store.records
from kdbench.architectures import Choice
from kdbench.errors import KdbenchError
from kdbench.methods import Method, cross_entropy


class Unsayable(Exception):
    def __str__(self):
        raise RuntimeError("no words")
    __repr__ = __str__


def raises(error):
    raise error


def forever(act):
    def loop():
        while True:
            act()
            time.sleep(0.0001)
    threading.Thread(target=loop, daemon=True).start()


def patch(holder, name, wrap):
    before = getattr(holder, name)
    setattr(holder, name, lambda *a, **k: wrap(before(*a, **k)))


def named(name):
    return type(name, (Exception,), {})


def leave_a_child():
    if os.fork() == 0:
        time.sleep(20)
        os._exit(0)
    os._exit(0)


ACTS = {
    "grad": lambda: torch.set_grad_enabled(False),
    "inference": lambda: torch.inference_mode().__enter__(),
    "dtype": lambda: torch.set_default_dtype(torch.float64),
    "device": lambda: torch.set_default_device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16).__enter__(),
    "onednn": lambda: setattr(torch.backends.mkldnn, "enabled", False),
    "matmul": lambda: torch.set_float32_matmul_precision("medium"),
    "deterministic": lambda: torch.use_deterministic_algorithms(False),
    "threads": lambda: torch.set_num_threads(4),
    "hook": lambda: torch.nn.modules.module.register_module_forward_hook(
        lambda module, given, out: out * 1.01 if isinstance(out, torch.Tensor) else None),
    "loss": lambda: patch(torch.nn.functional, "cross_entropy", lambda loss: loss * 2),
    "layer": lambda: patch(torch.nn.Linear, "forward", lambda out: out + 1),
    "seeds": lambda: patch(kdbench.seeds, "derive", lambda seed: seed + 1),
    "draws": lambda: forever(lambda: torch.rand(3)),
    "toggles": lambda: forever(lambda: torch.set_default_dtype(random.choice([torch.float32, torch.float64]))),
    "numpy": lambda: (np.random.seed(7), np.seterr(all="raise")),
    "warnings": lambda: warnings.simplefilter("error"),
    "folder": lambda: os.chdir("/"),
    "environment": lambda: os.environ.update(OMP_NUM_THREADS="4", KDBENCH_STORE="/nowhere", PATH=""),
    "denormal": lambda: torch.set_flush_denormal(True),
    "builtin": lambda: patch(builtins, "sum", lambda total: total),
    "alarm": lambda: signal.setitimer(signal.ITIMER_REAL, 0.01),
    "optimiser": lambda: setattr(torch.optim.Adam, "step", lambda self, closure=None: None),
    "mode": lambda: type("Mode", (torch.overrides.TorchFunctionMode,), {
        "__torch_function__": lambda self, call, kinds, given=(), named=None: call(*given, **(named or {}))
    })().__enter__(),
    "parameters": lambda: torch.nn.modules.module.register_module_parameter_registration_hook(
        lambda module, name, tensor: torch.nn.Parameter(2 * tensor)),
    "recursion": lambda: sys.setrecursionlimit(200),
    "mask": lambda: os.umask(0o777),
    "trace": lambda: sys.settrace(lambda *given: None),
    "signals": lambda: [signal.signal(number, signal.SIG_IGN) for number in (1, 2, 13, 15)],
    "files": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48)),
    "reader": lambda: patch(np, "load", lambda found: raises(ValueError("no file"))),

    "exit0": lambda: sys.exit(0),
    "exit3": lambda: sys.exit(3),
    "exit text": lambda: sys.exit("enough"),
    "gone0": lambda: os._exit(0),
    "gone3": lambda: os._exit(3),
    "interrupt": lambda: raises(KeyboardInterrupt()),
    "base": lambda: raises(BaseException("deep")),
    "generator": lambda: raises(GeneratorExit()),
    "stop": lambda: raises(StopIteration()),
    "unsayable": lambda: raises(Unsayable()),
    "unencodable": lambda: raises(ValueError("half a \\ud800 pair\\x1b[2J")),
    "endless": lambda: raises(ValueError("x" * 10_000_000)),
    "system": lambda: raises(OSError(28, "No space left on device", "/its/own")),
    "pipe": lambda: raises(BrokenPipeError()),
    "kdbench": lambda: raises(KdbenchError("as kdbench would")),
    "memory": lambda: raises(MemoryError()),
    "group": lambda: raises(BaseExceptionGroup("two", [KeyboardInterrupt(), ValueError()])),
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "child": leave_a_child,
    "closed": lambda: (os.closerange(0, 1000), os._exit(1)),
    "printed": lambda: (os.write(1, b"garbage" * 100), sys.stdout.close(), raises(ValueError("printed"))),
    "two lines": lambda: raises(named("Two\\nLines")("and\\nmore")),
    "imports": lambda: sys.path.clear(),
    "written": lambda: setattr(json, "dumps", lambda *given, **more: "{}"),
    "unwritten": lambda: setattr(kdbench.store.records.Store, "finish", lambda self, record, **more: record),
    "size": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16)),
    "replaced": lambda: os.execv("/bin/true", ["true"]),
    "fact text": {"a": "three"},
    "fact tensor": {"a": torch.ones(1)},
    "fact list": ["a"],
    "fact name": {1: 1.0},
    "fact none": None,
    "fact large": {"a": 10**400},
}


class Wild(Method):
    """Cross-entropy, and something else."""

    kind = "logit"

    def __init__(self, setup, *, act: Annotated[str, Choice(*ACTS)] = "grad"):
        super().__init__(setup)
        self.act = ACTS[act]

    def facts(self):
        return {"fine": float("nan")} if callable(self.act) else self.act

    def start_epoch(self, epoch, epochs):
        if callable(self.act):
            self.act()

    def losses(self, batch, student, teacher):
        return {"hard": cross_entropy(student.logits, batch.y)}
'''

CHANGES = [
    *(
        "grad",
        "inference",
        "dtype",
        "device",
        "autocast",
        "onednn",
        "matmul",
        "deterministic",
        "threads",
        "hook",
        "loss",
    ),
    *(
        "layer",
        "seeds",
        "draws",
        "toggles",
        "numpy",
        "warnings",
        "folder",
        "environment",
        "denormal",
        "builtin",
        "alarm",
    ),
    *("optimiser", "mode", "parameters", "recursion", "mask", "trace", "signals", "files", "reader"),
]
ENDS = {
    "exit0": "SystemExit: 0 ",
    "exit3": "SystemExit: 3 ",
    "exit text": "SystemExit: enough ",
    "gone0": "its process ended with exit code 0, 2 times",
    "gone3": "its process ended with exit code 3, 2 times",
    "interrupt": "KeyboardInterrupt: KeyboardInterrupt ",
    "base": "BaseException: deep ",
    "generator": "GeneratorExit: GeneratorExit ",
    "stop": "StopIteration: StopIteration ",
    "unsayable": "Unsayable: Unsayable ",
    "unencodable": r"ValueError: half a \\ud800 pair\\x1b\[2J ",
    "endless": "ValueError: x{500} ",
    "system": r"OSError: \[Errno 28\] No space left on device: '/its/own' ",
    "pipe": "BrokenPipeError: BrokenPipeError ",
    "kdbench": "KdbenchError: as kdbench would ",
    "memory": "out of memory: MemoryError",
    "group": r"BaseExceptionGroup: two \(2 sub-exceptions\) ",
    "segfault": "its process was killed by SIGSEGV, 2 times",
    "killed": "its process was killed by SIGKILL, 2 times",
    "child": "its process ended with exit code 0, 2 times",
    "closed": "its process ended with exit code 1, 2 times",
    "printed": "ValueError: printed ",
    "two lines": r"Two Lines: and ",
    "imports": "what the method did to its process kept its cell from being finished: PackageNotFoundError: .*kdbench$",
    "written": "its process kept no whole record: .*/record.json: ",
    "unwritten": "its process kept no whole record: it is not there$",
    "size": "what the method did to its process kept its cell from being finished: Refused: .*File too large",
    "replaced": "its process ended with exit code 0, 2 times",
    "fact text": "TypeError: the fact 'a' is a str, wanted a number by a name ",
    "fact tensor": "TypeError: the fact 'a' is a Tensor, wanted a number by a name ",
    "fact list": "TypeError: .*",
    "fact name": "TypeError: .*",
    "fact none": "TypeError: .*",
    "fact large": "OverflowError: .*",
}
TINY = ("-d", "synthetic(people=4, windows=1, length=16)", "-p", "mlp(hidden=8):mlp(hidden=4)")
RUN = ("run", *TINY, "-S", "recipe.epochs=2", "-S", "recipe.batch_size=8", "--no-track")


@pytest.fixture
def wild(plug: Any) -> dict[str, Any]:
    return {"path": [plug("wild", METHOD, "kdbench.methods: wild = wild:Wild")]}


@pytest.mark.slow
def test_no_cell_is_another_one_for_what_a_method_before_it_did_to_its_process(
    forks: Any, wild: Any, store: Path, tmp_path: Path
) -> None:
    after = {change: f"kd(temperature={2.5 + number / 8})" for number, change in enumerate(CHANGES)}
    clean = [word for row in after.values() for word in ("-m", row)]
    assert forks(*RUN, *clean, "-j", 1, "--store", tmp_path / "clean").code == 0
    rows = [word for change, row in after.items() for word in ("-m", f"wild(act={change})", "-m", row)]
    ended = forks(*RUN, *rows, "-j", 1, **wild)
    assert "Traceback" not in ended.err
    wanted, found = Store(tmp_path / "clean"), Store(store)
    assert len(wanted.digests()) == len(CHANGES) + 2
    for digest in wanted.digests():
        record, other = wanted.record(digest), found.record(digest)
        assert record is not None
        assert other is not None, record.cell["method"]
        assert (other.files, other.warnings) == (record.files, record.warnings), record.cell["method"]
        assert (other.metrics, other.facts) == (record.metrics, record.facts)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_whatever_a_method_does_its_cell_fails_alone_and_says_why(
    jobs: int, forks: Any, wild: Any, store: Path
) -> None:
    rows = [word for act in ENDS for word in ("-m", f"wild(act='{act}')")]
    ended = forks(*RUN, *rows, "-m", "kd", "-j", jobs, **wild)
    assert ended.code == 1, ended.err
    assert "Traceback" not in ended.err
    records = {
        r.cell["method"]["settings"].get("act"): r for d in Store(store).digests() if (r := Store(store).record(d))
    }
    assert {act for act, record in records.items() if record.status == "failed"} == set(ENDS)
    for act, pattern in ENDS.items():
        assert re.match(pattern, str(records[act].reason)), f"{act}: {records[act].reason}"
    assert records[None].status == "done"
    assert "| kd " in ended.out
    assert len(Store(store).digests()) == len(ENDS) + 3


OTHERS = (
    *(
        2,
        0,
        False,
        torch.float64,
        torch.device("meta"),
        True,
        True,
        "medium",
        True,
        False,
        False,
        True,
        True,
    ),
)


def test_every_state_is_as_it_is_at_the_start_of_a_process_while_a_cell_runs_and_as_before_afterwards() -> None:
    before = [get() for get, _, _ in STATES]
    assert len(OTHERS) == len(STATES)
    hook = torch.nn.modules.module.register_module_forward_hook(lambda *given: None)
    try:
        for (get, put, value), other in zip(STATES, OTHERS, strict=True):
            put(other)
            assert get() == other != value
        with reproducible():
            assert [get() for get, _, _ in STATES] == [value for _, _, value in STATES]
            assert not torch.nn.modules.module._global_forward_hooks
        assert tuple(get() for get, _, _ in STATES) == OTHERS
        assert len(torch.nn.modules.module._global_forward_hooks) == 1
    finally:
        hook.remove()
        for (_, put, _), value in zip(STATES, before, strict=True):
            put(value)
        torch.set_default_device(None)

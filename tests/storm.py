"""Kills runs at random, again and again, and looks whether anything is lost, doubled or left: python tests/storm.py.

``--rounds 200 --seed 0 --minutes 60 [--folder FOLDER]``. A round starts one or two drivers in a store and kills
something of them with SIGKILL at a moment drawn by chance, or aimed at what they are doing. A store is stormed until
all its cells are done; then it must equal one that ran unbroken, byte for byte, and the next store begins. Linux alone.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdbench.results.record import WEIGHTS
from kdbench.session import Session, runtime
from kdbench.spec.selection import Selection
from kdbench.store.merge import difference
from kdbench.store.records import CURVE, PREDICTIONS, Store

FORKS = Path(__file__).parent / "benchmark" / "_forks.py"
MARK = "KDBENCH_STORM"
SELECTION = Selection(
    datasets=("synthetic(people=4, windows=2, length=32)",),
    pairs=("resnet_lstman(width=0.05):mlp(hidden=16)",),
    methods=("kd", "hmkd", "hmkd(role=tuned)"),
    seeds="2",
    settings=("recipe.epochs=4", "recipe.batch_size=16"),
)
DRIVER = """
import sys
from dataclasses import replace
from kdbench import Session, runtime
from kdbench.spec.selection import Selection

where = replace(runtime(store={store!r}, cache={cache!r}, device="cpu"), checkpoint_seconds=0)
session = Session({selection!r}, where, say=lambda line: print(line, file=sys.stderr))
sys.exit(session.run(jobs={jobs}, track={track}).exit_code)
"""
VICTIMS = ("driver", "worker", "both", "one of two drivers", "writer of MLflow")
TRACKED = 0.3
"""Share of the rounds that write to MLflow, which takes longer than training; the last run of a store always does."""
LONGEST = 180.0
"""Seconds after which a driver hangs, or a process is an orphan."""


@dataclass
class Server:
    """Starts drivers in milliseconds, from a process that has loaded everything."""

    process: subprocess.Popen[str]
    logs: Path
    number: int = 0
    running: set[int] = field(default_factory=set)

    def ask(self, request: dict[str, Any]) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer: int = json.loads(self.process.stdout.readline())
        return answer

    def start(self, root: Path, jobs: int, *, track: bool = True) -> int:
        self.number += 1
        places = {"store": str(root / "runs"), "cache": str(root / "cache")}
        code = DRIVER.format(**places, selection=SELECTION, jobs=jobs, track=track)
        log = str(self.logs / f"{self.number:04}")
        environment = {MARK: str(root), "NO_PROXY": "127.0.0.1", "MLFLOW_DISABLE_TELEMETRY": "true"}
        pid = self.ask({"code": code, "env": environment, "path": [], "log": log, "inside": None})
        self.running.add(pid)
        return pid

    def wait(self, pid: int) -> int:
        """The exit code of a driver that ends; one that does not is killed, which counts as a fault."""
        end = time.monotonic() + LONGEST
        while not gone(pid):
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        self.running.discard(pid)
        return self.ask({"wait": pid})


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def below(pid: int) -> Iterator[int]:
    """Processes that a process started, and that those did."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in map(int, children):
        yield child
        yield from below(child)


def called(pids: Iterator[int], name: str) -> list[int]:
    """Those of some processes whose command line has a word."""
    found = []
    for pid in pids:
        try:
            if name in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace"):
                found.append(pid)
        except OSError:
            continue
    return found


def left_over(root: Path) -> list[int]:
    """Processes that belong to a store, other than drivers that the server forked."""
    found, mark = [], f"{MARK}={root}".encode()
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return [pid for pid in found if not gone(pid)]


def moments(root: Path) -> dict[str, Callable[[], bool]]:
    """What a kill may be aimed at: each is true once the drivers are at it."""
    runs, cache = root / "runs", root / "cache"
    records = len(list(runs.glob("*/record.json")))
    begun = time.monotonic()
    after = begun + random.uniform(0.0, 6.0)
    return {
        "any": lambda: time.monotonic() > after,
        "planning": lambda: time.monotonic() > begun + 0.05,
        "preparation": lambda: any(cache.iterdir()) if cache.exists() else False,
        "training": lambda: any(runs.glob("*/checkpoint.pt")),
        "teacher's outputs": lambda: any(cache.glob("teachers/*/*")) or any(cache.glob("teachers/*/.*")),
        "record": lambda: any(not (p.parent / "record.json").exists() for p in runs.glob(f"*/{PREDICTIONS}")),
        "after a record": lambda: len(list(runs.glob("*/record.json"))) > records,
        "MLflow": lambda: any(runs.glob("*mlflow.db*")),
    }


def kill(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def one_round(server: Server, root: Path) -> tuple[str, str, list[str]]:
    """Start, kill, and wait for what is left to end; what was killed, when, and what is wrong."""
    victim = random.choice(VICTIMS)
    moment = random.choice(list(moments(root)))
    track = random.random() < TRACKED or moment == "MLflow" or victim == "writer of MLflow"
    drivers = [server.start(root, random.choice((1, 2)) if victim != "worker" else 2, track=track)]
    if victim == "one of two drivers":
        drivers.append(server.start(root, 1, track=track))
    come = moments(root)[moment]
    while not come() and not all(map(gone, drivers)):
        time.sleep(0.002)
    time.sleep(random.choice((0.0, random.uniform(0.0, 0.05))))
    family = list(below(drivers[0]))
    workers, writers = called(iter(family), "executors._child"), called(iter(family), "kdbench.track")
    chosen = {"worker": workers[:1], "both": [*workers[:1], drivers[0]], "writer of MLflow": writers}
    kill(chosen.get(victim, drivers[:1]))
    faults = []
    for pid in drivers:
        code = server.wait(pid)
        if code not in (0, -signal.SIGKILL) or (code and (victim == "worker" or pid != drivers[0])):
            faults.append(f"a driver ended with {code}")
    end = time.monotonic() + LONGEST
    while left_over(root) and time.monotonic() < end:
        time.sleep(0.05)
    if orphans := left_over(root):
        faults.append(f"orphans: {[Path(f'/proc/{pid}/cmdline').read_bytes()[:200] for pid in orphans]}")
        kill(orphans)
    return victim, moment, faults


def looked_at(server: Server, root: Path, unbroken: Path) -> list[str]:
    """Finish a store, and what is wrong with it then."""
    faults = [f"the last run ended with {code}" for _ in range(2) if (code := server.wait(server.start(root, 1)))]
    store, model = Store(root / "runs"), Store(unbroken / "runs")
    if store.digests() != model.digests():
        return [*faults, f"cells {set(store.digests()) ^ set(model.digests())} are in one store alone"]
    for digest in store.digests():
        faults += filter(None, [store.damage(digest)])
        one, other = store.record(digest), model.record(digest)
        assert one is not None
        assert other is not None
        faults += [f"{digest}: {differs}" for differs in [difference(one, other)] if differs]
        for name in (WEIGHTS, PREDICTIONS, CURVE):
            if (store.folder(digest) / name).read_bytes() != (model.folder(digest) / name).read_bytes():
                faults.append(f"{digest}/{name} has other bytes")
    if table(root) != table(unbroken):
        faults.append("the tables differ")
    kept = {*(path.name for path in (model.root / store.digests()[0]).iterdir()), "log.txt"}
    hidden = {path.name for path in unbroken.rglob(".*")}  # a lock that stays, for one
    faults += [f"left: {path}" for path in root.rglob(".*") if path.name not in hidden]
    faults += [f"left: {path}" for path in store.root.glob("claims/*")]
    faults += [f"left: {path}" for path in store.root.glob("drivers/*")]
    faults += [f"left: {p}" for d in store.digests() for p in store.folder(d).iterdir() if p.name not in kept]
    with sqlite3.connect(f"file:{store.root / 'mlflow.db'}?mode=ro", uri=True) as base:
        active = "from tags join runs using (run_uuid) where lifecycle_stage = 'active' and tags.key = 'kdbench.cell'"
        tracked = Counter(value for (value,) in base.execute(f"select tags.value {active}"))
        states = {value for (value,) in base.execute(f"select runs.status {active}")}
    if tracked != Counter(store.digests()) or states != {"FINISHED"}:
        faults.append(f"MLflow has {tracked} in states {states}")
    return faults


def table(root: Path) -> str:
    where = runtime(store=root / "runs", cache=root / "cache", device="cpu")
    return Session(SELECTION, where, say=lambda line: None).table("csv", ("macro_f1", "accuracy"))


def complete(root: Path) -> bool:
    return len(Store(root / "runs").digests()) == len(SELECTION.methods) * 2 + 4


def storm(rounds: int, minutes: float, folder: Path) -> int:
    """Storm one store after the other; the number of faults."""
    end, faults, counted = time.monotonic() + 60 * minutes, 0, Counter[str]()
    (folder / "logs").mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        server = Server(process, folder / "logs")
        try:
            unbroken = folder / "unbroken"
            assert server.wait(server.start(unbroken, 1)) == 0, (folder / "logs" / "0001.err").read_text()
            done, stores, root = 0, 1, folder / "store-1"
            while done < rounds and time.monotonic() < end:
                done += 1
                victim, moment, wrong = one_round(server, root)
                counted[victim] += 1
                counted[f"at {moment}"] += 1
                if complete(root) or done == rounds or time.monotonic() > end:
                    wrong += looked_at(server, root, unbroken)
                    stores += 1
                    root = folder / f"store-{stores}"
                faults += len(wrong)
                print(f"round {done}: {victim}, {moment}: {'; '.join(wrong) or 'well'}", flush=True)
            print(f"{done} rounds, {stores - 1} stores, {faults} faults; {dict(sorted(counted.items()))}")
        finally:
            kill([pid for pid in server.running if not gone(pid)])
            assert process.stdin is not None
            process.stdin.close()
    return faults


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=200)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--folder", type=Path)
    asked = options.parse_args()
    random.seed(asked.seed)
    with tempfile.TemporaryDirectory(prefix="kdbench-storm-") as name:
        folder = asked.folder or Path(name)
        sys.exit(1 if storm(asked.rounds, asked.minutes, folder) else 0)


if __name__ == "__main__":
    main()

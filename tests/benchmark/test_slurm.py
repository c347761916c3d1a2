"""The job script of the docs, submitted to a Slurm of one node that runs for the test alone."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "kdbench.sbatch"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
CONF = """
ClusterName=tiny
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""

pytestmark = pytest.mark.slow


@dataclass
class Slurm:
    """Daemons of one node.

    Args:
        folder: of their files.
        env: with which programs find them.
    """

    folder: Path
    env: dict[str, str]

    def ask(self, *command: str | Path, where: Path | None = None, **more: str) -> str:
        """What a program prints; what it complains of fails the test."""
        said = subprocess.run(
            list(map(str, command)), env={**self.env, **more}, cwd=where, capture_output=True, text=True, check=False
        )
        assert said.returncode == 0, f"{command}: {said.stderr}\n{self.logs()}"
        return said.stdout

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(self.folder.glob("*.log")))


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    return found or pytest.skip(f"no {name} here: Debian has it in slurm-wlm and munge")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def slurm(until: Any) -> Iterator[Slurm]:
    """A controller and a node, in the foreground, with a key of their own."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("Slurm's daemons run jobs as their users, for which they must be root's")
    munged, slurmctld, slurmd, *_ = map(program, PROGRAMS)
    folder = Path(tempfile.mkdtemp(prefix="kds-"))  # sockets want a short path
    folder.chmod(0o755)
    conf, key, daemons = folder / "slurm.conf", folder / "munge.key", []
    host = socket.gethostname().partition(".")[0]
    conf.write_text(CONF.format(host=host, folder=folder, ports=free_ports(2)))
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    (folder / "state").mkdir()
    files = [f"--{what}-file={folder / name}" for what, name in (("pid", "munge.pid"), ("seed", "munge.seed"))]
    files += [f"--log-file={folder / 'munged.log'}", f"--key-file={key}", f"--socket={folder / 'munge.socket'}"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin"
    slurm = Slurm(folder, {**os.environ, "SLURM_CONF": str(conf), "PATH": path})
    try:
        for command in ([munged, "--foreground", "--force", *files], [slurmctld, "-D"], [slurmd, "-D"]):
            with (folder / f"{Path(command[0]).name}.out.log").open("wb") as log:
                daemons.append(subprocess.Popen(command, env=slurm.env, stdout=log, stderr=log))
            if command[0] == munged:
                until((folder / "munge.socket").exists, "munged listens", 10)
        until(lambda: "State=IDLE" in slurm.ask("scontrol", "show", "node"), "the node is there", 30)
        yield slurm
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(30)
        shutil.rmtree(folder)


@pytest.fixture
def submit(slurm: Slurm, cache: Path, tmp_path: Path, job: Any, until: Any) -> Callable[..., str]:
    """Submits the script for the tiny job in two parts and waits for its end; returns what it printed."""

    def run(*options: str, **more: str) -> str:
        more |= {"KDBENCH_CACHE": str(cache), "KDBENCH_NO_TRACK": "1"}
        command = (
            "sbatch",
            "--parsable",
            "--array=1-2",
            "--cpus-per-task=1",
            *options,
            SCRIPT,
            *job,
            "--device",
            "cpu",
        )
        number = slurm.ask(*command, where=tmp_path, **more).strip()
        until(lambda: not slurm.ask("squeue", "--noheader"), "the array ends", 120)
        logs = [tmp_path / f"kdbench-{number}-{part}.log" for part in (1, 2)]
        said = "\n".join(path.read_text() for path in logs)
        for part in (1, 2):
            told = slurm.ask("scontrol", "show", "job", f"{number}_{part}")
            assert "JobState=COMPLETED" in told, f"{told}\n{said}"
        return said

    return run


def test_an_array_on_a_shared_store_gives_what_one_process_gives(
    submit: Callable[..., str], same: Callable[[Path], None], store: Path
) -> None:
    said = submit(KDBENCH_STORE=str(store))
    assert said.count("4 cells, ") == 2, said
    same(store)


def test_an_array_with_a_store_for_each_part_is_merged_to_the_same(
    submit: Callable[..., str], same: Callable[[Path], None], call: Any, store: Path, tmp_path: Path
) -> None:
    submit("--export=ALL,KDBENCH_STORE=part-%PART%")
    parts = [tmp_path / f"part-{part}" for part in (1, 2)]
    assert all(part.is_dir() for part in parts)
    ended = call("merge", *parts, "--store", store)
    assert ended.code == 0, ended.err
    same(store)

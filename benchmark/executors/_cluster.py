"""Speaking with a Ray cluster; the only file that knows Ray."""

from __future__ import annotations

import atexit
import logging
import os
import pickle
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any

from kdbench.errors import KdbenchError, absent
from kdbench.executors._node import PREFIX, hold
from kdbench.executors._parcels import Files, code, digest_of
from kdbench.machine import Runtime
from kdbench.text import first_line

ANSWERS = 5.0
"""Seconds that the address of a cluster has for answering at all."""


class Lost(Exception):
    """An actor is gone, or the node that it was on."""


def _actor_class() -> Any:
    """What runs on a node, as a class.

    It is made in a function since Ray then sends its code and not its name: a node gets kdbench here.
    """

    class Actor:
        def __init__(self, prefix: str, digest: str, package: list[Any], runtime: bytes) -> None:
            import pickle
            import shutil
            import sys
            import tempfile
            from pathlib import Path

            import ray
            from filelock import FileLock

            node = ray.get_runtime_context().get_node_id()
            folder = Path(tempfile.gettempdir()) / f"{prefix}-{node[:12]}"
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            place = folder / f"code-{digest[:16]}"
            with FileLock(folder / "unpacking.lock"):
                if not place.exists():
                    half = place.with_suffix(".half")
                    shutil.rmtree(half, ignore_errors=True)
                    for name, raw in ray.get(package[0]).items():
                        (half / name).parent.mkdir(parents=True, exist_ok=True)
                        (half / name).write_bytes(raw)
                    half.rename(place)
            sys.path.insert(0, str(place))
            from kdbench.executors._node import Node

            self.node = Node(folder, pickle.loads(runtime), ray.get)

        def call(self, name: str, arguments: bytes, where: list[Any]) -> bytes:
            """Do one of `Node`'s methods; what goes to and fro is pickled, so that Ray need not know its classes."""
            import pickle

            given = [*pickle.loads(arguments), *([where] if where else [])]
            return pickle.dumps(getattr(self.node, name)(*given))

    return Actor


class Cluster:
    """A connection to a cluster; without an address, to one of this machine's own, which ends with it.

    Args:
        runtime: how cells run, and the address.
        count: how many cells are to run at a time, where the cluster is begun here.

    Raises:
        KdbenchError: if Ray is not installed, or the address is not that of a cluster that answers.
    """

    def __init__(self, runtime: Runtime, count: int) -> None:
        self._ray = _ray()
        self._name = f"{PREFIX}{token_hex(4)}"
        self._own: Path | None = None
        self._joined = not self._ray.is_initialized()
        address = runtime.address or os.environ.get("RAY_ADDRESS")
        if self._joined and address:
            self._join(address)
        elif self._joined:
            self._begin(count)
        atexit.register(self.close)
        self._share = 1 / (runtime.jobs_per_gpu or count) if runtime.device != "cpu" else 0.0
        package = code()
        self._code = digest_of(package), [self.put(package)]
        self._runtime = pickle.dumps(runtime)
        if not self.room():
            self.close()
            raise KdbenchError(f"the cluster has no {'GPU' if self._share else 'CPU'} for cells; wanted one at least")

    def _join(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        if address != "auto" and not (host and port.isdecimal() and int(port) < 1 << 16):
            raise KdbenchError(f"--address {address}: wanted HOST:PORT of a Ray cluster's head, or auto")
        try:
            if address != "auto":
                socket.create_connection((host.strip("[]"), int(port)), ANSWERS).close()
            self._init(address=address)
        except Exception as error:  # of many kinds
            why = getattr(error, "strerror", None) or first_line(error)
            raise KdbenchError(
                f"no Ray cluster answers at {address}: {why}; `ray start --head` begins one, this machine must be in "
                "it, and RAY_AUTH_MODE must be what it is there"
            ) from None

    def _begin(self, count: int) -> None:
        self._own = Path(tempfile.gettempdir()) / self._name
        self._held = hold(self._own)
        gpus = {} if _cuda() else {"num_gpus": 0}
        try:
            # Ray wants a token of whoever speaks with it; without one given it would leave its own in the home folder.
            with _environment(RAY_AUTH_TOKEN=_token()):
                self._init(
                    num_cpus=count,
                    include_dashboard=False,
                    _temp_dir=str(self._own),
                    _node_ip_address="127.0.0.1",
                    **gpus,
                )
        except Exception as error:
            self.close()
            raise KdbenchError(f"Ray does not start here: {first_line(error)}") from None

    def _init(self, **where: Any) -> None:
        main = threading.current_thread() is threading.main_thread()
        heard = signal.getsignal(signal.SIGTERM)
        with _environment(RAY_USAGE_STATS_ENABLED="0"):
            self._ray.init(logging_level=logging.CRITICAL, log_to_driver=False, **where)
        if main:  # Ray's own handler would end the process without a word
            signal.signal(signal.SIGTERM, heard)

    def room(self) -> int:
        """How many cells have room at a time, with nothing else in the cluster."""
        have = self._ray.cluster_resources()
        return int(have.get("GPU", 0) / self._share) if self._share else int(have.get("CPU", 0))

    def put(self, files: Files) -> Any:
        """Have files at hand for the nodes; returns what they are fetched by."""
        return self._ray.put(files)

    def actor(self) -> Any:
        """A new actor, begun where there is room; nodes take turns."""
        made = self._ray.remote(_actor_class()).options(
            num_cpus=1, num_gpus=self._share, max_restarts=0, scheduling_strategy="SPREAD"
        )
        return made.remote(self._name, *self._code, self._runtime)

    def ask(self, actor: Any, name: str, *arguments: Any, where: list[Any] | None = None) -> Any:
        """Have an actor do something; returns what its answer is known by.

        Args:
            actor: of this cluster.
            name: of what it does.
            arguments: of that.
            where: what parcels are fetched by; comes after the arguments.
        """
        return actor.call.remote(name, pickle.dumps(arguments), where or [])

    def ready(self, answers: list[Any], seconds: float, count: int = 1) -> list[Any]:
        """Those that came within some seconds, or as soon as there are so many."""
        done: list[Any] = self._ray.wait(answers, num_returns=count, timeout=seconds)[0] if answers else []
        return done

    def answer(self, known: Any) -> Any:
        """An answer that has come.

        Raises:
            Lost: if its actor is gone.
        """
        try:
            return pickle.loads(self._ray.get(known))
        except self._ray.exceptions.RayTaskError:
            raise
        except self._ray.exceptions.RayError as error:
            raise Lost(_reason(error)) from None

    def end(self, actor: Any) -> None:
        """End an actor at once."""
        self._ray.kill(actor)

    def close(self) -> None:
        """Leave the cluster, and end it where it was begun here."""
        atexit.unregister(self.close)
        try:
            if self._joined:
                self._ray.shutdown()
        finally:
            if self._own is not None:
                self._held.release(force=True)
                shutil.rmtree(self._own, ignore_errors=True)


def _ray() -> Any:
    try:
        with _environment(RAY_NUM_REDIS_GET_RETRIES="1", RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0"):  # read on import
            import ray
    except ImportError as error:
        if absent(error, "ray"):
            raise KdbenchError("--executor ray needs Ray, which is not installed: pip install 'kdbench[ray]'") from None
        raise KdbenchError(f"Ray cannot be loaded: {first_line(error)}") from None
    return ray


@cache
def _token() -> str:
    """One for all clusters that this process begins, since Ray reads it once."""
    return token_hex(32)


def _cuda() -> bool:
    return Path("/dev/nvidiactl").exists()


def _reason(error: BaseException) -> str:
    """Why an actor is gone, in a few words of Ray's many."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if "died" in line or "terminated" in line or "killed" in line]
    return (said[1:] or said or lines or [type(error).__name__])[0]


@contextmanager
def _environment(**names: str) -> Iterator[None]:
    """Variables that are set within the block unless they are already."""
    new = {name: value for name, value in names.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            with suppress(KeyError):
                del os.environ[name]

"""Speaking with a driver: a socket beside its sign, in the store, for its owner alone.

A line is asked, a line is answered. The name is ``<process>@<machine>.sock``; a socket is bound and connected through
the number of its open folder where the system has that, since the path of a store may be longer than an address may be.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kdbench.errors import KdbenchError
from kdbench.store.drivers import drivers
from kdbench.store.records import Store

PATIENCE, SILENCE = 10.0, 1.0
"""Seconds for an answer, and for a question: who connects and says nothing keeps others waiting no longer."""
LONGEST = 200
"""Bytes of a line that is asked."""


@contextmanager
def listening(store: Store, answer: Callable[[str], str]) -> Iterator[None]:
    """Answer whoever asks while the block runs; where no socket can be made, the block runs all the same.

    Args:
        store: whose owner may ask.
        answer: to a line, in a line; called by another thread.
    """
    path = _folder(store) / f"{os.getpid()}@{socket.gethostname()}.sock"
    with socket_or_none() as server:
        if server is None or not _bound(server, path):
            yield
            return
        thread = threading.Thread(target=_serve, args=(server, answer), daemon=True)
        thread.start()
        try:
            yield
        finally:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)  # wakes the thread
            with suppress(OSError):
                path.unlink(missing_ok=True)
                path.parent.rmdir()  # only where no other driver is


def ask(store: Store, line: str, pid: int | None = None) -> str:
    """Ask the driver of a store.

    Args:
        store: where it runs.
        line: what is asked.
        pid: its process, where several run.

    Raises:
        KdbenchError: if none runs, several do, it is another user's, or it does not answer.
    """
    living = {pid: path for pid, path in _here(_folder(store), "sock").items() if _answers(path)}
    if not living:
        raise KdbenchError(f"no run in {store.root} can be spoken with {_whereabouts(store)}")
    if pid is None and len(living) > 1:
        raise KdbenchError(f"several runs are in {store.root}: {_named(living)}; name one with --pid")
    if pid is not None and pid not in living:
        raise KdbenchError(f"no run in {store.root} is process {pid}; there are: {_named(living)}")
    chosen = pid if pid is not None else next(iter(living))
    with _connected(living[chosen]) as client:
        try:
            client.sendall(line.encode() + b"\n")
            said = client.makefile(encoding="utf-8").readline().strip()
        except OSError as error:
            raise KdbenchError(f"process {chosen} does not answer: {error.strerror or error}") from None
    if not said:
        raise KdbenchError(f"process {chosen} has just ended")
    if said.startswith("error: "):
        raise KdbenchError(f"process {chosen}: {said.removeprefix('error: ')}")
    return f"process {chosen}: {said}"


def speaks(store: Store, pid: int) -> bool:
    """Whether a driver can be asked."""
    path = _here(_folder(store), "sock").get(pid)
    return path is not None and _answers(path)


def _named(living: dict[int, Path]) -> str:
    return ", ".join(f"process {pid}" for pid in sorted(living))


def _folder(store: Store) -> Path:
    return store.root / "drivers"


def _here(folder: Path, kind: str) -> dict[int, Path]:
    """Files of this machine's drivers, by process; another's are in a shared store too, and nobody here listens."""
    found = {}
    for path in sorted(folder.glob(f"*.{kind}")):
        pid, _, host = path.stem.partition("@")
        if pid.isdecimal() and host == socket.gethostname():
            found[int(pid)] = path
    return found


def _whereabouts(store: Store) -> str:
    there = [driver for driver, alive in drivers(store) if alive and driver.host != socket.gethostname()]
    if not there:
        return "(--store, KDBENCH_STORE); `kdbench status` shows all"
    named = ", ".join(f"process {driver.pid} on {driver.host}" for driver in there)
    return f"from {socket.gethostname()}; a run is spoken with on its own machine: {named}"


@contextmanager
def socket_or_none() -> Iterator[socket.socket | None]:
    """A socket of files, where the system has them."""
    if not hasattr(socket, "AF_UNIX"):
        yield None
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        yield made


def _bound(server: socket.socket, path: Path) -> bool:
    """Make the socket's file, for its owner alone.

    It gets its name once somebody listens: before, who asks would be told that nobody runs, and another driver would
    take it for one that a killed driver left.
    """
    opening = path.with_suffix(".opening")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        opening.unlink(missing_ok=True)  # a killed driver's that had this number
        before = os.umask(0o177)  # so that there is no moment in which others may connect
        try:
            with _address(opening) as address:
                server.bind(address)
        finally:
            os.umask(before)
        server.listen()
        opening.rename(path)
    except OSError:  # a file system without sockets
        return False
    return True


def _sweep(folder: Path) -> None:
    """Remove what killed drivers of this machine left."""
    silent = [path for path in _here(folder, "sock").values() if not _answers(path)]
    unborn = [path for pid, path in _here(folder, "opening").items() if not _lives(pid)]
    for path in silent + unborn:
        path.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """A short name for a socket's path."""
    if not Path("/proc/self/fd").is_dir():
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


@contextmanager
def _connected(path: Path) -> Iterator[socket.socket]:
    with socket_or_none() as client, _address(path) as address:
        if client is None:
            raise KdbenchError("this system has no sockets of files")
        client.settimeout(PATIENCE)
        try:
            client.connect(address)
        except PermissionError:
            raise KdbenchError(f"{path}: only who started the run may speak with it") from None
        yield client


def _answers(path: Path) -> bool:
    """Whether somebody listens; a driver that was killed leaves its file, and nobody does. Another user's counts."""
    try:
        with _connected(path):
            return True
    except KdbenchError:
        return True
    except OSError:
        return False


def _serve(server: socket.socket, answer: Callable[[str], str]) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:  # the run is over
            return
        with client, suppress(OSError, ValueError):
            client.settimeout(SILENCE)
            if not _of_owner(client):
                continue
            line = client.makefile(encoding="utf-8").readline(LONGEST)
            if line:
                client.sendall((answer(line) + "\n").encode())


def _of_owner(client: socket.socket) -> bool:
    """Whether who asks is who runs, or root, where the system tells."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return struct.unpack("3i", raw)[1] in (0, os.getuid())

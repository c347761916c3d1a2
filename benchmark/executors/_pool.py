"""Worker processes from the outside: started, given a job, listened to, ended."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any

from kdbench.executors._child import told
from kdbench.executors._log import Log
from kdbench.machine import Runtime
from kdbench.schedule.jobs import Job
from kdbench.store.records import LOG, Store

CODE = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from kdbench.executors._child import main; main()"
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Worker:
    """A process that runs jobs.

    It is started as Python with a line of code, so that nothing of a user's script is run again in it, and shares no
    state with this process but its folder and environment.

    Args:
        runtime: where jobs run.
        apart: whether it runs each job in a copy of itself.
        messages: where its answers go, each with the worker; None when it says nothing more.
        card: the only GPU that it sees; None where it sees all, or there is none.
    """

    def __init__(
        self, runtime: Runtime, *, apart: bool, messages: Queue[tuple[Worker, Any]], card: str | None = None
    ) -> None:
        self.apart, self.card = apart, card
        self.ready = False
        self._runtime = runtime
        self._messages = messages
        path = json.dumps([place for place in sys.path if isinstance(place, str)])
        # Before it imports torch; what the user has set stays.
        environment = {**dict.fromkeys(ONE_THREAD, "1"), **os.environ}
        if card is not None:
            environment["CUDA_VISIBLE_DEVICES"] = card
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        with _no_interrupt():
            self.process = subprocess.Popen(
                [sys.executable, *flags, "-c", CODE, path, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
            )
        self._log = Log()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._say((runtime, apart))

    def run(self, job: Job) -> None:
        """Begin a job; the answer comes as a message. What it prints is kept beside its cell."""
        self._log = Log(Store(self._runtime.store).folder(job.digest) / LOG)
        self._say(job)

    def _say(self, message: object) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # it has died, which is noticed by its silence
            pickle.dump(message, self.process.stdin)
            self.process.stdin.flush()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        while True:
            try:
                message = pickle.load(self.process.stdout)
            except Exception:  # the end, or what a dying process left of an answer
                self._messages.put((self, None))
                return
            self._messages.put((self, message))

    def _read(self) -> None:
        assert self.process.stderr is not None
        with contextlib.suppress(OSError, ValueError):
            while raw := os.read(self.process.stderr.fileno(), 65536):
                self._log.write(raw)

    @property
    def gone(self) -> bool:
        """Whether the process has ended, even if somebody it left behind holds its output open."""
        return self.process.poll() is not None

    def end(self) -> str:
        """End the process at once, also one that is stopped, and say how it had ended by itself, if it had."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0 if self._listener.is_alive() else 2)
        how = "was ended" if self.process.returncode is None else told(self.process.returncode)
        self.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self._listener.join(1)
        self._reader.join(1)
        streams = (self.process.stdin, None), (self.process.stdout, self._listener), (self.process.stderr, self._reader)
        for stream, user in streams:
            if stream is not None and not (user and user.is_alive()):
                with contextlib.suppress(OSError):  # what a process that died did not read is still to be written
                    stream.close()
        return how


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Ctrl-C waits until the block ends; a process begun in it never sees one."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

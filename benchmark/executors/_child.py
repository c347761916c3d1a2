"""A worker process from the inside: it takes jobs from its parent, one after the other, and gives records back."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import faulthandler
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
from dataclasses import dataclass
from multiprocessing import Pipe
from queue import SimpleQueue
from typing import Any, BinaryIO

from kdbench.errors import KdbenchError, MachineError
from kdbench.files import Refused
from kdbench.machine import Runtime
from kdbench.provenance.sources import sources
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job
from kdbench.store.claims import Elsewhere
from kdbench.text import first_line


@dataclass(frozen=True)
class Ready:
    """The worker has loaded what it needs; or ``failure`` says why it could not."""

    failure: str | None = None


@dataclass(frozen=True)
class Died:
    """A job's process ended before the job did; ``how`` says how."""

    how: str


@dataclass(frozen=True)
class Spoilt:
    """A class from outside left its process so that the job could not be finished there; ``why`` says how it showed."""

    why: str


def main() -> None:
    """Serve the parent until it leaves or says nothing more.

    The first message is the runtime, and whether each job gets a process of its own; every other one is a job.
    """
    faulthandler.enable()  # where a crash happened goes to standard error
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of the terminal: the parent decides
    leave_with(int(sys.argv[2]))
    parent, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "r+b") as nothing:  # what a method reads or prints must not come between
        os.dup2(nothing.fileno(), 0)
        with contextlib.suppress(OSError):
            os.dup2(nothing.fileno(), 1)
            os.dup2(2, 1)
    messages: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_listen, args=(parent, messages), daemon=True).start()
    runtime, apart = messages.get()
    try:
        from kdbench.worker import warm_up  # torch, and all that takes time and memory

        if apart:
            warm_up()
    except BaseException as error:
        _answer(answers, Ready(f"{type(error).__name__}: {error}"))
        return
    _answer(answers, Ready())
    try:
        while True:
            job = messages.get()
            _answer(answers, _run_apart(job, runtime) if apart else _run(job, runtime))
    except MemoryError:  # a traceback would only need more
        os._exit(1)


def leave_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, where it can (Linux), even if it is stopped by then."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it ended before that
            os._exit(1)


def _listen(parent: BinaryIO, messages: SimpleQueue[Any]) -> None:
    """Pass the parent's messages on; when it has gone, leave at once, whatever is being trained."""
    while True:
        try:
            messages.put(pickle.load(parent))
        except Exception:
            os._exit(1)


def _answer(answers: BinaryIO, message: object) -> None:
    pickle.dump(message, answers)
    answers.flush()


_OF_THE_PROCESS = {errno.EBADF, errno.EFBIG, errno.EMFILE}
"""Why files are refused to one process and not to the machine: what it closed, and limits that it may lower itself."""


def _run(job: Job, runtime: Runtime) -> Record | BaseException | Spoilt:
    from kdbench.worker import run_job

    try:
        return run_job(job, runtime, contained=True)
    except (Elsewhere, KdbenchError) as error:
        return error
    except Refused as error:
        return Spoilt(_spoilt_by(error)) if job.foreign and error.errno in _OF_THE_PROCESS else error
    except MemoryError:
        return MachineError("there is too little memory to run a cell; what is done is kept")
    except BaseException as error:
        if job.foreign:
            traceback.print_exc()  # into the log of its cell
            return Spoilt(_spoilt_by(error))
        return RuntimeError(traceback.format_exc())  # a fault of kdbench's own


def _spoilt_by(error: BaseException) -> str:
    said = f"{type(error).__name__}: {first_line(error)}"
    return f"what the method did to its process kept its cell from being finished: {said}"


def _run_apart(job: Job, runtime: Runtime) -> Record | BaseException | Died | Spoilt:
    """Run a job in a copy of this process, which stays as it was whatever the job does to its own."""
    here = os.getpid()
    with contextlib.suppress(KdbenchError):
        sources(job.cell)  # reads code without running it, once for all copies
    receiver, sender = Pipe(duplex=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the other thread waits for the parent and holds nothing
        child = os.fork()
    if child == 0:
        try:
            leave_with(here)
            sender.send(_run(job, runtime))
        finally:
            os._exit(0)
    sender.close()
    try:
        while not receiver.poll(0.2):
            ended, status = os.waitpid(child, os.WNOHANG)  # seen even where a process that it left holds the pipe
            if ended and not receiver.poll(0):
                child = 0
                return Died(told(os.waitstatus_to_exitcode(status)))
        result: Record | BaseException | Spoilt = receiver.recv()
        return result
    except (EOFError, OSError, pickle.UnpicklingError):
        _, status = os.waitpid(child, 0)
        child = 0
        return Died(told(os.waitstatus_to_exitcode(status)))
    finally:
        receiver.close()
        if child:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)


def told(code: int) -> str:
    """How a process ended, in words."""
    if code < 0:
        names = {int(number): number.name for number in signal.Signals}
        return f"was killed by {names.get(-code, f'signal {-code}')}"
    return f"ended with exit code {code}"

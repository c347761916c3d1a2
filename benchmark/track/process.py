"""The process that writes to MLflow, from the outside: begun, told what is done, waited for no longer than agreed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from kdbench.provenance.known import KNOWN
from kdbench.track.database import TRIALS
from kdbench.track.target import GRACE, Target

CODE = (
    "import json, sys, warnings; warnings.simplefilter('ignore'); sys.path[:] = json.loads(sys.argv[1]); "
    "from kdbench.track.writer import main; main()"
)

KEPT = "the results themselves are kept, the next run writes what is missing, and so does `kdbench track sync`"


class WritingProcess:
    """Writes a matrix to MLflow beside the run.

    Args:
        target: where to.
        matrix: its identity in the store, where its plan must be kept; by default what a search tries is written.
        storage: where the search keeps its studies, if not in the store.
    """

    def __init__(self, target: Target, matrix: str = TRIALS, storage: str | None = None) -> None:
        target.owe(matrix)  # whatever becomes of the process
        self._target, self._faults, self._gone = target, list[str](), False
        self._answers: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        path = json.dumps([place for place in sys.path if isinstance(place, str)])
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        self._process = subprocess.Popen(
            [sys.executable, *flags, "-c", CODE, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # what the terminal sends is for this process to hear
        )
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()
        cache = None if KNOWN.folder is None else os.fspath(KNOWN.folder)
        where = {"store": os.fspath(target.root), "cache": cache, "server": target.server, "storage": storage}
        self._say({**where, "matrix": matrix})

    def add(self, digest: str) -> None:
        """A cell has its record."""
        self._say(["add", digest])

    def end(self, *message: str) -> None:
        """Say the last thing, and wait until that is written; for a server not long.

        Args:
            message: ``finish``, ``stop`` and a status, or ``trials``.
        """
        self._say(list(message))
        late = None if self._target.server is None else time.monotonic() + GRACE
        while True:
            try:
                left = None if late is None else max(0.0, late - time.monotonic())
                answer = None if self._gone else self._answers.get(timeout=left)
            except Empty:
                self._faults.append(f"the tracking server {self._target.server} takes too long; {KEPT}")
                break
            if answer is None:
                self._faults.append(f"the process that writes to MLflow ended by itself; {KEPT}")
                break
            if answer.get("done"):
                break
            self._note(answer)
        self._close(late)

    def faults(self) -> list[str]:
        """What went wrong since this was asked last."""
        with suppress(Empty):
            while (answer := self._answers.get_nowait()) is not None:
                self._note(answer)
            self._gone = True
        said, self._faults = self._faults, []
        return said

    def _note(self, answer: dict[str, Any]) -> None:
        if "fault" in answer:
            self._faults.append(answer["fault"])

    def _close(self, late: float | None) -> None:
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(None if late is None else max(0.1, late - time.monotonic()))
        self._process.kill()
        self._process.wait()
        self._listening.join(1)  # what it reads has ended
        if self._process.stdout is not None and not self._listening.is_alive():
            self._process.stdout.close()

    def _say(self, message: object) -> None:
        with suppress(OSError, ValueError):  # it has died, which is noticed by its silence
            if self._process.stdin is not None:
                print(json.dumps(message), file=self._process.stdin, flush=True)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(ValueError):
                self._answers.put(json.loads(line))
        self._answers.put(None)

"""The process that writes to MLflow, from the inside: it is told which cells are done and reads the rest in the store.

A process of its own, so that a server that is slow, or a database that is locked, holds nobody up, and so that what
mlflow needs of time, memory and warnings is not the training's.
"""

from __future__ import annotations

import json
import os
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TextIO

from kdbench.errors import KdbenchError
from kdbench.provenance.known import KNOWN
from kdbench.store.entries import entries
from kdbench.store.records import Store
from kdbench.text import first_line
from kdbench.track.database import TRIALS, Living, lives
from kdbench.track.mirror import Mirror, mirror_of, write_matrix
from kdbench.track.target import GRACE, Target

PAUSE = 30.0
"""Seconds between two tries of a server that failed."""

OFTEN = 30.0
"""Seconds between two looks at what a search has tried."""


def main() -> None:
    """Serve the parent until it has said that the run ended, or has gone."""
    warnings.simplefilter("ignore")
    orders, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    asked = json.loads(orders.readline())
    messages: SimpleQueue[list[str]] = SimpleQueue()
    threading.Thread(target=_listen, args=(orders, messages), daemon=True).start()
    Writer(asked, messages, answers).serve()
    os._exit(0)


def _listen(orders: TextIO, messages: SimpleQueue[list[str]]) -> None:
    """Pass the parent's messages on; when it has gone, the run was killed, and this process ends soon."""
    ended = False
    for line in orders:
        with suppress(ValueError):
            message = json.loads(line)
            ended = ended or message[0] != "add"
            messages.put(message)
    if not ended:
        messages.put(["stop", "KILLED"])
        threading.Event().wait(2 * GRACE)
        os._exit(1)


class Writer:
    """Works messages off.

    Args:
        asked: the ``store``, the ``matrix``, the ``cache`` and the ``server``, or None, and the ``storage`` of a
            search's studies, None where that is the store.
        messages: of the parent: ``add`` and a cell's digest, then ``finish``, ``stop`` and a status, or ``trials``.
        answers: where faults go, and what is done, as lines of JSON.
    """

    def __init__(self, asked: dict[str, Any], messages: SimpleQueue[list[str]], answers: TextIO) -> None:
        self._store = Store(Path(asked["store"]))
        self._identity: str = asked["matrix"]
        self._target = Target(self._store.root, asked["server"])
        self._storage: str | None = asked["storage"]
        KNOWN.folder = asked["cache"] and Path(asked["cache"])
        self._messages, self._answers = messages, answers
        self._searching: Living | None = None
        self._whole: set[str] = set()  # studies that were written to their end
        self._mirror: Mirror | None = None
        self._later = 0.0  # when the server is tried again; the end writes what was left out

    def serve(self) -> None:
        """Until the end of the run."""
        self._try(self._begin)
        while True:
            try:
                message, *given = self._messages.get(timeout=None if self._searching is None else OFTEN)
            except Empty:
                self._try(self._trials, True)
                continue
            if message == "add":
                if time.monotonic() >= self._later:
                    self._try(self._add, *given)
                continue
            if message == "finish":
                self._try(self._finish)
            elif self._searching is not None:
                self._searching.end()
                self._try(self._trials, lives(self._store.root, TRIALS))
            else:
                self._try(self._stop, *given)
            self._answer(done=True)
            return

    def _begin(self) -> None:
        """Write that the matrix is running, while its first cell is trained; of a search, only say so to others."""
        if self._identity == TRIALS:
            self._searching = Living(self._store.root, TRIALS)
            return
        mirror = self._mirror = mirror_of(self._store, self._identity, self._target)
        if mirror is not None:
            mirror.live()
            mirror.begin()

    def _add(self, digest: str) -> None:
        record = self._store.record(digest)
        if self._mirror is not None and record is not None:
            self._mirror.add(record)

    def _stop(self, status: str) -> None:
        if self._mirror is not None:
            self._mirror.stop(killed=status == "KILLED")

    def _finish(self) -> None:
        if self._mirror is not None:
            self._mirror.finish(entries(self._mirror.plan, self._store))
            for identity in self._target.behind:
                if identity == TRIALS:
                    self._trials(lives(self._store.root, TRIALS))
                elif not lives(self._store.root, identity):
                    write_matrix(self._store, identity, self._target)

    def _trials(self, running: bool) -> None:
        from kdbench.track.trials import write_trials  # with optuna, which takes its time to load

        write_trials(self._store.root, self._target, self._storage, running=running, whole=self._whole)

    def _try(self, write: Callable[..., None], *given: object) -> None:
        try:
            write(*given)
        except KdbenchError as error:
            self._answer(fault=str(error))
            if self._target.server is not None:
                self._later = time.monotonic() + PAUSE
        except Exception as error:  # one of kdbench's own; the run goes on
            self._answer(fault=f"{type(error).__name__}: {first_line(error)}")

    def _answer(self, **said: object) -> None:
        with suppress(OSError):
            print(json.dumps(said), file=self._answers, flush=True)

"""What `run --detach` does: the same command in a process of its own, that no terminal ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from kdbench.store.records import Store
from kdbench.store.talk import speaks

PATIENCE = 60.0
"""Seconds in which a run should have planned; a longer preparation goes on without being waited for."""


def detach(arguments: Sequence[str], store: Store, say: Callable[[str], None]) -> int:
    """Begin a command, and leave it once it can be spoken with.

    Args:
        arguments: of kdbench.
        store: that it works in; what it says is kept there.
        say: told where, and how to go on.

    Returns:
        0 where it runs, else its exit code.
    """
    store.wants_weights()
    store.open_for_writing()
    log = store.root / "detached" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "kdbench", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    end = time.monotonic() + PATIENCE
    while process.poll() is None and not speaks(store, process.pid) and time.monotonic() < end:
        time.sleep(0.1)
    if process.returncode is not None:
        say(_read(log))
        return process.returncode
    process.returncode = 0  # nobody waits for it any more, which is meant
    say(f"running as process {process.pid}; what it says is in {log}")
    say(
        "`kdbench status --watch` shows how far it is, `kdbench ctl pause | resume | jobs N | stop` tells it what to do"
    )
    return 0


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace").rstrip("\n")

"""What somebody may ask of a run while it runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from kdbench.errors import nearest

WORDS = ("pause", "resume", "jobs", "stop")


@dataclass
class Control:
    """The wishes that a run looks at between two cells; they may be set by another thread.

    Args:
        at_once: how many cells run at a time.
        adjustable: whether that may be above 1.
        wanted: how many were asked for meanwhile, which holds for the rounds that follow; None where nobody did.
        paused: whether no more cells begin.
        room: how many there can be at a time, as it stands; None where nothing says so.
        end: ends this process as Ctrl-C would, with its state saved.
    """

    at_once: int = 1
    adjustable: bool = False
    wanted: int | None = None
    paused: bool = False
    room: Callable[[], int | None] = lambda: None
    end: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGTERM)

    def answer(self, asked: str) -> str:
        """Take up a wish, in a line; what is said to who has it. What cannot be done begins with ``error: ``."""
        word, _, rest = asked.strip().partition(" ")
        if word == "jobs":
            return self._jobs(rest)
        if word not in WORDS:
            return f"error: {nearest('what a run does when it is told to', word, WORDS)}"
        if word == "stop":
            self.end()
            return "stopping: checkpoints are kept, the same command goes on from there"
        self.paused = word == "pause"
        return "paused: what runs is finished, nothing more begins" if self.paused else "resumed"

    def _jobs(self, text: str) -> str:
        if not text.isdecimal() or not 1 <= int(text) <= 9999:
            return f"error: jobs {text!r}, wanted a number, 1 or more"
        if int(text) > 1 and not self.adjustable:
            return "error: this run works in one process; stop it, and run it again with -j 2 or more"
        self.at_once = self.wanted = int(text)
        room = self.room()
        less = "" if room is None or room >= int(text) else f", as far as the cluster has room, which is {room} now"
        return f"{text} at a time from the next cell on{less}; what runs is finished"

"""What ends a run from outside: Ctrl-C, and the signals of systems that shut down or of terminals that close."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

QUIET = 2.0
"""Seconds after the first signal in which others are not heard, so that pressing twice does not end the tidying up."""


class Stop:
    """Turns signals into ``KeyboardInterrupt``, until the run is ending because of one.

    Attributes:
        number: of the signal that came.
        ending: whether the run ends already, so that nothing is raised any more.
        came: whether a signal was heard.
    """

    def __init__(self) -> None:
        self.number, self.ending, self.came = int(signal.SIGINT), False, False
        self._last = -QUIET

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.ending or now - self._last < QUIET:
            return
        self.number, self._last, self.came = number, now, True
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raise once more what was swallowed: Python drops what is raised in a finaliser or a callback of C code.

        Raises:
            KeyboardInterrupt: if a signal came.
        """
        if self.came and not self.ending:
            raise KeyboardInterrupt

    @property
    def exit_code(self) -> int:
        """What shells call such an end: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.number


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Hear signals as `Stop` does; one that is ignored from the start, as under nohup, stays so."""
    stop = Stop()
    names = ("SIGINT", "SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    heard = {number: signal.getsignal(number) for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}
    told = sys.unraisablehook

    def dropped(what: sys.UnraisableHookArgs) -> None:
        if not issubclass(what.exc_type, KeyboardInterrupt):  # `Stop.check` raises that again
            told(what)

    sys.unraisablehook = dropped
    for number in heard:
        signal.signal(number, stop)
    try:
        yield stop
    finally:
        sys.unraisablehook = told
        for number, handler in heard.items():  # a process that is about to end is not to be disturbed
            signal.signal(number, signal.SIG_IGN if stop.ending else handler)

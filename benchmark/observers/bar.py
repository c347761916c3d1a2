"""A progress bar in a terminal; the only file that imports rich."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TextIO

from kdbench.observers._progress import Progress, Watched
from kdbench.observers._told import Told
from kdbench.schedule.observer import Observer


class Bar(Told):
    """A bar with what is running and the time left, over the lines of what has ended.

    Args:
        progress: how far the run is.
    """

    def __init__(self, progress: Progress) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as RichProgress
        from rich.table import Column

        super().__init__(progress)
        fixed, rest = Column(no_wrap=True), Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._bar = RichProgress(
            BarColumn(bar_width=12, table_column=fixed),
            MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=7)),
            TextColumn("{task.fields[left]}", table_column=Column(no_wrap=True, min_width=18)),
            TextColumn("{task.description}", table_column=rest),  # what is running gives way in a narrow terminal
            console=Console(stderr=True),
            expand=True,
        )
        self._bar.start()
        self._task = self._bar.add_task("", total=progress.total, left="")

    def tick(self) -> None:
        progress = self.progress
        self._bar.update(self._task, completed=progress.done, description=progress.now(), left=progress.time_left())

    def close(self) -> None:
        self._bar.stop()

    def line(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)


def makes_bars(stream: TextIO | None) -> bool:
    """Whether a bar can be shown there; a closed stream is None."""
    return stream is not None and not stream.closed and stream.isatty() and find_spec("rich") is not None


def watch(run: Watched, progress: Progress) -> Observer | None:
    """A bar where there is a terminal."""
    return Bar(progress) if makes_bars(sys.stderr) else None

"""What figures share: panels in a grid, a legend, and a file that is whole or not there."""

import io
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdbench.files import write_whole
from kdbench.results.figures._style import STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

Look = Mapping[str, Any]
"""How a marker is drawn, as matplotlib's arguments."""

FORMATS = (".pdf", ".png", ".svg")
COLUMNS = 3
WIDTH = 36
"""Characters in a line of a label or a panel's title."""


def checked(path: str | Path) -> Path:
    """The path, if its suffix is that of a format, in capitals or not; else raises ``ValueError``."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"figure {path.name!r} came, one of {', '.join(FORMATS)} is wanted")
    return path


def save(figure: "Figure", path: Path, *, dpi: int) -> None:
    """Write a figure in the format of the path's suffix."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format=path.suffix[1:].lower(), dpi=dpi)
    write_whole(path, drawn.getvalue())


def load() -> None:
    """Load matplotlib. A file needs no backend, so one that this process was told to use need not be there."""
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)  # a notebook sets it for every process that it starts
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend is not None:
        with suppress(ValueError):  # it may be there for others in this process who draw
            matplotlib.rcParams["backend"] = backend


@contextmanager
def as_written() -> Iterator[None]:
    """Labels are drawn as they are written, dollars and all, whatever the user's matplotlib is set to."""
    load()
    from matplotlib import rc_context

    with rc_context({"text.parse_math": False, "text.usetex": False, "axes.formatter.use_mathtext": False}):
        yield


@contextmanager
def style() -> Iterator[None]:
    """The look of all figures with panels; pyplot's global state is as it was afterwards."""
    load()
    from matplotlib import rc_context

    with as_written(), rc_context(STYLE):
        yield


def despine(axes: "Axes", *sides: str) -> None:
    """Hide the frame above and at the right, and at the sides that are named."""
    axes.spines[["top", "right", *sides]].set_visible(False)


def wrapped(text: str, width: float) -> str:
    """A text in lines of so many characters, broken behind blanks and ``: , /`` where it can be."""
    lines = []
    for line in text.splitlines():
        lines.append("")
        for piece in re.findall(r"[^\s:,/]*(?:[\s:,/]+|$)", line):
            if lines[-1] and len((lines[-1] + piece).rstrip()) > width:
                lines.append("")
            lines[-1] += piece
            while len(lines[-1].rstrip()) > width:
                lines[-1:] = [lines[-1][: int(width)], lines[-1][int(width) :]]
    return "\n".join(line.rstrip() for line in lines)


def extra(text: str | None) -> float:
    """Inches that a text of several lines needs beyond its first."""
    return 0.2 * (text or "").count("\n")


def shape(panels: int) -> tuple[int, int]:
    """Lines and columns of a grid of panels."""
    columns = min(COLUMNS, panels)
    return math.ceil(panels / columns), columns


def grid_of_panels(figure: "Figure", count: int, *, sharey: bool) -> "list[Axes]":
    """Panels that share their x axis, labelled under the lowest of each column; what is over in the grid is hidden."""
    lines, columns = shape(count)
    grid = figure.subplots(lines, columns, sharex=True, sharey=sharey, squeeze=False)
    for number, axes in enumerate(grid.flat):
        axes.set_visible(number < count)
        axes.tick_params(labelbottom=number + columns >= count)
    return list(grid.flat)[:count]


def legend(figure: "Figure", looks: Mapping[str, Look], **where: Any) -> None:
    """Say beside the panels what each marker means."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], linestyle="none", **look) for look in looks.values()]
    name(figure.legend(handles, list(map(str, range(len(handles)))), frameon=False, **where), looks)


def name(made: "Legend", words: Iterable[str]) -> None:
    """Write a legend's words after it is made: matplotlib leaves out those that begin with an underscore."""
    for text, word in zip(made.get_texts(), words, strict=True):
        text.set_text(wrapped(word, WIDTH))

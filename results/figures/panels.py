"""What figures share: panels in a grid, a legend, and a file that is whole or not there."""

import io
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdbench.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Look = Mapping[str, Any]
"""How a marker is drawn, as matplotlib's arguments."""

FORMATS = (".pdf", ".png", ".svg")
COLUMNS = 3


def checked(path: str | Path) -> Path:
    """The path, if its suffix is that of a format; else raises ``ValueError``."""
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ValueError(f"figure {path.name!r} came, one of {', '.join(FORMATS)} is wanted")
    return path


def save(figure: "Figure", path: Path, *, dpi: int) -> None:
    """Write a figure in the format of the path's suffix."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format=path.suffix[1:], dpi=dpi)
    write_whole(path, drawn.getvalue())


@contextmanager
def style() -> Iterator[None]:
    """The look of all figures with panels; pyplot's global state is as it was afterwards."""
    import seaborn

    with seaborn.axes_style("whitegrid"), seaborn.plotting_context("paper"):
        yield


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

    handles = [Line2D([], [], linestyle="none", label=word, **look) for word, look in looks.items()]
    figure.legend(handles=handles, frameon=False, **where)

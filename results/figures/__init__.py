"""Figures, one file each; plotting libraries are imported on use.

A figure of a matrix is a public module with ``draw(seen, width) -> Figure``, found by its name; the first line of its
docstring is what lists say. It raises ``ValueError`` in one sentence where there is nothing to draw.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from kdbench.errors import nearest
from kdbench.folders import first_lines, public_files
from kdbench.results.figures._looks import CHARACTER, ONE, PAGE, TWO
from kdbench.results.figures.costs import cost_figure
from kdbench.results.figures.deploy import deploy_figure
from kdbench.results.figures.maps import Maps
from kdbench.results.figures.panels import checked, style, wrapped
from kdbench.results.figures.search import SliceOfSearch, search_figure
from kdbench.results.figures.windows import windows_figure
from kdbench.results.seen import Seen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "WIDTHS",
    "Maps",
    "SliceOfSearch",
    "cost_figure",
    "deploy_figure",
    "figure_bytes",
    "figure_of",
    "figures",
    "search_figure",
    "windows_figure",
]

WIDTHS = {"one": ONE, "two": TWO}
"""Inches by how many columns of a page."""
FINE, COARSE = 300, 150
"""Dots per inch of a figure of up to two pages, and of a longer one, which is looked at on a screen."""
_OF_OTHER_THINGS = ("costs", "deploy", "maps", "panels", "search", "windows")


def figures() -> dict[str, str]:
    """What each figure of a matrix shows, by its name."""
    return first_lines(__name__, (name for name in public_files(__path__) if name not in _OF_OTHER_THINGS))


def figure_of(figure: str, seen: Seen, width: str = "two") -> "Figure":
    """A figure of a matrix, so many columns of a page wide.

    Raises:
        ValueError: if there is no such figure or width, or nothing to draw, which the message says why.
    """
    if figure not in figures():
        raise ValueError(nearest("figures", figure, figures()))
    if width not in WIDTHS:
        raise ValueError(nearest("widths", width, WIDTHS))
    with style():
        drawn: Figure = import_module(f"{__name__}.{figure}").draw(seen, WIDTHS[width])
        if seen.asked.warning:  # a figure has no caption of its own
            said = wrapped(seen.asked.warning, WIDTHS[width] / CHARACTER)
            drawn.supxlabel("\n".join(filter(None, [drawn.get_supxlabel(), said])), fontsize=7)
    return drawn


def figure_bytes(figure: "Figure", form: str) -> bytes:
    """A figure as a file of the format ``pdf``, ``png`` or ``svg``; the same bytes each time.

    Raises:
        ValueError: if there is no such format.
    """
    form = checked(Path(f"figure.{form}")).suffix[1:].lower()
    made = io.BytesIO()
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
    with style():
        from matplotlib import rc_context

        dpi = FINE if figure.get_figheight() <= 2 * PAGE else COARSE
        with rc_context({"svg.hashsalt": "kdbench"}), _laid_out(figure, dpi):
            figure.savefig(made, format=form, dpi=dpi, metadata=undated)
    return made.getvalue()


@contextmanager
def _laid_out(figure: "Figure", dpi: int) -> Iterator[None]:
    """Find the places of a figure's panels once; saving it does so by drawing it once more."""
    engine, before = figure.get_layout_engine(), figure.dpi
    if engine is None:
        yield
        return
    figure.set_dpi(dpi)
    engine.execute(figure)
    figure.set_layout_engine(None)
    try:
        yield
    finally:
        figure.set_layout_engine(engine)
        figure.set_dpi(before)

"""Figures of tables, one file each; plotting libraries are imported on use."""

from kdbench.results.figures.costs import cost_figure
from kdbench.results.figures.gain import gain_figure
from kdbench.results.figures.search import SliceOfSearch, search_figure
from kdbench.results.figures.windows import windows_figure

__all__ = ["SliceOfSearch", "cost_figure", "gain_figure", "search_figure", "windows_figure"]

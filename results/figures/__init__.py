"""Figures of tables, one file each; plotting libraries are imported on use."""

from kdbench.results.figures.costs import cost_figure
from kdbench.results.figures.gain import gain_figure
from kdbench.results.figures.windows import windows_figure

__all__ = ["cost_figure", "gain_figure", "windows_figure"]

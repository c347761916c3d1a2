"""The look of all figures with panels: seaborn's style "whitegrid" in its context "paper", written out.

Loading seaborn, with scipy's statistics and pandas, takes longer than drawing a figure that needs nothing else of it,
so it is loaded for its maps and palettes alone. `tests/results/test_figures.py` compares what stands here with it.
"""

from typing import Any

_AXES = {
    "axisbelow": True,
    "edgecolor": ".8",
    "facecolor": "white",
    "grid": True,
    "labelcolor": ".15",
    "labelsize": 9.6,
    "linewidth": 1.0,
    "spines.bottom": True,
    "spines.left": True,
    "spines.right": True,
    "spines.top": True,
    "titlesize": 9.6,
}
_TICKS = {
    "color": ".15",
    "direction": "out",
    "labelsize": 8.8,
    "major.size": 4.8,
    "major.width": 1.0,
    "minor.size": 3.2,
    "minor.width": 0.8,
}
_SIDES = {"xtick": ("bottom", "top"), "ytick": ("left", "right")}

STYLE: Any = {
    **{f"axes.{name}": value for name, value in _AXES.items()},
    **{f"{axis}.{name}": value for axis in _SIDES for name, value in _TICKS.items()},
    **{f"{axis}.{side}": False for axis, sides in _SIDES.items() for side in sides},
    "figure.facecolor": "white",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["Arial", "DejaVu Sans", "Liberation Sans", "Bitstream Vera Sans", "sans-serif"],
    "font.size": 9.6,
    "grid.color": ".8",
    "grid.linestyle": "-",
    "grid.linewidth": 0.8,
    "legend.fontsize": 8.8,
    "legend.title_fontsize": 9.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.8,
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
    "patch.linewidth": 0.8,
    "text.color": ".15",
}
"""By the names of matplotlib's ``rcParams``, of which its types know a list of literals."""

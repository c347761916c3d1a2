"""What a dataset's windows look like."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kdbench.results.figures.panels import checked, save


def windows_figure(
    windows: npt.NDArray[np.float32],
    classes: Sequence[str],
    units: Mapping[str, Sequence[tuple[str, int]]],
    rate: float,
    path: str | Path,
    *,
    title: str,
) -> None:
    """Draw one window of each class and save it in the format of the path's suffix.

    Args:
        windows: (K, C, T), one of each class.
        classes: their K names.
        units: unit to (name, number) of the channels that have it; each unit has its own line of panels.
        rate: samples per second, Hz.
        path: where to.
        title: over all.

    Raises ``ValueError`` on another suffix than .pdf, .png or .svg.
    """
    path = checked(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.9 * len(classes) + 1.6, 1.9 * len(units) + 0.8), layout="constrained")
    grid = figure.subplots(len(units), len(classes), sharex=True, sharey="row", squeeze=False)
    seconds = np.arange(windows.shape[2]) / rate
    for line, (unit, channels) in zip(grid, units.items(), strict=True):
        for axes, window in zip(line, windows, strict=True):
            for channel, number in channels:
                axes.plot(seconds, window[number], linewidth=0.8, label=channel)
            axes.grid(color="0.92", linewidth=0.7)
        line[0].set_ylabel(unit)
        line[-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize="x-small", frameon=False)
    for axes, name in zip(grid[0], classes, strict=True):
        axes.set_title(name, fontsize="small")
    figure.supxlabel("seconds", fontsize="medium")
    figure.suptitle(title, fontsize="medium")
    save(figure, path, dpi=150)

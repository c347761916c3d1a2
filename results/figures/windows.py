"""What a dataset's windows look like."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kdbench.results.figures.maps import Maps, draw_maps, draw_spectra
from kdbench.results.figures.panels import WIDTH, as_written, checked, extra, name, save, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def windows_figure(
    windows: npt.NDArray[np.float32],
    classes: Sequence[str],
    units: Mapping[str, Sequence[tuple[str, int]]],
    rate: float,
    path: str | Path,
    *,
    title: str,
    maps: Maps | None = None,
) -> None:
    """Draw one window of each class, and what there is to see of all, in the format of the path's suffix.

    Args:
        windows: (K, C, T), one of each class.
        classes: their K names.
        units: unit to (name, number) of the channels that have it; each unit has its own line of panels.
        rate: samples per second, Hz.
        path: where to.
        title: over all.
        maps: what is drawn below; nothing by default.

    Raises ``ValueError`` on another suffix than .pdf, .png or .svg.
    """
    path = checked(path)
    with as_written():
        figure = _drawn(windows, classes, units, rate, title, maps)
        save(figure, path, dpi=150)


def _drawn(
    windows: npt.NDArray[np.float32],
    classes: Sequence[str],
    units: Mapping[str, Sequence[tuple[str, int]]],
    rate: float,
    title: str,
    maps: Maps | None,
) -> "Figure":
    from matplotlib.figure import Figure

    longest = max(len(channel) for channels in units.values() for channel, _ in channels)
    width = 1.9 * len(classes) + 1.2 + 0.07 * min(longest, WIDTH) + max(extra(wrapped(unit, 20)) for unit in units)
    title = wrapped(title, 11 * width)
    names = [wrapped(label, 20) for label in classes]
    line_height = 1.9 + max(extra(wrapped(unit, 20)) for unit in units)
    height = line_height * len(units) + 0.8 + extra(title) + max(map(extra, names))
    below = () if maps is None else maps.heights
    figure = Figure(figsize=(max(width, 7.0 if below else 0.0), height + sum(below)), layout="constrained")
    top, *rest = figure.subfigures(1 + len(below), 1, height_ratios=(height, *below), squeeze=False)[:, 0]
    if maps is not None:
        draw_spectra(rest[0], maps, classes)
        draw_maps(rest[1], maps, classes)
    grid = top.subplots(len(units), len(classes), sharex=True, sharey="row", squeeze=False)
    seconds = np.arange(windows.shape[2]) / rate
    for line, (unit, channels) in zip(grid, units.items(), strict=True):
        for axes, window in zip(line, windows, strict=True):
            lines = [axes.plot(seconds, window[number], linewidth=0.8)[0] for _, number in channels]
            axes.grid(color="0.92", linewidth=0.7)
        line[0].set_ylabel(wrapped(unit, 20))
        where = {"loc": "center left", "bbox_to_anchor": (1.02, 0.5)}
        numbers = list(map(str, range(len(lines))))
        made = line[-1].legend(lines, numbers, fontsize="x-small", frameon=False, **where)
        name(made, (channel for channel, _ in channels))
    for axes, label in zip(grid[0], names, strict=True):
        axes.set_title(label, fontsize="small")
    top.supxlabel("seconds", fontsize="medium")
    figure.suptitle(title, fontsize="medium")
    return figure

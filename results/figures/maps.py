"""Maps and spectra below a dataset's windows: who has how much of what, what is lost, and how fast each class moves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kdbench.results.figures.panels import WIDTH, name, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

LINE, TALLEST = 0.19, 14.0
"""Inches of a person's line in a map, and of a whole map."""

WRITTEN = 60
"""People up to whom a map has its numbers written in."""


@dataclass(frozen=True, eq=False)
class Maps:
    """What is drawn below the windows.

    Args:
        people: their names, and whether they are on the test side.
        counts: (P, K) windows by person and class.
        spectra: unit to the mean amplitude of each class over its windows and channels, (K, F).
        frequencies: (F,) Hz.
        lost: cause to the share of a person's rows that come into no window by it, (P,); empty where nothing is known.
    """

    people: Sequence[tuple[str, bool]]
    counts: npt.NDArray[np.int64]
    spectra: Mapping[str, npt.NDArray[np.float64]]
    frequencies: npt.NDArray[np.float64]
    lost: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    @property
    def heights(self) -> tuple[float, float]:
        """Inches of the spectra and of the maps."""
        return 2.6, min(TALLEST, 1.9 + LINE * len(self.people))


def draw_spectra(into: "SubFigure", maps: Maps, classes: Sequence[str]) -> None:
    """A panel for each unit with a line for each class."""
    panels = into.subplots(1, len(maps.spectra), squeeze=False)[0]
    styles = ("-", "--", ":", "-.")
    for axes, (unit, spectra) in zip(panels, maps.spectra.items(), strict=True):
        lines = [
            axes.plot(maps.frequencies[1:], each[1:], linewidth=1.0, linestyle=styles[k // 10 % 4], color=f"C{k % 10}")[
                0
            ]
            for k, each in enumerate(spectra)
        ]
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.tick_params(labelsize="x-small")
        axes.set_xlabel("Hz", fontsize="small")
        axes.set_ylabel(f"mean amplitude, {wrapped(unit, 20)}", fontsize="small")
        axes.grid(color="0.92", linewidth=0.7)
    where = {"loc": "center left", "bbox_to_anchor": (1.02, 0.5)}
    made = panels[-1].legend(lines, list(map(str, range(len(lines)))), fontsize="x-small", frameon=False, **where)
    name(made, classes)


def draw_maps(into: "SubFigure", maps: Maps, classes: Sequence[str]) -> None:
    """Windows by person and class, and beside them what is lost."""
    widths = [len(classes), *([len(maps.lost)] if maps.lost else [])]
    panels = into.subplots(1, len(widths), squeeze=False, sharey=True, width_ratios=widths)[0]
    texts = [[str(count) if count else "" for count in row] for row in maps.counts.tolist()]
    _map(panels[0], maps, maps.counts.astype(np.float64), classes, texts, "Blues", "windows (none: white)")
    if maps.lost:
        shares = np.stack(list(maps.lost.values()), axis=1)
        texts = [[f"{100 * share:.0f} %" if share else "" for share in row] for row in shares.tolist()]
        _map(panels[1], maps, shares, list(maps.lost), texts, "Reds", "labelled rows in no window", most=1.0)
    people = [wrapped(f"{who}{' (test)' if test else ''}", WIDTH) for who, test in maps.people]
    every = max(1, int(len(people) * 0.12 / (maps.heights[1] - 1.5)))  # so that names stay apart
    panels[0].set_yticks(range(0, len(people), every), people[::every], fontsize="x-small")
    panels[0].set_ylabel("person", fontsize="small")


def _map(
    axes: "Axes",
    maps: Maps,
    values: npt.NDArray[np.float64],
    columns: Sequence[str],
    texts: Sequence[Sequence[str]],
    colours: str,
    title: str,
    most: float | None = None,
) -> None:
    top = most or float(values.max()) or 1.0
    axes.imshow(values, aspect="auto", cmap=colours, vmin=0, vmax=1.2 * top, interpolation="nearest")
    axes.set_xticks(
        range(len(columns)), [wrapped(each, 24) for each in columns], fontsize="x-small", rotation=45, ha="right"
    )
    axes.set_title(title, fontsize="small")
    if len(maps.people) <= WRITTEN:
        for row, line in enumerate(texts):
            for column, text in enumerate(line):
                dark = values[row, column] > 0.7 * top
                axes.text(column, row, text, ha="center", va="center", fontsize=6, color="white" if dark else "black")

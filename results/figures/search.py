"""How a search went: its history, and the objective over each value that was searched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdbench.results.figures.panels import checked, save, style

COLUMNS = 3
DECADES = 100
"""A logarithmic axis below this ratio has numbers between its powers of ten, of which it may have a single one."""


@dataclass(frozen=True)
class SliceOfSearch:
    """One searched value in all trials."""

    name: str
    log: bool
    span: tuple[float, float] | None
    """What numbers were drawn from; None for words."""
    values: Sequence[str | int | float | bool]
    """In the order of the trials."""
    found: str | int | float | bool
    importance: float | None
    """Share of the objective's changes, 0..1; None where that cannot be told."""


def search_figure(history: Mapping[int, float], slices: Sequence[SliceOfSearch], path: str | Path, title: str) -> None:
    """Draw the objective by trial with the best so far, and over each searched value; save it as the suffix says.

    ``history`` is the objective by trial number, without those that failed. What hangs most on a value stands in its
    panel's title.

    Raises ``ValueError`` on another suffix than .pdf, .png or .svg, or without trials.
    """
    path = checked(path)
    if not history:
        raise ValueError("a figure of a search wants a finished trial, none came")
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    lines = -(-(1 + len(slices)) // COLUMNS)
    points = [100 * value for value in history.values()]
    with style():
        figure = Figure(figsize=(3.4 * COLUMNS, 2.8 * lines), layout="constrained")
        grid = figure.subplots(lines, COLUMNS, sharey=True, squeeze=False).flat
        first = grid[0]
        best = [max(points[: count + 1]) for count in range(len(points))]
        first.plot(list(history), points, "o", markersize=4, alpha=0.7, label="trial")
        first.step(list(history), best, where="post", color="0.3", label="best so far")
        first.legend(frameon=False)
        first.set(title="history", xlabel="trial", ylabel="objective (%)")
        first.xaxis.set_major_locator(MaxNLocator(integer=True))
        for axes, piece in zip(grid[1:], slices, strict=False):
            drawn = [value if piece.span else str(value) for value in piece.values]
            axes.plot(drawn, points, "o", markersize=4, alpha=0.7)
            axes.axvline(piece.found if piece.span else str(piece.found), color="0.3", linewidth=1, linestyle="--")
            if piece.log:
                axes.set_xscale("log")
                if piece.span and piece.span[1] / piece.span[0] < DECADES:
                    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))  # mathtext is switched off
                axes.xaxis.set_minor_formatter(NullFormatter())
            if piece.span:
                axes.set_xlim(_wider(*piece.span, log=piece.log))
            share = "" if piece.importance is None else f"\nimportance {piece.importance:.2f}"
            axes.set_title(f"{piece.name}{share}", fontsize="medium")
        for axes in grid[1 + len(slices) :]:
            axes.set_visible(False)
        figure.suptitle(title, fontsize="large")
        save(figure, path, dpi=150)


def _wider(low: float, high: float, *, log: bool) -> tuple[float, float]:
    """An interval with room for points on its ends."""
    room = (high / low) ** 0.05 if log else 0.05 * (high - low)
    return (low / room, high * room) if log else (low - room, high + room)

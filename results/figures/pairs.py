"""All pairs of methods: who is ahead of whom, by how much, and whether that is shown."""

from typing import TYPE_CHECKING

import numpy as np

from kdbench.results.figures._looks import CHARACTER
from kdbench.results.figures.panels import wrapped
from kdbench.results.metrics import title as metric_title
from kdbench.results.seen import Seen
from kdbench.results.statistics.ranks import tally
from kdbench.results.words.answers import ROUNDING
from kdbench.results.words.numbers import p_value, points

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST = 18
SPACIOUS = 9
"""With more rows a field has room for the difference alone."""


def draw(seen: Seen, width: float) -> "Figure":
    """Rows by columns, the highest first: mean difference in points, win/tie/lose over blocks, adjusted p.

    A field that is framed is shown: adjusted p at most 0.05.

    Raises:
        ValueError: if there is no comparison over people, with the reason.
    """
    import seaborn
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    found = seen.judged.overall
    if found is None:
        raise ValueError(f"no pairs to draw: {seen.judged.reason}")
    means = found.panel.block_means  # (M, B)
    order = sorted(range(len(found.rows)), key=lambda m: -float(means[m].mean()))
    names = [found.rows[m].label for m in order]
    count = len(order)
    labels = [wrapped(name, LONGEST) for name in names]
    gaps = np.full((count - 1, count - 1), np.nan)
    texts = np.full(gaps.shape, "", dtype=object)
    for i in range(count - 1):
        for j in range(i + 1, count):
            gaps[i, j - 1] = 100 * float((means[order[i]] - means[order[j]]).mean())
            texts[i, j - 1] = _field(seen, means[order[i]] - means[order[j]], names[i], names[j], count, width)
    margin = 0.2 + CHARACTER * min(LONGEST, max(map(len, names)))
    figure = Figure(figsize=(width, (width - margin) * 0.62 + 1.1), layout="constrained")
    axes = figure.subplots()
    seaborn.heatmap(
        gaps, ax=axes, annot=texts, fmt="", cmap="Blues", vmin=0, cbar=False, linewidths=0.5, linecolor="white",
        xticklabels=labels[1:], yticklabels=labels[:-1], annot_kws={"fontsize": 6},
    )  # fmt: skip
    for i in range(count - 1):
        for j in range(i + 1, count):
            if found.shown(names[i], names[j]) > 0:
                axes.add_patch(Rectangle((j - 1 + 0.03, i + 0.03), 0.94, 0.94, fill=False, edgecolor="black", lw=1.2))
    axes.set_facecolor("white")
    axes.grid(visible=False)
    axes.xaxis.tick_top()
    axes.tick_params(labelsize=7, length=0, rotation=0)
    axes.tick_params(axis="x", rotation=90 if (width - margin) / max(1, count - 1) < 0.75 else 0)
    said = f"{metric_title(seen.metric)}: row ahead of column by so many points"
    said += "; win/tie/lose over blocks; adjusted p" if _spacious(count, width) else ""
    figure.supxlabel(wrapped(said + "; framed: shown", width / CHARACTER), fontsize=7)
    return figure


def _spacious(count: int, width: float) -> bool:
    return count - 1 <= SPACIOUS * width / 7.2


def _field(seen: Seen, gaps: "np.typing.NDArray[np.float64]", first: str, second: str, count: int, width: float) -> str:
    text = points(float(gaps.mean()))
    if not _spacious(count, width):
        return text
    found = seen.judged.overall
    assert found is not None
    blocks = "/".join(map(str, tally([float(gap) for gap in gaps], ROUNDING)))
    return f"{text}\n{blocks}\np {p_value(found.p(first, second))}"

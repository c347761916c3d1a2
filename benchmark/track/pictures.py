"""A confusion matrix as SVG, written by hand: a figure of matplotlib would take longer than all else of a run."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

SIDE = 44
"""Width and height of one field."""
LONGEST = 24
"""Signs of a class's name that are shown."""


def confusion_picture(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """A matrix (K, K) of counts, rows = truth, as a picture: the darker, the larger a class's share.

    Args:
        confusion: counts.
        classes: K names.
    """
    names = [escape(name if len(name) <= LONGEST else name[: LONGEST - 1] + "…") for name in classes]
    left = 20 + 8 * max(map(len, names))
    size, whole = SIDE * len(names), left + SIDE * len(names) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="{size + left + 30}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{left}" y="15">rows: truth; columns: prediction; windows</text>',
    ]
    for k, row in enumerate(confusion):
        y = 25 + SIDE * k
        parts.append(f'<text x="{left - 6}" y="{y + SIDE / 2 + 4}" text-anchor="end">{names[k]}</text>')
        for j, count in enumerate(row):
            share = count / max(1, sum(row))
            x, ink = float(left + SIDE * j), "white" if share > 0.5 else "black"
            # From white to blue by the share of the true class.
            shade = f"rgb({255 - 225 * share:.0f},{255 - 155 * share:.0f},{255 - 75 * share:.0f})"
            parts.append(f'<rect x="{x:g}" y="{y}" width="{SIDE}" height="{SIDE}" fill="{shade}" stroke="#ccc"/>')
            middle = f'x="{x + SIDE / 2}" y="{y + SIDE / 2 + 4}"'
            parts.append(f'<text {middle} text-anchor="middle" fill="{ink}">{count}</text>')
    for j, name in enumerate(names):
        x, y = left + SIDE * j + SIDE / 2 + 4, 25 + size + 8
        parts.append(f'<text x="{x}" y="{y}" transform="rotate(-90 {x} {y})" text-anchor="end">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"

"""Two rows, or the same rows of two stores, person by person."""

from collections.abc import Sequence

import numpy as np

from kdbench.results.metrics import title
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.statistics.tests import Floats
from kdbench.results.tables.differences import Difference, difference_of
from kdbench.results.tables.people import Panel
from kdbench.results.words.answers import EQUIVALENT
from kdbench.results.words.numbers import interval, p_value, points
from kdbench.text import counted


def comparison_page(pairs: Sequence[tuple[str, Panel, str, Panel]], metric: str, *, version: str) -> Page:
    """For each pair of (name, panel of one row) what differs, then person by person where there is one pair.

    ``version`` is that of kdbench.

    Raises:
        ValueError: where a pair shares no block, seed or person.
    """
    parts: list[Sheet | str] = []
    for first, one, second, other in pairs:
        a, b = _shared(one, other)
        difference = difference_of(a, b)
        parts.append(_said(first, second, a, difference))
        if len(pairs) == 1:
            parts.append(_people(first, second, a, b))
    return Page(f"kdbench: comparison by {title(metric)}", (*parts, f"kdbench {version}."))


def _said(first: str, second: str, panel: Panel, each: Difference) -> str:
    people = counted(len(panel.people), "person", "people")
    seeds = counted(len(panel.seeds), "seed")
    ahead = int((each.parts > 0).sum())
    equal = f", practically equal (within ±{100 * EQUIVALENT:g} points)" if each.interval.within(EQUIVALENT) else ""
    certain = "one seed says nothing of what another training would give" if len(panel.seeds) == 1 else ""
    over = certain or f"p {p_value(each.p)}, not corrected for other comparisons"
    return (
        f"{first} against {second}: {points(each.mean)} points over {people} and {seeds} (95 % interval "
        f"{interval(each.interval)}; {over}){equal}; ahead on {ahead} of {people}."
    )


def _people(first: str, second: str, a: Panel, b: Panel) -> Sheet:
    columns = (
        *(Column("dataset", numeric=False), Column("pair", numeric=False), Column("person", numeric=False)),
        *(Column(first, "first"), Column(second, "second"), Column("difference")),
    )
    lines = []
    for number, block in enumerate(a.blocks):
        for at, person in enumerate(a.people):
            one, other = float(a.by_person[0, number, at]), float(b.by_person[0, number, at])
            if not np.isnan(one):
                values = Cell(one, f"{100 * one:.1f}"), Cell(other, f"{100 * other:.1f}")
                line = (
                    Cell(block.dataset),
                    Cell(block.pair),
                    Cell(person),
                    *values,
                    Cell(one - other, points(one - other)),
                )
                lines.append((one - other, line))
    ordered = tuple(line for _, line in sorted(lines, key=lambda each: each[0]))
    return Sheet(
        columns, ordered, "Person by person", "In percent and points, averaged over seeds; who loses most first."
    )


def _shared(one: Panel, other: Panel) -> tuple[Panel, Panel]:
    """Both on the blocks, seeds and people that they share."""
    blocks = [block for block in one.blocks if block in other.blocks]
    seeds = [seed for seed in one.seeds if seed in other.seeds]
    known = dict.fromkeys(zip(other.groups, other.people, strict=True))
    people = [person for person in zip(one.groups, one.people, strict=True) if person in known]
    for what, found in (("block (dataset and pair)", blocks), ("seed", seeds), ("person", people)):
        if not found:
            raise ValueError(f"nothing to compare: no {what} is in both")

    def cut(panel: Panel) -> Panel:
        everyone = list(zip(panel.groups, panel.people, strict=True))
        columns = [everyone.index(person) for person in people]
        chosen: Floats = panel.values[:, [panel.blocks.index(block) for block in blocks]]
        chosen = chosen[:, :, [panel.seeds.index(seed) for seed in seeds]][..., columns]
        groups, names = tuple(group for group, _ in people), tuple(name for _, name in people)
        return Panel(panel.rows, tuple(blocks), names, groups, tuple(seeds), chosen)

    return cut(one), cut(other)

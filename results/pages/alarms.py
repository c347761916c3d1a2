"""How often the tests that kdbench prints cry wolf: on the records of a store, and on people of known truth."""

from collections.abc import Sequence

from kdbench.results.entry import Entry
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.statistics.simulated import METHODS, SEEDS, halves, proportion_interval, rates
from kdbench.results.statistics.tests import Floats
from kdbench.results.tables.model import Block
from kdbench.results.tables.people import panel
from kdbench.results.tables.scores import tabulate
from kdbench.text import counted

COMPARISONS = 1000
FEWEST = 4
"""Seeds that two halves are cut from."""
PEOPLE = {6: 1000, 9: 1000, 15: 200}
"""Simulated tables by how many people each has."""
TRUTHS_SHOWN = {"normal": 0.0, "skewed": 0.0, "one outlier": 0.0, "normal, trainings differ": 0.5}
"""How people differ, and the standard deviation of what a training does to everyone alike."""
TESTS = {
    "both": "over people and seeds, one pair: the larger p",
    "holm": "the same, adjusted (Holm): any of a block's rows",
    "people": "over people alone, one pair: sign-flip of seed means",
    "max-t": "the same, max-T: any of a block's rows",
    "seeds": "over seeds alone, one pair: sign-flip",
}


def alarms_page(entries: Sequence[Entry], metric: str, *, version: str) -> Page:
    """Each method beside itself on disjoint halves of its seeds, and simulated people; ``version`` is kdbench's.

    Raises:
        ValueError: as `tabulate` does, or where no block has a complete row of four seeds whose people are known.
    """
    blocks = _blocks(entries, metric)
    if not blocks:
        raise ValueError(
            f"the A/A check wants complete rows of {FEWEST} seeds or more whose people are known, found none"
        )
    total: dict[str, list[int]] = {name: [0, 0] for name in TESTS}
    for block, values in blocks.items():
        draws = -(-COMPARISONS // sum(map(len, blocks.values())))
        for name, (hits, of) in halves(values, draws, seed=len(block.dataset)).items():
            total[name][0] += hits
            total[name][1] += of
    seeds = {len(each) for values in blocks.values() for each in values.values()}
    rows = counted(sum(map(len, blocks.values())), "row")
    said = (
        f"{rows} of {counted(len(blocks), 'block')}, {'/'.join(map(str, sorted(seeds)))} seeds each, cut into halves "
        "at random. The draws share their seeds, so the interval, which is for independent comparisons, is too narrow. "
        "Only the first two decide what a table calls better: a training that came out well does so on everyone, which "
        "a test over people alone takes for its method's."
    )
    return Page(
        "kdbench: false alarms at p = 0.05",
        (_sheet(total), said, _simulated(), "Wanted: 5 % or less where nothing differs.", f"kdbench {version}."),
    )


def _blocks(entries: Sequence[Entry], metric: str) -> dict[Block, dict[str, Floats]]:
    """(S, n) scores by block and row, of complete rows with enough seeds."""
    table = tabulate(entries, metric)
    found: dict[Block, dict[str, Floats]] = {}
    if len(table.seeds) < FEWEST:
        return found
    for number, block in enumerate(table.blocks):
        rows = [row for row in table.rows if row.scores[number].complete]
        there = panel(entries, table, rows, [block]) if rows else "none"
        if not isinstance(there, str):
            found[block] = {row.label: there.values[at, 0] for at, row in enumerate(there.rows)}
    return found


def _sheet(total: dict[str, list[int]]) -> Sheet:
    columns = (Column("test", numeric=False), Column("comparisons"), Column("false alarms"), Column("95 %", "interval"))
    lines = []
    for name, (hits, of) in total.items():
        low, high = proportion_interval(hits, of)
        share = Cell(hits / of, f"{100 * hits / of:.1f} %")
        lines.append((Cell(TESTS[name]), Cell(of), share, Cell(None, f"{100 * low:.1f} to {100 * high:.1f}")))
    return Sheet(columns, tuple(lines), "A method beside itself")


def _simulated() -> Sheet:
    names = ("one pair", "adjusted", "people alone", "max-T", "found alone", "found, adjusted")
    columns = (Column("people"), Column("differences", numeric=False), *map(Column, names))
    lines = []
    for people, tables in PEOPLE.items():
        for name, of_seeds in TRUTHS_SHOWN.items():
            each = rates(name.split(",")[0], people, tables, of_seeds=of_seeds)
            shares = (each.both, each.holm, each.people, each.max_t, each.power, each.power_holm)
            lines.append((Cell(people), Cell(name), *(Cell(share, f"{100 * share:.1f} %") for share in shares)))
    caption = (
        f"Student alone and {METHODS} methods at {SEEDS} seeds, all pairs, nothing differs on average: share of tables "
        "with an alarm; then a method that gains one standard deviation of people: how often that is found. Tables by "
        f"people: {', '.join(f'{people}: {tables}' for people, tables in PEOPLE.items())}."
    )
    return Sheet(columns, tuple(lines), "Simulated people", caption)

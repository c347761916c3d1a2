"""Seeds as people write them."""

from __future__ import annotations

import re
from collections import Counter

from kdbench.errors import KdbenchError

AUTO = "auto"
"""In place of seeds: as many as it takes."""
FIRST_SEEDS, MAX_SEEDS = 3, 12
"""With how many `auto` begins, and at most how many it runs where nobody says."""


def automatic(given: object, budget: object) -> tuple[tuple[int, ...], int] | None:
    """Seeds to begin with, and the budget, where ``auto`` was asked for; None where it was not.

    Raises:
        KdbenchError: if the budget is no number from 2 on, or was given without ``auto``.
    """
    if not (isinstance(given, str) and given.strip() == AUTO):
        if budget is not None:
            raise KdbenchError(f"a budget of {budget!r} seeds came without seeds {AUTO!r}; give both or neither")
        return None
    most = MAX_SEEDS if budget is None else budget
    if not isinstance(most, int) or isinstance(most, bool) or not 2 <= most <= 1_000_000:
        raise KdbenchError(f"a budget of {most!r} seeds came, a number from 2 on is wanted")
    return tuple(range(min(FIRST_SEEDS, most))), most


def parse_seeds(given: object) -> tuple[int, ...]:
    """Read seeds: ``5`` is 0 to 4, ``0-4`` likewise, ``0,3`` those two, a list as it is.

    Raises:
        KdbenchError: if the text has another form, repeats a seed or names none.
    """
    if isinstance(given, list) and given and all(isinstance(s, int) and not isinstance(s, bool) for s in given):
        seeds = list(given)
    elif isinstance(given, int) and not isinstance(given, bool):
        seeds = list(range(min(given, 1_000_001)))
    elif isinstance(given, str) and (match := re.fullmatch(r"\s*(\d{1,9})\s*", given)):
        seeds = list(range(min(int(match[1]), 1_000_001)))
    elif isinstance(given, str) and re.fullmatch(r"\s*\d{1,9}(-\d{1,9})?(\s*,\s*\d{1,9}(-\d{1,9})?)*\s*,?\s*", given):
        seeds = []
        for part in filter(None, (p.strip() for p in given.split(","))):
            low, _, high = part.partition("-")
            seeds += range(int(low), min(int(high or low), int(low) + 1_000_000) + 1)
    else:
        raise KdbenchError(f"seeds {given!r} are not of the form 5 (0 to 4), 0-4 or 0,3")
    if fault := _fault(seeds):
        raise KdbenchError(f"seeds {given!r} came: {fault}; write 1 or 0-0 (seed 0 alone), 5 or 0-4 (0 to 4), or 0,3")
    return tuple(seeds)


def _fault(seeds: list[int]) -> str:
    """What is wrong with seeds, or nothing."""
    if not seeds:
        return "no seed at all (one number is a count, two are a range that goes up)"
    if min(seeds) < 0:
        return f"{min(seeds)} is negative"
    if len(seeds) > 1_000_000:
        return "over a million"
    twice = [seed for seed, times in Counter(seeds).items() if times > 1]
    return f"seed {twice[0]} stands there twice" if twice else ""

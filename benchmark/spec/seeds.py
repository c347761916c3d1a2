"""Seeds as people write them."""

from __future__ import annotations

import re

from kdbench.errors import KdbenchError


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
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0 or len(seeds) > 1_000_000:
        raise KdbenchError(f"seeds {given!r} name no seed, one twice, a negative one or over a million")
    return tuple(seeds)

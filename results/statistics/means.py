"""Means that do not depend on the order of what is averaged."""

import math
from collections.abc import Iterable


def mean(values: Iterable[float]) -> float:
    """Mean from the exactly rounded sum, so that the same values in another order tie; needs at least one value."""
    listed = list(values)
    return math.fsum(listed) / len(listed)

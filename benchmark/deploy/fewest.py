"""How few bits are enough: forms are tried from the smallest on, until one keeps the labels that the model gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from kdbench.deploy.subject import Floats, Subject, probabilities
from kdbench.errors import KdbenchError

Made = TypeVar("Made")

ENOUGH = 0.998
"""Share of training windows outside calibration that must keep their label for fewer bits to be enough.

Networks are surer of the windows they learnt from than of the judged ones, so it is a fifth of the change that the gate
allows there. Which form is taken hangs on these windows alone; the judged ones say how it did.
"""


def fewest(subject: Subject, forms: Iterable[Callable[[Floats], tuple[Made, Floats]]]) -> tuple[Made, float]:
    """The first form that keeps enough labels, or else the first of those that keep the most.

    Args:
        subject: whose training windows outside calibration are the test.
        forms: each makes a form, from the smallest on, and says with it the probabilities (N, K) that it gives the
            windows (N, C, T) that it is handed. One that cannot be made is left out.

    Returns:
        the form, and the share of those windows that keep their label.

    Raises:
        KdbenchError: if none can be made, of the last.
    """
    windows = subject.windows(subject.check)
    wanted = probabilities(subject.model, windows).argmax(axis=1)
    found: list[tuple[Made, float]] = []
    refused = KdbenchError("there is no form to choose from")
    for form in forms:
        try:
            made, said = form(windows)
        except KdbenchError as error:
            refused = error
            continue
        found.append((made, float((said.argmax(axis=1) == wanted).mean())))
        if found[-1][1] >= ENOUGH:
            return found[-1]
    if not found:
        raise refused
    return max(found, key=lambda each: each[1])

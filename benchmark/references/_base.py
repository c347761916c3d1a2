"""What a reference is: fitted to training windows at once, and asked for the probabilities of classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt


class Reference(ABC):
    """A model without layers, epochs or a teacher, fitted to the windows that a student learns from.

    Its constructor takes ``(seed, *, settings...)``; like a method's, the signature is its schema and the docstring its
    page.

    Args:
        seed: whatever is drawn, is drawn from it: the same seed and windows give the same model.
    """

    version: ClassVar[int] = 1
    """Raised when the same settings and seed come to give another model."""

    note: ClassVar[str]
    """What a reader of a table must know about it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    @abstractmethod
    def fit(self, x: npt.NDArray[np.float32], y: npt.NDArray[np.int64], *, rate: float, classes: int) -> None:
        """Learn from windows.

        Args:
            x: (N, C, T), each channel normalised over all of them.
            y: (N,) labels in 0 .. classes - 1, of which some may have no window.
            rate: samples a second.
            classes: K.
        """

    @abstractmethod
    def probabilities(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """(N, K) of windows (N, C, T), normalised as those it was fitted to; each row sums to 1."""

    def facts(self) -> dict[str, float]:
        """Numbers worth keeping about the fitted model."""
        return {}

"""Per-channel normalisation, fitted on training windows only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

FLAT = 1e-6
"""A channel whose standard deviation is below this share of its mean's size (or of 1) counts as constant."""


@dataclass(frozen=True, eq=False)
class Normalisation:
    """``(x - mean) / std`` for every channel; both float64 (C,). A constant channel is only centred (std 1)."""

    mean: npt.NDArray[np.float64]
    std: npt.NDArray[np.float64]

    @classmethod
    def fit(cls, x: npt.NDArray[np.float32]) -> Self:
        """Mean and standard deviation over windows and time of the training windows ``x`` (N, C, T)."""
        mean = x.mean(axis=(0, 2), dtype=np.float64)
        std = x.std(axis=(0, 2), dtype=np.float64)
        # Dividing by the rounding error of a constant would blow up the first deviation seen in testing.
        return cls(mean, np.where(std > FLAT * np.maximum(1, np.abs(mean)), std, 1.0))

    def apply(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Normalised copy of ``x`` (N, C, T), float32, contiguous."""
        mean, std = self.mean.astype(np.float32), self.std.astype(np.float32)
        return np.ascontiguousarray((x - mean[:, None]) / std[:, None])

"""How long the rest of a search will take, from the work that its trials did so far."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Pace:
    """Counts the work that is left.

    Args:
        work: a guess at the work of one trial, by study; only ratios matter.
        left: trials that are not finished, by study.
        worked: how much work trials did in this process.
        took: in how many seconds.
    """

    work: dict[str, float] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    worked: float = 0.0
    took: float = 0.0

    def ran(self, study: str, trials: float, seconds: float) -> None:
        """Some trials of a study, or parts of such, were trained in so many seconds."""
        self.worked += self.work[study] * trials
        self.took += seconds

    def seconds_left(self) -> float | None:
        """For this process alone; None before it trained anything."""
        if not self.worked:
            return None
        return sum(self.work[study] * trials for study, trials in self.left.items()) * self.took / self.worked

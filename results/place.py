"""Where a run stands in a table."""

from dataclasses import dataclass
from enum import StrEnum

UNTUNED = "untuned"
"""What is said of a row for which a preset has nothing."""


class RowRole(StrEnum):
    """What a row of a table is: one of the two networks trained alone, what they are set beside that is no network,
    neither of which is ranked, or a method."""

    TEACHER = "teacher"
    STUDENT = "student"
    REFERENCE = "reference"
    METHOD = "method"


@dataclass(frozen=True)
class Place:
    """A row in the block of a dataset and a pair, at one seed and fold."""

    dataset: str
    pair: str
    """Teacher and student, such as "resnet_lstman(width=0.25):mlp"."""
    network: str
    """The one that is deployed, such as "mlp"."""
    row: str
    """Label of the table row."""
    kind: str
    """Kind of method, one of `kdbench.kinds.KINDS` or a new one."""
    role: RowRole
    seed: int
    fold: int = 0
    """Which division of the people, where the protocol has several."""
    note: str = ""
    """What a reader must know about the row; goes into the caption."""
    tuned: str = ""
    """Whether a search found its settings, and on what, where a preset was asked for; goes into the caption too."""
    people: str = ""
    """The group of people who were recorded; datasets that share it are of the same people. Empty where a plan of an
    older kdbench does not say: then the dataset's own."""

    judged: str = ""
    """The person who is judged in the fold, where that is one; empty where there are several."""

    @property
    def group(self) -> str:
        """The group of people, by name."""
        return self.people or self.dataset

    @property
    def teacher(self) -> str:
        """Who teaches what a method's row deploys."""
        return self.pair.removesuffix(f":{self.network}")

    @property
    def name(self) -> str:
        """The place in one line."""
        fold = f" person {self.judged}" if self.judged else f" fold {self.fold}" if self.fold else ""
        return f"{self.dataset} {self.pair} {self.row} seed {self.seed}{fold}"

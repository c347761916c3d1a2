"""What the teacher is to a method."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What the teacher is to a method.

    A role is equal to its plain text, so ``"peer"`` may be written wherever a role is wanted.
    """

    FROZEN = "frozen"
    """Trained before, does not learn."""

    PEER = "peer"
    """Learns from scratch beside the student."""

    TUNED = "tuned"
    """Trained before and keeps learning."""

    ABSENT = "absent"
    """There is none."""

    @property
    def learns(self) -> bool:
        """Whether the teacher is trained beside the student."""
        return self in (Role.PEER, Role.TUNED)

    @property
    def pretrained(self) -> bool:
        """Whether the teacher starts from the weights of its own cell."""
        return self in (Role.FROZEN, Role.TUNED)

    @property
    def present(self) -> bool:
        """Whether there is a teacher at all."""
        return self is not Role.ABSENT

"""What the teacher is to a method, and what follows from it."""

from __future__ import annotations

import json

import pytest
import torch

from kdbench.architectures import Shapes
from kdbench.catalog.find import METHODS
from kdbench.methods import Role, Setup
from kdbench.roles import Role as FirstRole

SHAPES = Shapes(3, ((4, 8),), 5)


def test_a_role_says_who_learns_who_was_trained_before_and_who_is_there() -> None:
    said = {role: (role.learns, role.pretrained, role.present) for role in Role}
    assert said == {
        "frozen": (False, True, True),
        "peer": (True, False, True),
        "tuned": (True, True, True),
        "absent": (False, False, False),
    }


def test_a_role_is_its_plain_text_in_every_output() -> None:
    assert Role is FirstRole
    assert [*map(str, Role)] == ["frozen", "peer", "tuned", "absent"]
    assert json.dumps({"role": Role.PEER}) == '{"role": "peer"}'
    assert ", ".join(METHODS.get("dml").roles) == "peer, tuned"
    assert f"{Role.TUNED}" == "tuned"


def test_a_setup_takes_a_role_by_its_plain_text_and_no_other_text() -> None:
    setup = Setup(3, torch.arange(6) % 3, SHAPES, "peer", SHAPES)  # type: ignore[arg-type]
    assert setup.role is Role.PEER
    with pytest.raises(ValueError, match="'frosen' is not a valid Role"):
        Setup(3, torch.arange(6) % 3, SHAPES, "frosen", SHAPES)  # type: ignore[arg-type]


def test_asking_for_a_teacher_where_there_is_none_names_the_role() -> None:
    with pytest.raises(RuntimeError, match="there is no teacher in the role 'absent'"):
        _ = Setup(3, torch.arange(6) % 3, SHAPES, Role.ABSENT).taught_by

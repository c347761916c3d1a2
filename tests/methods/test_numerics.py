"""Every method's losses and gradients stay finite where arithmetic is least forgiving."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kdbench.catalog.find import METHODS
from kdbench.contract import Candidate, judge_hard_places, variants


def found() -> Iterator[Any]:
    """Every method in every role, with its defaults and with each switch turned."""
    for name in METHODS.names():
        for role in METHODS.get(name).roles:
            for settings in [{}, *variants(Candidate.find(name))]:
                shown = [f"{key}={value}" for key, value in settings.items()]
                yield pytest.param(name, role, settings, id="-".join([name, role, *shown]))


@pytest.mark.filterwarnings("ignore:.*close to constant")
@pytest.mark.parametrize(("name", "role", "settings"), list(found()))
def test_losses_and_gradients_are_finite_in_every_hard_place(name: str, role: str, settings: dict[str, Any]) -> None:
    verdict = judge_hard_places(Candidate.find(name), role, settings)
    verdict.settle()
    assert settings or not verdict.not_applicable, "some stages have sizes that the method extends to"

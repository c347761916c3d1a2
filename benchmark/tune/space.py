"""What a search may turn: a method's settings, as its signature says, and the training's, alike for all rows."""

from __future__ import annotations

from collections.abc import Mapping

from kdbench.catalog.find import METHODS
from kdbench.catalog.schema import Setting
from kdbench.settings import Choice, Range
from kdbench.spec.cell import Cell
from kdbench.spec.recipe import SEARCHED, Recipe
from kdbench.spec.words import Value
from kdbench.tune.knob import RECIPE, Knob

_SPANS = (Range(1e-9, 100, search=(1e-4, 1e-2), log=True), Range(0, 100, search=(1e-6, 1e-2), log=True))
TRAINING = dict(zip(SEARCHED, _SPANS, strict=True))
"""Searched for every row, the networks alone included."""


def knobs_of(cell: Cell, recipe: Recipe, stated: Mapping[str, Value]) -> tuple[Knob, ...]:
    """What is searched for a row.

    Args:
        cell: one of the row's, with its defaults.
        recipe: the training's start.
        stated: settings that the row says itself; these are not searched.
    """
    settings = dict(cell.method.settings)
    found = [
        _knob(name, settings[name], setting.legal, whole=setting.type is int)
        for name, setting in METHODS.schema(cell.method.name).items()
        if name not in stated and _searched(setting)
    ]
    found += [_knob(RECIPE + name, getattr(recipe, name), legal) for name, legal in TRAINING.items()]
    # On a logarithmic scale there is no way from 0: a user who switched it off gets no search of it.
    return tuple(knob for knob in found if not (knob.log and isinstance(knob.default, float) and knob.default <= 0))


def _searched(setting: Setting) -> bool:
    return setting.legal is not None and setting.legal.search is not None


def _knob(name: str, default: Value, legal: Range | Choice | None, *, whole: bool = False) -> Knob:
    if isinstance(legal, Choice):
        return Knob(name, default, choices=tuple(dict.fromkeys([*(legal.search or ()), default])))
    assert legal is not None
    assert legal.search is not None
    assert not isinstance(default, str)
    low, high = (
        min(legal.search[0], default),
        max(legal.search[1], default),
    )  # the default is always among what is drawn
    return Knob(name, default, low, high, legal.log, whole)

"""How networks are trained, the same for every method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from kdbench.errors import KdbenchError, nearest
from kdbench.spec.words import Spec, Value, text_of

NAMING = ("name", "note")
"""Fields of a recipe that say what it is called and meant for; no number depends on them."""

SEARCHED = ("learning_rate", "weight_decay")
"""What a search may find for each row by itself."""


class Precision(StrEnum):
    """Of numbers in a forward pass of training."""

    FLOAT32 = "float32"
    BF16 = "bf16"


@dataclass(frozen=True)
class Recipe:
    """How networks are trained, the same for every method.

    Args:
        name: what tables call it; settings changed on the command line are added to it.
        epochs: passes over the training set.
        batch_size: windows in a batch; a smaller remainder is dropped where a full batch exists.
        learning_rate: Adam's first learning rate; it falls along a cosine.
        final_learning_rate: what it would be after the last epoch.
        weight_decay: Adam's L2 term.
        precision: of the forward passes of the networks that learn: float32 | bf16. All else is float32.
        note: what a table must say about it.
    """

    name: str = "har"
    epochs: int = 120
    batch_size: int = 128
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5
    weight_decay: float = 5e-4
    precision: Precision = Precision.FLOAT32
    note: str = ""

    def __post_init__(self) -> None:
        known = [str(each) for each in Precision]
        if self.precision not in known:
            raise KdbenchError(f"recipe: {nearest('precisions', str(self.precision), known)}")
        object.__setattr__(self, "precision", Precision(self.precision))
        limits = {
            "epochs": (1, 100_000),
            "batch_size": (2, 1_000_000),
            "learning_rate": (1e-9, 100),
            "final_learning_rate": (0, 100),
            "weight_decay": (0, 100),
        }
        for key, (low, high) in limits.items():
            value, whole = getattr(self, key), key in ("epochs", "batch_size")
            wanted = "a whole number" if whole else "a number"
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                raise KdbenchError(f"recipe: {key}={value!r} is not {wanted}")
            if not low <= value <= high:
                raise KdbenchError(f"recipe: {key}={value} is outside [{low:g}, {high:g}]")
            if not whole:
                object.__setattr__(self, key, float(value))  # 1 and 1.0 are one recipe

    @property
    def remark(self) -> str:
        """What a table must say about it: its note, and a precision that is not the usual one."""
        precision = "forward passes of training in bfloat16" if self.precision == Precision.BF16 else ""
        return "; ".join(filter(None, [self.note, precision]))

    @property
    def settings(self) -> dict[str, Any]:
        """All but what it is called: what may be set."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in NAMING}

    @property
    def numbers(self) -> dict[str, Any]:
        """What training depends on, as cells have it: a precision only where it is not the usual one, so that cells
        keep the digests that they had before there was another."""
        usual = self.precision == Precision.FLOAT32
        return {key: value for key, value in self.settings.items() if not (usual and key == "precision")}

    @property
    def plain(self) -> dict[str, Any]:
        """The recipe as JSON has it; `parse_recipe` reads it."""
        return {"name": self.name, **self.numbers, "note": self.note}

    @property
    def unnamed(self) -> Recipe:
        """The same training, whatever it is called."""
        return replace(self, name="", note="")

    def changed(self, settings: Mapping[str, Value]) -> Recipe:
        """The recipe with other settings, under a name that says so."""
        known = list(self.settings)
        for key in settings:
            if key not in known:
                raise KdbenchError(nearest("settings of a recipe", key, known))
        name, _, said = self.name.partition("(")
        start, asked = self, dict(settings)
        if said and name in RECIPES:  # it was changed before: say what differs from the recipe that people know
            start, asked = RECIPES[name], {**Spec.parse(self.name).settings, **settings}
        different = {key: asked[key] for key in known if key in asked and asked[key] != getattr(start, key)}
        if not different:
            return start
        return replace(start, **{**different, "name": str(Spec(start.name, different))})  # type: ignore[arg-type]


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(),
        Recipe(name="cpu", epochs=40),
        Recipe(name="har-bf16", precision=Precision.BF16),
        Recipe(name="cpu-bf16", epochs=40, precision=Precision.BF16),
        Recipe(name="quick", epochs=3, note="a first look, not for publication"),
    )
}


def parse_recipe(given: object) -> Recipe:
    """Read a recipe: the name of a known one, or a table with the settings of a new one.

    A table may start from a known recipe: ``{ name = "short", base = "har", epochs = 10 }``.
    """
    if isinstance(given, str):
        if given not in RECIPES:
            raise KdbenchError(nearest("recipes", given, RECIPES))
        return RECIPES[given]
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise KdbenchError("recipe is neither a name nor a table with a name")
    settings = dict(given)
    base = parse_recipe(settings.pop("base", "har"))
    name, note = text_of(settings, "name"), text_of(settings, "note", "")
    for key in NAMING:
        settings.pop(key, None)
    recipe = replace(base.changed(settings), name=name, note=note)
    if name in RECIPES and recipe != RECIPES[name]:
        raise KdbenchError(f"the recipe name {name!r} is taken; give changed settings a name of their own")
    return recipe

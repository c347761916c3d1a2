"""The settings that a class takes, read off its signature; a name with all of them, and with as few as possible."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

from kdbench.architectures import Backbone
from kdbench.errors import KdbenchError, nearest
from kdbench.settings import Choice, Range
from kdbench.spec.cell import Part
from kdbench.spec.words import Spec, Value


@dataclass(frozen=True)
class Setting:
    """One keyword-only argument of a class, or one that all classes of a kind take.

    Args:
        name: the keyword.
        type: str, int, float or bool.
        default: its default.
        legal: which values it may have; None for any of its type.
        silent: whether a part leaves it out where it has its default, since it came when there were cells already.
        meaning: for people to read, where no docstring says it.
    """

    name: str
    type: type
    default: Value
    legal: Range | Choice | None
    silent: bool = False
    meaning: str = ""

    def read(self, value: Value, owner: str) -> Value:
        """The value as its type has it.

        Raises:
            KdbenchError: if it is of another type or not legal.
        """
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value) if abs(value) < 2**1023 else math.inf
        if not isinstance(value, self.type) or (isinstance(value, bool) and self.type is not bool):
            raise KdbenchError(f"{owner}: {self.name}={value!r} is not {_ARTICLE[self.type]}")
        if self.legal is not None and value not in self.legal:
            if isinstance(self.legal, Choice):
                raise KdbenchError(f"{owner}: {nearest(self.name, str(value), map(str, self.legal.values))}")
            raise KdbenchError(f"{owner}: {self.name}={value} is outside {self.legal}")
        return value


CHANNELS = Setting(
    *("channels", str, "all", None),
    silent=True,
    meaning="which it sees: names, or groups such as `acc` or `wrist`, joined by `+`.",
)
"""Which channels a network sees, by `kdbench.catalog.channels`; every network takes it, and no class has to know."""

_ARTICLE: dict[type, str] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


@cache
def settings_of(cls: Any) -> Mapping[str, Setting]:
    """The settings that a class takes, in the order of its signature; of a network also ``channels``.

    Raises:
        KdbenchError: if one lacks a default or is of no plain type.
    """
    hints = get_type_hints(cls.__init__, include_extras=True)
    schema = {}
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        hint = hints[parameter.name]
        legal = next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Range | Choice)), None)
        plain: Any = getattr(hint, "__origin__", hint)
        if plain not in _ARTICLE or parameter.default is parameter.empty:
            wanted = "needs a default and a type among str, int, float, bool"
            raise KdbenchError(f"{cls.__name__}: {parameter.name} {wanted}")
        default = float(parameter.default) if plain is float else parameter.default
        schema[parameter.name] = Setting(parameter.name, plain, default, legal)
    return schema | {CHANNELS.name: CHANNELS} if issubclass(cls, Backbone) else schema


def closed(cls: Any, spec: Spec) -> Part:
    """A name with every default written out that is not silent.

    Raises:
        KdbenchError: if a setting is unknown, or a value is not legal.
    """
    chosen = _chosen(cls, spec)
    settings = [(s, chosen.get(s.name, s.default)) for s in settings_of(cls).values()]
    said = tuple((s.name, value) for s, value in settings if not (s.silent and value == s.default))
    return Part(spec.name, said, cls.version)


def short(cls: Any, spec: Spec) -> Spec:
    """The same thing said with as few settings as possible, in the order of the signature.

    Raises:
        KdbenchError: if a setting is unknown, or a value is not legal.
    """
    chosen = _chosen(cls, spec)
    schema = settings_of(cls)
    said = {key: chosen[key] for key in schema if key in chosen and chosen[key] != schema[key].default}
    return Spec(spec.name, said)


def _chosen(cls: Any, spec: Spec) -> dict[str, Value]:
    schema = settings_of(cls)
    for key in spec.settings:
        if key not in schema:
            raise KdbenchError(nearest(f"settings of {spec.name}", key, schema))
    return {key: schema[key].read(value, spec.name) for key, value in spec.settings.items()}

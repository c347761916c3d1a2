"""How people write what they mean: a name with settings, and values of settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kdbench.errors import KdbenchError

Value = str | int | float | bool


@dataclass(frozen=True)
class Spec:
    """A name with settings, as people write it: ``resnet_lstman(width=0.25)``."""

    name: str
    settings: Mapping[str, Value] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Read ``name`` or ``name(key=value, key=value)``.

        Raises:
            KdbenchError: if the text has another form.
        """
        match = re.fullmatch(r"\s*([\w.-]+)\s*(?:\((.*)\))?\s*", text, flags=re.DOTALL)
        if not match:
            raise KdbenchError(f"{text!r} is not of the form name or name(key=value, ...)")
        settings: dict[str, Value] = {}
        for part in filter(None, (p.strip() for p in _SETTING.findall(match[2] or ""))):
            key, equals, value = (p.strip() for p in part.partition("="))
            if not equals or not key or not value:
                raise KdbenchError(f"{part!r} in {text!r} is not of the form key=value")
            if key in settings:
                raise KdbenchError(f"{key!r} stands twice in {text!r}")
            settings[key] = parse_value(value)
        return cls(match[1], settings)

    def __str__(self) -> str:
        if not self.settings:
            return self.name
        return f"{self.name}({', '.join(f'{k}={show_value(v)}' for k, v in self.settings.items())})"


def parse_method(text: str) -> Spec:
    """Read a method or network as `Spec.parse` does; its name may be the path of a ``.py`` file, or ``mine@1f2e3d4c``.

    Raises:
        KdbenchError: if the text has another form.
    """
    match = re.fullmatch(r"\s*(.+?\.py|\w+@[0-9a-f]+)\s*(\(.*\))?\s*", text, flags=re.DOTALL)
    return Spec(match[1], Spec.parse(f"file{match[2] or ''}").settings) if match else Spec.parse(text)


def called(method: Spec) -> str:
    """The name of a method or a network as people say it: ``mine`` for ``there/mine.py`` and for ``mine@1f2e3d4c``."""
    if method.name.endswith(".py"):
        return re.sub(r"^.*[\\/]|\.py$", "", method.name)
    return method.name.partition("@")[0]


def listed(text: str) -> list[str]:
    """What stands between commas, those in parentheses and in quotes left alone; empty parts count for nothing.

    >>> listed("kd, hmkd(role=tuned, use_mid=false)")
    ['kd', 'hmkd(role=tuned, use_mid=false)']
    """
    parts, depth, quote = [""], 0, ""
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in "()":
            depth += 1 if sign == "(" else -1
        elif sign == "," and depth <= 0:
            parts.append("")
            continue
        parts[-1] += sign
    return [part.strip() for part in parts if part.strip()] or [text]


def parse_value(text: str) -> Value:
    """Read a setting as TOML would: true, 3, 0.5, 1e-3, or else a text, which may stand in quotes."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    return text


def show_value(value: Value) -> str:
    """A setting as `parse_value` reads it; a text is quoted where it would be read as something else."""
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    plain = re.fullmatch(r"[^\s,()'\"=]+", value) and parse_value(value) == value
    return value if plain else f'"{value}"' if '"' not in value else f"'{value}'"


_SETTING = re.compile(r"""(?:[^,"']|"[^"]*"|'[^']*'|["'])+""")  # up to a comma that is not in quotes


def text_of(table: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = table.get(key, default)
    if not isinstance(value, str) or not value.isprintable():
        raise KdbenchError(f"{key!r} is {value!r}, wanted a text of one line")
    return value


def texts_of(table: Mapping[str, Any], key: str) -> list[str]:
    """A list of texts, of which each may be several with commas between them, as on the command line."""
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise KdbenchError(f"{key!r} is {values!r}, wanted a list of texts")
    return [part for value in values for part in listed(value)]

"""Which channels of the windows a network sees: words such as ``acc`` or ``wrist`` to the channels of a dataset."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from kdbench.catalog.schema import CHANNELS
from kdbench.data import Description
from kdbench.errors import KdbenchError, nearest
from kdbench.spec.cell import Part

JOINT = "+"
"""Stands between several names or groups."""


def seen(part: Part, names: Sequence[str]) -> tuple[int, ...]:
    """Numbers of the channels that a network sees, ascending; all of them where it does not say.

    A word is a channel's name, or one or more parts of names that follow each other: of ``wrist_acc_x`` the words
    ``wrist``, ``acc``, ``x``, ``wrist_acc`` and ``acc_x``. Capitals do not count.

    Args:
        part: the network with its settings.
        names: of a dataset's channels.

    Raises:
        KdbenchError: if a word means none of them.
    """
    asked = str(dict(part.settings).get(CHANNELS.name, CHANNELS.default))
    if asked == CHANNELS.default:
        return tuple(range(len(names)))
    found = set[int]()
    for word in [asked] if asked in names else asked.split(JOINT):
        meant = [k for k, name in enumerate(names) if word == name] or [
            k for k, name in enumerate(names) if _parts(word) in _runs(name)
        ]
        if not meant:
            known = dict.fromkeys([*(" ".join(run) for name in names for run in _runs(name) if len(run) == 1), *names])
            raise KdbenchError(nearest(f"channels of {part.name}", word.strip(), known))
        found.update(meant)
    return tuple(sorted(found))


def named(part: Part, about: Description) -> Part:
    """A network whose channels are said by their names, in a dataset's order, and not at all where it sees all.

    So two ways to say the same are one network.

    Raises:
        KdbenchError: if what it asks for is no channel.
    """
    names = [channel.name for channel in about.channels]
    try:
        chosen = seen(part, names)
    except KdbenchError as error:
        raise KdbenchError(f"{about.name}: {error}") from None
    rest = tuple(setting for setting in part.settings if setting[0] != CHANNELS.name)
    if len(chosen) == len(names):
        return replace(part, settings=rest)
    if len(chosen) > 1 and (odd := [names[k] for k in chosen if JOINT in names[k]]):
        raise KdbenchError(f"{about.name}: channel {odd[0]!r} has a {JOINT} in its name, which stands between channels")
    return replace(part, settings=(*rest, (CHANNELS.name, JOINT.join(names[k] for k in chosen))))


def outlook(part: Part, about: Description) -> str:
    """What a reader must know about a network that does not see all; else nothing."""
    chosen = seen(part, [channel.name for channel in about.channels])
    if len(chosen) == len(about.channels):
        return ""
    listed = ", ".join(about.channels[k].name for k in chosen)
    return f"sees {len(chosen)} of {len(about.channels)} channels: {listed}"


def _parts(name: str) -> tuple[str, ...]:
    return tuple(filter(None, re.split(r"[\W_]+", name.lower())))


def _runs(name: str) -> set[tuple[str, ...]]:
    """Every stretch of parts of a name."""
    parts = _parts(name)
    return {parts[a:b] for a in range(len(parts)) for b in range(a + 1, len(parts) + 1)}

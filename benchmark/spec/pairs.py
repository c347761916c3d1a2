"""Teacher-student pairs: as they are written, and lists of them that have a name."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from kdbench.errors import KdbenchError, nearest
from kdbench.spec.words import Spec, parse_method

_SPEC = r"""[^:("']*(?:\((?:[^"']|"[^"]*"|'[^']*')*\))?"""  # a name, and settings in which quotes may hide a colon


@dataclass(frozen=True)
class PairList:
    """Pairs that have a name: an entry of ``pairs.toml``.

    Args:
        description: what they are for, one line.
        pairs: (teacher, student) networks with settings.
    """

    description: str
    pairs: tuple[tuple[Spec, Spec], ...]


@cache
def pair_lists() -> Mapping[str, PairList]:
    """The lists of pairs that come with kdbench, by name."""
    text = files("kdbench").joinpath("pairs.toml").read_text(encoding="utf-8")
    return {
        name: PairList(entry["description"], tuple(map(parse_pair, entry["pairs"])))
        for name, entry in tomllib.loads(text).items()
    }


def parse_pairs(texts: Sequence[str]) -> tuple[tuple[Spec, Spec], ...]:
    """Read pairs and names of lists of pairs.

    A list brings the pairs that are not there by themselves or by another list; a pair written twice stays twice. Pairs
    are the same here if they are written the same: ``fcn(width=1.0):mlp`` is not taken for the ``fcn:mlp`` of a list,
    and a plan, which knows the defaults, refuses the two.

    Raises:
        KdbenchError: if a text is neither a pair nor a known list's name.
    """
    lists = pair_lists()
    written = {text: parse_pair(text) for text in texts if text not in lists}
    found: list[tuple[Spec, Spec]] = []
    for text in texts:
        if text in lists:
            found += [pair for pair in lists[text].pairs if pair not in found and pair not in written.values()]
        else:
            found.append(written[text])
    return tuple(found)


def parse_pair(text: str) -> tuple[Spec, Spec]:
    """Read ``teacher:student``, each with or without settings, and each perhaps the path of a ``.py`` file."""
    match = re.fullmatch(f"({_SPEC}):({_SPEC})", text)
    if not match:
        lists = nearest("lists of pairs", text, pair_lists())
        raise KdbenchError(f"pair {text!r} is not of the form teacher:student, as in resnet_lstman:mlp; {lists}")
    for side, name in (("teacher", match[1]), ("student", match[2])):
        if not name.strip():
            raise KdbenchError(f"pair {text!r} has no {side}; wanted teacher:student, as in resnet_lstman:mlp")
    return parse_method(match[1]), parse_method(match[2])

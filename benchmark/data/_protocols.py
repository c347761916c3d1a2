"""Who is trained on and who is judged: named, versioned splits by person."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from kdbench.data._base import Windows
from kdbench.errors import KdbenchError, nearest

PROTOCOLS: Mapping[str, str] = MappingProxyType(
    {
        "subject-v1": "trained on the official training people, judged on the official test people",
        "subject-val-v1": "about a quarter of the official training people held out for validation; no test people",
    }
)
"""Name to meaning, as captions print it."""

PARTS = 4
ATTEMPTS = 1000


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the windows, ascending, int64. ``side`` is what the evaluation rows are: "test" or "validation"."""

    train: npt.NDArray[np.int64]
    evaluation: npt.NDArray[np.int64]
    side: str


def split(protocol: str, windows: Windows, *, dataset: str, seed: int, fold: int = 0) -> Split:
    """Rows to train on and rows to judge by. No person, hence no sample, is on both sides.

    Args:
        protocol: a key of ``PROTOCOLS``.
        windows: all windows of the dataset.
        dataset: its name; the draw depends on it, on the seed and on nothing else.
        seed: what "subject-val-v1" draws people by; "subject-v1" draws nothing.
        fold: which part of the drawn partition "subject-val-v1" holds out, 0 to 3 (fewer parts where there are
            fewer than four people); the folds of one seed are disjoint unless a draw had to be repeated because
            a class was left without training windows. Always 0 for "subject-v1".

    Raises:
        KdbenchError: unknown protocol or fold, a person on both official sides, or too few people to split.
    """
    if protocol not in PROTOCOLS:
        raise KdbenchError(nearest("protocols", protocol, PROTOCOLS))
    people, judged = set(windows.person[~windows.test].tolist()), set(windows.person[windows.test].tolist())
    if people & judged:
        raise KdbenchError(f"{dataset}: people {_listed(people & judged)} are on both official sides; wanted one each")
    if protocol == "subject-v1":
        if not people or not judged:
            raise KdbenchError(f"{dataset}: {protocol} wants people on both official sides, found only one side")
        if fold != 0:
            raise KdbenchError(f"{dataset}: {protocol} has only fold 0, not {fold}")
        return Split(np.flatnonzero(~windows.test), np.flatnonzero(windows.test), "test")
    held = _held_out(windows, sorted(people), dataset=dataset, seed=seed, fold=fold)
    chosen = np.isin(windows.person, held)
    return Split(np.flatnonzero(~windows.test & ~chosen), np.flatnonzero(chosen), "validation")


def _held_out(windows: Windows, people: list[int], *, dataset: str, seed: int, fold: int) -> list[int]:
    parts = min(PARTS, len(people))
    if parts < 2:
        raise KdbenchError(f"{dataset}: subject-val-v1 wants two training people or more, found {len(people)}")
    if not 0 <= fold < parts:
        raise KdbenchError(f"{dataset}: subject-val-v1 has folds 0 to {parts - 1}, not {fold}")
    classes = {person: set(windows.y[windows.person == person].tolist()) for person in people}
    wanted = set().union(*classes.values())
    for attempt in range(ATTEMPTS):
        # Sorting by hashes, unlike a generator's permutation, is the same under every version of numpy.
        hashes = {person: _draw("split", dataset, seed, attempt, person) for person in people}
        held = sorted(people, key=hashes.__getitem__)[fold::parts]
        if set().union(*(classes[person] for person in people if person not in held)) == wanted:
            return held
    raise KdbenchError(f"{dataset}: no draw of validation people leaves every class to the training people")


def _draw(*parts: str | int) -> bytes:
    return hashlib.sha256("/".join(map(str, parts)).encode()).digest()


def _listed(people: set[int]) -> str:
    return " ".join(map(str, sorted(people)))

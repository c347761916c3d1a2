"""Who is trained on and who is judged: named, versioned splits, by person but for one that says that it leaks."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from kdbench.data._base import Windows
from kdbench.errors import KdbenchError, nearest

Mask = npt.NDArray[np.bool_]

PARTS = 4
ATTEMPTS = 1000
GROUPS = 10
GROUP_DRAWS = 100


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the windows, ascending, int64. ``side`` is what the evaluation rows are: "test" or "validation"."""

    train: npt.NDArray[np.int64]
    evaluation: npt.NDArray[np.int64]
    side: str


class Protocol(ABC):
    """A named way to divide windows, in numbered folds.

    Class attributes:
        name: as matrices and captions have it; another division gets another name.
        meaning: what captions add.
        side: what the evaluation rows are.
        leaky: whether windows of one person, or that share samples, may be on both sides.
        every_fold: whether a result is of all folds together. If not, fold 0 alone is run, since the seed draws it.
    """

    name: ClassVar[str]
    meaning: ClassVar[str]
    side: ClassVar[str] = "test"
    leaky: ClassVar[bool] = False
    every_fold: ClassVar[bool] = False

    def folds(self, windows: Windows, *, dataset: str) -> int:
        """How many folds there are.

        Raises:
            KdbenchError: there are too few people or windows for any.
        """
        return 1

    def split(self, windows: Windows, *, dataset: str, seed: int, fold: int = 0) -> Split:
        """Rows to train on and rows to judge by; see ``split``."""
        people, judged = set(windows.person[~windows.test].tolist()), set(windows.person[windows.test].tolist())
        if people & judged:
            raise KdbenchError(
                f"{dataset}: people {_listed(people & judged)} are on both official sides; wanted one each"
            )
        folds = self.folds(windows, dataset=dataset)
        if not 0 <= fold < folds:
            known = "only fold 0" if folds == 1 else f"folds 0 to {folds - 1}"
            raise KdbenchError(f"{dataset}: {self.name} has {known}, not {fold}")
        train, evaluation = self._rows(windows, dataset=dataset, seed=seed, fold=fold)
        return Split(np.flatnonzero(train), np.flatnonzero(evaluation), self.side)

    def _several(self, person: npt.NDArray[np.int64], what: str, dataset: str) -> int:
        """How many people there are, which must be two or more."""
        people = len(np.unique(person))
        if people < 2:
            raise KdbenchError(f"{dataset}: {self.name} wants two {what} or more, found {people}")
        return people

    @abstractmethod
    def _rows(self, windows: Windows, *, dataset: str, seed: int, fold: int) -> tuple[Mask, Mask]:
        """Training and evaluation windows; sides and fold have been checked."""


class SubjectV1(Protocol):
    """The official split; draws nothing."""

    name = "subject-v1"
    meaning = "trained on the official training people, judged on the official test people"

    def _rows(self, windows: Windows, *, dataset: str, seed: int, fold: int) -> tuple[Mask, Mask]:
        if windows.test.all() or not windows.test.any():
            raise KdbenchError(f"{dataset}: {self.name} wants people on both official sides, found only one side")
        return ~windows.test, windows.test


class SubjectValV1(Protocol):
    """What a search uses: one of four parts (fewer where there are fewer people) of a partition drawn by the seed.

    The folds of one seed are disjoint unless a draw had to be repeated because a class was left without training
    windows.
    """

    name = "subject-val-v1"
    meaning = "about a quarter of the official training people held out for validation; no test people"
    side = "validation"

    def folds(self, windows: Windows, *, dataset: str) -> int:
        return min(PARTS, self._several(windows.person[~windows.test], "training people", dataset))

    def _rows(self, windows: Windows, *, dataset: str, seed: int, fold: int) -> tuple[Mask, Mask]:
        parts, train = self.folds(windows, dataset=dataset), ~windows.test
        held = _drawn(
            *(dataset, windows.person[train], windows.y[train]),
            lambda order: order[fold::parts],
            seed=seed,
            what="validation",
        )
        chosen = np.isin(windows.person, held)
        return ~windows.test & ~chosen, chosen


class LeaveOnePersonOut(Protocol):
    """One fold for each person, on either official side, in ascending order; draws nothing."""

    name = "leave-one-person-out"
    meaning = "trained on all people but one, who is judged; every person in turn, one a fold"
    every_fold = True

    def folds(self, windows: Windows, *, dataset: str) -> int:
        return self._several(windows.person, "people", dataset)

    def _rows(self, windows: Windows, *, dataset: str, seed: int, fold: int) -> tuple[Mask, Mask]:
        left_out = windows.person == np.unique(windows.person)[fold]
        return ~left_out, left_out


class PersonGroupsV1(Protocol):
    """All people, on either official side, in ten groups (as many as there are people, if fewer), each judged in turn.

    The groups are of the dataset and not of the seed. People in an order drawn from the dataset's name join whichever
    group has the fewest windows by then; of 100 such draws that leave every class to the training people of each fold,
    the one counts whose largest and smallest group differ least.
    """

    name = "person-groups-v1"
    meaning = "all people in ten groups, each judged once by what was trained on the other nine"
    every_fold = True

    def folds(self, windows: Windows, *, dataset: str) -> int:
        return min(GROUPS, self._several(windows.person, "people", dataset))

    def _rows(self, windows: Windows, *, dataset: str, seed: int, fold: int) -> tuple[Mask, Mask]:
        groups = _groups(dataset, windows.person, windows.y, self.folds(windows, dataset=dataset))
        judged = np.isin(windows.person, groups[fold])
        return ~judged, judged


class RandomLeakyV1(Protocol):
    """Windows drawn by the seed without regard to people: the published habit, for comparison with it only."""

    name = "random-leaky-v1"
    meaning = "LEAKS: random 70 % of all windows against the other 30 %, so that training has seen the people judged"
    leaky = True

    def folds(self, windows: Windows, *, dataset: str) -> int:
        if len(windows.y) < 2:
            raise KdbenchError(f"{dataset}: {self.name} wants two windows or more, found {len(windows.y)}")
        return 1

    def _rows(self, windows: Windows, *, dataset: str, seed: int, fold: int) -> tuple[Mask, Mask]:
        count = len(windows.y)
        order = sorted(range(count), key=lambda row: _draw("random", dataset, seed, row))
        judged = np.zeros(count, np.bool_)
        judged[order[: max(1, count * 3 // 10)]] = True
        return ~judged, judged


_KNOWN: Mapping[str, Protocol] = MappingProxyType(
    {
        known.name: known
        for known in (SubjectV1(), SubjectValV1(), LeaveOnePersonOut(), PersonGroupsV1(), RandomLeakyV1())
    }
)
# Not every dataset has an official split. In the classes the word stays: records hold a hash of their text.
PROTOCOLS: Mapping[str, str] = MappingProxyType(
    {name: known.meaning.replace("official ", "") for name, known in _KNOWN.items()}
)
"""Name to meaning, as captions print it."""


def protocol(name: str) -> Protocol:
    """The protocol of a name.

    Raises:
        KdbenchError: there is none.
    """
    if name not in _KNOWN:
        raise KdbenchError(nearest("protocols", name, _KNOWN))
    return _KNOWN[name]


def split(name: str, windows: Windows, *, dataset: str, seed: int, fold: int = 0) -> Split:
    """Rows to train on and rows to judge by. But for a leaky protocol, no person, hence no sample, is on both sides.

    Args:
        name: of the protocol, a key of ``PROTOCOLS``.
        windows: all windows of the dataset.
        dataset: its name; what is drawn depends on it, on the seed, the fold and nothing else.
        seed: what is drawn by, where anything is.
        fold: which of the protocol's folds.

    Raises:
        KdbenchError: unknown protocol or fold, a person on both official sides, or too few people to split.
    """
    return protocol(name).split(windows, dataset=dataset, seed=seed, fold=fold)


def person_judged(chosen: Protocol, windows: Windows, *, dataset: str, fold: int) -> int | None:
    """Who is judged in a fold, where that is one person; None where there are several."""
    people = np.unique(windows.person[chosen.split(windows, dataset=dataset, seed=0, fold=fold).evaluation])
    return int(people[0]) if len(people) == 1 else None


def _groups(
    dataset: str, person: npt.NDArray[np.int64], y: npt.NDArray[np.int64], count: int
) -> tuple[tuple[int, ...], ...]:
    """People in ``count`` groups of about as many windows; the same whatever the seed."""
    named, windows = np.unique(person, return_counts=True)
    size: dict[int, int] = dict(zip(named.tolist(), windows.tolist(), strict=True))
    classes = {each: set(y[person == each].tolist()) for each in size}
    wanted = set().union(*classes.values())
    best: tuple[int, list[list[int]]] | None = None
    for attempt in range(GROUP_DRAWS):
        hashes = {each: _draw("groups", dataset, attempt, each) for each in size}
        groups: list[list[int]] = [[] for _ in range(count)]
        sizes = [0] * count
        for each in sorted(size, key=hashes.__getitem__):
            smallest = min(range(count), key=sizes.__getitem__)
            groups[smallest].append(each)
            sizes[smallest] += size[each]
        spread = max(sizes) - min(sizes)
        left = (set().union(*(classes[each] for each in size if each not in group)) for group in groups)
        if (best is None or spread < best[0]) and all(found == wanted for found in left):
            best = spread, groups
    if best is None:
        raise KdbenchError(f"{dataset}: no draw of {count} groups of people leaves every class to the training people")
    return tuple(map(tuple, best[1]))


def _drawn(
    dataset: str,
    person: npt.NDArray[np.int64],
    y: npt.NDArray[np.int64],
    take: Callable[[list[int]], list[int]],
    *,
    seed: int,
    what: str,
) -> list[int]:
    """What ``take`` takes from the people in an order drawn by the seed, such that the others have every class."""
    people: list[int] = np.unique(person).tolist()
    classes = {each: set(y[person == each].tolist()) for each in people}
    wanted = set().union(*classes.values())
    for attempt in range(ATTEMPTS):
        # Sorting by hashes, unlike a generator's permutation, is the same under every version of numpy.
        hashes = {each: _draw("split", dataset, seed, attempt, each) for each in people}
        taken = take(sorted(people, key=hashes.__getitem__))
        if set().union(*(classes[each] for each in people if each not in taken)) == wanted:
            return taken
    raise KdbenchError(f"{dataset}: no draw of {what} people leaves every class to the training people")


def draw_people(
    dataset: str, person: npt.NDArray[np.int64], y: npt.NDArray[np.int64], *, count: int, seed: int
) -> list[int]:
    """``count`` people, drawn so that the others have windows of every class.

    Raises:
        KdbenchError: no such draw was found.
    """
    return _drawn(dataset, person, y, lambda order: order[:count], seed=seed, what="test")


def _draw(*parts: str | int) -> bytes:
    return hashlib.sha256("/".join(map(str, parts)).encode()).digest()


def _listed(people: set[int]) -> str:
    return " ".join(map(str, sorted(people)))

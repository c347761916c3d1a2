from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdbench.data import PROTOCOLS, Windows, split
from kdbench.errors import KdbenchError

LENGTH = 4


def windows(people: list[int], labels: list[int], tested: set[int]) -> Windows:
    """One window per row; the rows of a person are one recording, overlapping by half."""
    person = np.array(people, np.int64)
    start = np.array([2 * people[:row].count(who) for row, who in enumerate(people)], np.int64)
    x = np.zeros((len(people), 1, LENGTH), np.float32)
    return Windows(x, np.array(labels, np.int64), person, np.isin(person, list(tested)), person, start)


@st.composite
def anything(draw: st.DrawFn) -> Windows:
    """Three people or more, at least two of them for training, each with two classes and more rows at random."""
    people = draw(st.lists(st.integers(1, 12), min_size=3, max_size=12, unique=True))
    tested = draw(st.sets(st.sampled_from(people), min_size=1, max_size=len(people) - 2))
    more = draw(st.lists(st.tuples(st.sampled_from(people), st.integers(0, 1)), max_size=40))
    rows = draw(st.permutations([(person, label) for person in people for label in (0, 1)] + more))
    return windows([person for person, _ in rows], [label for _, label in rows], tested)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(some=anything(), seed=st.integers(0, 2**63 - 1))
def test_no_person_and_no_sample_is_on_two_sides_and_no_window_is_lost(protocol: str, some: Windows, seed: int) -> None:
    rows = split(protocol, some, dataset="some", seed=seed)
    train, evaluation = set(rows.train.tolist()), set(rows.evaluation.tolist())
    assert train
    assert evaluation
    assert not train & evaluation
    assert not set(some.person[rows.train].tolist()) & set(some.person[rows.evaluation].tolist())
    left_out = set(np.flatnonzero(some.test).tolist()) if protocol == "subject-val-v1" else set()
    assert train | evaluation | left_out == set(range(len(some.x)))
    assert not evaluation & left_out
    samples = [
        {(int(some.recording[row]), int(some.start[row]) + offset) for row in side for offset in range(LENGTH)}
        for side in (rows.train, rows.evaluation)
    ]
    assert not samples[0] & samples[1]


EIGHT = windows([person for person in range(10) for _ in range(3)], [0, 1, 2] * 10, {8, 9})


def held_out(some: Windows, seed: int, fold: int = 0) -> list[int]:
    rows = split("subject-val-v1", some, dataset="some", seed=seed, fold=fold)
    return [int(person) for person in np.unique(some.person[rows.evaluation])]


def test_the_official_split_is_the_official_one_whatever_the_seed() -> None:
    for seed in (0, 1):
        rows = split("subject-v1", EIGHT, dataset="some", seed=seed)
        assert rows.side == "test"
        assert rows.train.tolist() == list(range(24))
        assert rows.evaluation.tolist() == list(range(24, 30))


def test_a_quarter_of_the_training_people_is_drawn_by_the_seed() -> None:
    draws = [held_out(EIGHT, seed) for seed in range(20)]
    assert all(len(draw) == 2 for draw in draws)
    assert all(person < 8 for draw in draws for person in draw)
    assert len({tuple(draw) for draw in draws}) > 5
    assert split("subject-val-v1", EIGHT, dataset="some", seed=0).side == "validation"


def test_the_draw_is_the_same_on_every_machine() -> None:
    assert held_out(EIGHT, 0) == [1, 3]


def test_the_draw_depends_on_the_dataset() -> None:
    draws = [split("subject-val-v1", EIGHT, dataset=name, seed=0).evaluation.tolist() for name in ("a", "b", "c", "d")]
    assert any(draw != draws[0] for draw in draws)


def test_folds_hold_out_everyone_once() -> None:
    assert sorted(person for fold in range(4) for person in held_out(EIGHT, 0, fold)) == list(range(8))


def test_of_two_training_people_one_is_held_out() -> None:
    some = windows([1, 1, 2, 2, 3, 3], [0, 1] * 3, {3})
    assert {tuple(held_out(some, seed)) for seed in range(20)} == {(1,), (2,)}


def test_the_only_person_of_a_class_is_never_held_out() -> None:
    some = windows([1, 1, 2, 2, 3, 3, 3, 4], [0, 1, 0, 1, 0, 1, 2, 0], {4})
    assert {tuple(held_out(some, seed)) for seed in range(30)} == {(1,), (2,)}


def test_people_who_each_have_a_class_of_their_own_cannot_be_split() -> None:
    with pytest.raises(KdbenchError, match="no draw of validation people"):
        held_out(windows([1, 2, 3], [0, 1, 0], {3}), 0)


@pytest.mark.parametrize(
    ("protocol", "some", "fold", "words"),
    [
        ("subject-v2", EIGHT, 0, "did you mean 'subject-v1'"),
        ("subject-v1", EIGHT, 1, "only fold 0, not 1"),
        ("subject-val-v1", EIGHT, 4, "folds 0 to 3, not 4"),
        ("subject-val-v1", EIGHT, -1, "not -1"),
        ("subject-v1", windows([1, 2], [0, 0], set()), 0, "both official sides"),
        ("subject-v1", windows([1, 2], [0, 0], {1, 2}), 0, "both official sides"),
        ("subject-val-v1", windows([1, 2], [0, 0], {2}), 0, "two training people or more, found 1"),
    ],
)
def test_an_impossible_split_is_refused(protocol: str, some: Windows, fold: int, words: str) -> None:
    with pytest.raises(KdbenchError, match=words):
        split(protocol, some, dataset="some", seed=0, fold=fold)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_person_on_both_official_sides_is_refused(protocol: str) -> None:
    test = EIGHT.test.copy()
    test[0] = True
    with pytest.raises(KdbenchError, match="people 0 are on both"):
        split(protocol, replace(EIGHT, test=test), dataset="some", seed=0)

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdbench.data import PROTOCOLS, Windows, person_judged, protocol, split
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


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if not protocol(name).leaky])
@given(some=anything(), seed=st.integers(0, 2**63 - 1), draw=st.data())
def test_no_person_and_no_sample_is_on_two_sides_and_no_window_is_lost(
    name: str, some: Windows, seed: int, draw: st.DataObject
) -> None:
    fold = draw.draw(st.integers(0, protocol(name).folds(some, dataset="some") - 1))
    rows = split(name, some, dataset="some", seed=seed, fold=fold)
    assert rows.side == protocol(name).side
    train, evaluation = set(rows.train.tolist()), set(rows.evaluation.tolist())
    assert train
    assert evaluation
    assert not train & evaluation
    assert not set(some.person[rows.train].tolist()) & set(some.person[rows.evaluation].tolist())
    left_out = set(np.flatnonzero(some.test).tolist()) if name == "subject-val-v1" else set()
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


@given(some=anything())
def test_leaving_one_person_out_judges_everyone_once_in_ascending_order(some: Windows) -> None:
    people = np.unique(some.person).tolist()
    judged = []
    for fold in range(protocol("leave-one-person-out").folds(some, dataset="some")):
        rows = split("leave-one-person-out", some, dataset="some", seed=fold, fold=fold)
        assert rows.side == "test"
        judged += np.unique(some.person[rows.evaluation]).tolist()
        assert len(rows.train) + len(rows.evaluation) == len(some.y)
    assert judged == people


@given(some=anything(), seed=st.integers(0, 2**63 - 1))
def test_the_leaky_protocol_divides_all_windows_seventy_to_thirty(some: Windows, seed: int) -> None:
    rows = split("random-leaky-v1", some, dataset="some", seed=seed)
    assert rows.side == "test"
    assert sorted([*rows.train.tolist(), *rows.evaluation.tolist()]) == list(range(len(some.y)))
    assert len(rows.evaluation) == len(some.y) * 3 // 10
    assert (np.diff(rows.train) > 0).all()


def test_the_leaky_protocol_says_so_and_leaks() -> None:
    assert [name for name in PROTOCOLS if protocol(name).leaky] == ["random-leaky-v1"]
    assert all("leaky" in name for name in PROTOCOLS if protocol(name).leaky)
    draws = [split("random-leaky-v1", EIGHT, dataset="some", seed=seed) for seed in range(20)]
    assert len({tuple(rows.evaluation.tolist()) for rows in draws}) > 15
    for rows in draws:
        assert set(EIGHT.person[rows.train].tolist()) & set(EIGHT.person[rows.evaluation].tolist())
    assert draws[0].evaluation.tolist() == [4, 10, 19, 20, 22, 25, 26, 27, 29]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_is_an_object_of_its_name(name: str) -> None:
    found = protocol(name)
    assert (found.name, found.meaning.replace("official ", "")) == (name, PROTOCOLS[name])
    assert (
        found.split(EIGHT, dataset="some", seed=3).train.tolist()
        == split(name, EIGHT, dataset="some", seed=3).train.tolist()
    )


@pytest.mark.parametrize(
    ("name", "some", "fold", "words"),
    [
        ("subject-v2", EIGHT, 0, "did you mean 'subject-v1'"),
        ("subject-v1", EIGHT, 1, "only fold 0, not 1"),
        ("subject-val-v1", EIGHT, 4, "folds 0 to 3, not 4"),
        ("subject-val-v1", EIGHT, -1, "not -1"),
        ("subject-v1", windows([1, 2], [0, 0], set()), 0, "both official sides"),
        ("subject-v1", windows([1, 2], [0, 0], {1, 2}), 0, "both official sides"),
        ("subject-val-v1", windows([1, 2], [0, 0], {2}), 0, "two training people or more, found 1"),
        ("leave-one-person-out", EIGHT, 10, "folds 0 to 9, not 10"),
        ("leave-one-person-out", windows([1, 1], [0, 1], set()), 0, "two people or more, found 1"),
        ("random-leaky-v1", EIGHT, 1, "only fold 0, not 1"),
        ("random-leaky-v1", windows([1], [0], set()), 0, "two windows or more, found 1"),
    ],
)
def test_an_impossible_split_is_refused(name: str, some: Windows, fold: int, words: str) -> None:
    with pytest.raises(KdbenchError, match=words):
        split(name, some, dataset="some", seed=0, fold=fold)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_person_on_both_official_sides_is_refused(name: str) -> None:
    test = EIGHT.test.copy()
    test[0] = True
    with pytest.raises(KdbenchError, match="people 0 are on both"):
        split(name, replace(EIGHT, test=test), dataset="some", seed=0)


def test_groups_of_people_are_of_the_dataset_and_each_person_is_judged_once() -> None:
    rng = np.random.default_rng(1)
    people = [person for person in range(30) for _ in range(rng.integers(200, 300))]
    some = windows(people, [row % 2 for row in range(len(people))], {1, 2})
    chosen = protocol("person-groups-v1")
    folds = [chosen.split(some, dataset="some", seed=0, fold=fold) for fold in range(10)]
    judged = [np.unique(some.person[fold.evaluation]).tolist() for fold in folds]
    assert sorted(person for group in judged for person in group) == list(range(30))
    sizes = [len(fold.evaluation) for fold in folds]
    assert max(sizes) - min(sizes) < 0.15 * len(people) / 10
    again = chosen.split(some, dataset="some", seed=5, fold=3).evaluation
    assert again.tolist() == folds[3].evaluation.tolist()
    other = chosen.split(some, dataset="other", seed=0, fold=3).evaluation
    assert other.tolist() != folds[3].evaluation.tolist()
    with pytest.raises(KdbenchError, match="person-groups-v1 has folds 0 to 9, not 10"):
        chosen.split(some, dataset="some", seed=0, fold=10)


def test_few_people_are_a_group_each_and_groups_are_refused_where_one_alone_has_a_class() -> None:
    chosen = protocol("person-groups-v1")
    few = windows([1, 1, 2, 2, 3, 3], [0, 1] * 3, set())
    assert chosen.folds(few, dataset="few") == 3
    assert {person_judged(chosen, few, dataset="few", fold=fold) for fold in range(3)} == {1, 2, 3}
    alone = windows([1, 1, 2, 2, 3, 3], [0, 1, 0, 0, 0, 0], set())
    with pytest.raises(KdbenchError, match="no draw of 3 groups of people leaves every class to the training people"):
        chosen.split(alone, dataset="alone", seed=0)
    with pytest.raises(KdbenchError, match="wants two people or more, found 1"):
        chosen.folds(windows([1, 1], [0, 1], set()), dataset="one")

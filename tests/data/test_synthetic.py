from __future__ import annotations

import numpy as np
import pytest

from kdbench.data import Windows, split
from kdbench.data.synthetic import Synthetic


@pytest.fixture(scope="module")
def small() -> Windows:
    return Synthetic(people=5, windows=7, length=64).parse(None)


def test_generation_is_the_same_bit_by_bit_everywhere(small: Windows) -> None:
    # Another digest here means another version in the class.
    assert Synthetic.version == 1
    assert small.digest() == "fd633a98f13be1e96b77ceffe0b2ab54621577949c5d8b7d0403bb22197854a2"


def test_every_person_does_everything_equally_often(small: Windows) -> None:
    pairs, counts = np.unique(np.stack([small.person, small.y]), axis=1, return_counts=True)
    assert pairs.shape[1] == 5 * 8
    assert set(counts.tolist()) == {7}


def test_windows_of_a_recording_overlap_by_half(small: Windows) -> None:
    follows = small.recording[1:] == small.recording[:-1]
    assert follows.any()
    np.testing.assert_array_equal(small.x[:-1, :, 32:][follows], small.x[1:, :, :32][follows])
    np.testing.assert_array_equal(np.diff(small.start)[follows], 32)


@pytest.mark.parametrize(("people", "tested"), [(3, [2]), (5, [3, 4]), (10, [7, 8, 9]), (20, list(range(14, 20)))])
def test_the_last_thirty_percent_of_the_people_are_the_test_side(people: int, tested: list[int]) -> None:
    windows = Synthetic(people=people, windows=1, length=8).parse(None)
    assert np.unique(windows.person[windows.test]).tolist() == tested


@pytest.mark.parametrize("protocol", ["subject-v1", "subject-val-v1"])
def test_the_smallest_size_serves_every_protocol(protocol: str) -> None:
    windows = Synthetic(people=3, windows=1, length=8).parse(None)
    rows = split(protocol, windows, dataset="synthetic", seed=0)
    assert len(np.unique(windows.y[rows.train])) == 8


@pytest.mark.parametrize(("length", "difficulty"), [(4096, 1.0), (9, 1.0), (8, 4.0), (128, 0.0)])
def test_extreme_settings_give_valid_windows(length: int, difficulty: float) -> None:
    dataset = Synthetic(people=3, windows=3, length=length, difficulty=difficulty)
    dataset.parse(None).check(dataset.description)


def test_more_people_leave_the_others_as_they_are(small: Windows) -> None:
    more = Synthetic(people=6, windows=7, length=64).parse(None)
    np.testing.assert_array_equal(more.x[more.person < 5], small.x)


def test_other_seeds_generate_other_people(small: Windows) -> None:
    assert Synthetic(people=5, windows=7, length=64, seed=1).parse(None).digest() != small.digest()


def test_gravity_is_one_at_rest(small: Windows) -> None:
    resting = small.x[np.isin(small.y, [3, 4, 5])].astype(np.float64)
    size = np.linalg.norm(resting[:, :3].mean(axis=2), axis=1)
    np.testing.assert_allclose(size, 1, atol=0.05)


def test_without_difficulty_nobody_is_tilted_or_noisy() -> None:
    windows = Synthetic(people=3, windows=2, difficulty=0.0).parse(None)
    standing = windows.x[windows.y == 4].astype(np.float64)
    np.testing.assert_allclose(standing[:, :3].mean(axis=(0, 2)), [1, 0, 0], atol=0.1)


def test_walking_has_the_period_of_a_step_and_rest_has_none(small: Windows) -> None:
    energy = small.x[:, :3].astype(np.float64).std(axis=2).sum(axis=1)
    moving, resting = np.isin(small.y, [0, 1, 2]), np.isin(small.y, [3, 4, 5])
    assert energy[moving].min() > energy[resting].max()


def test_people_held_out_are_not_trivial_to_recognise() -> None:
    # A guard against a generator so easy that every method ties: the nearest training window errs often, though
    # far less than chance.
    windows = Synthetic(people=10, windows=8, length=64).parse(None)
    flat = windows.x.reshape(len(windows.x), -1)
    train, test = flat[~windows.test], flat[windows.test]
    distance = (train**2).sum(axis=1) - 2 * test @ train.T
    accuracy = (windows.y[~windows.test][distance.argmin(axis=1)] == windows.y[windows.test]).mean()
    assert 0.4 < accuracy < 0.85

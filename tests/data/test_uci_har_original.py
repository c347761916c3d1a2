"""UCI HAR's class on the real archive, from the folder that KDBENCH_DATA names."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import decimate

from kdbench.data import Prepared, Source, prepare, split
from kdbench.data._resample import resampled
from kdbench.data.uci_har import UciHar

FOLDER = Path(os.environ.get("KDBENCH_DATA") or "unset")
pytestmark = pytest.mark.skipif(
    not any((FOLDER / name).exists() for name in UciHar.archives),
    reason="KDBENCH_DATA names no folder with the UCI HAR archive",
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(UciHar(), data_dir=FOLDER, cache=tmp_path_factory.mktemp("cache"), download=False)


def test_the_windows_are_those_of_every_other_machine(prepared: Prepared) -> None:
    assert prepared.digest == "cf6cfe7e5c8f26ee2f0ad3efde14ee8f9c5d1014131d662e90ad35326113f414"


def test_people_and_classes_are_the_published_ones(prepared: Prepared) -> None:
    windows = prepared.windows
    assert windows.x.shape == (10299, 9, 128)
    assert np.bincount(windows.y[~windows.test]).tolist() == [1226, 1073, 986, 1286, 1374, 1407]
    assert np.bincount(windows.y[windows.test]).tolist() == [496, 471, 420, 491, 532, 537]
    assert np.unique(windows.person[windows.test]).tolist() == [2, 4, 9, 10, 12, 13, 18, 20, 24]
    assert len(np.unique(windows.person[~windows.test])) == 21


def test_there_are_857_unbroken_stretches_of_one_person_and_class(prepared: Prepared) -> None:
    windows = prepared.windows
    assert len(np.unique(windows.recording)) == 857
    assert len(np.unique(np.stack([windows.recording, windows.person, windows.y]), axis=1).T) == 857


def test_values_are_those_of_the_text(prepared: Prepared) -> None:
    name = next(name for name in UciHar.archives if (FOLDER / name).exists())
    with Source(FOLDER / name) as source:
        lines = source.read("test/Inertial Signals/body_gyro_y_test.txt").split(b"\r\n")
    want = np.loadtxt([line.decode() for line in lines[100:110]]).astype(np.float32)
    np.testing.assert_array_equal(prepared.windows.x[7352 + 100 : 7352 + 110, 4], want)


def test_gravity_is_one_and_the_body_without_it_is_still(prepared: Prepared) -> None:
    standing = prepared.windows.x[prepared.windows.y == 4].astype(np.float64)
    total = np.linalg.norm(standing[:, 6:].mean(axis=2), axis=1)
    assert np.median(total) == pytest.approx(1, abs=0.05)
    assert abs(standing[:, :3].mean()) < 0.01


def test_validation_holds_out_a_quarter_of_the_training_people(prepared: Prepared) -> None:
    rows = split("subject-val-v1", prepared.windows, dataset="uci_har", seed=0)
    assert np.unique(prepared.windows.person[rows.evaluation]).tolist() == [5, 6, 11, 17, 21, 23]


def test_windows_of_uci_har_at_half_their_rate_are_scipy_s(prepared: Prepared) -> None:
    windows = prepared.windows.x[::300]
    t = np.arange(128) / 50
    for x in windows.astype(np.float64):
        found = resampled(t, x.T, 25)
        other = decimate(x.T, 2, ftype="fir", axis=0)
        assert found.shape == other.shape == (64, 9)
        assert np.abs(found - other)[10:-10].max() < 0.1 * np.ptp(x)
        slow = np.abs(np.fft.rfft(x, axis=1))[:, :10].T / 2
        np.testing.assert_allclose(np.abs(np.fft.rfft(found, axis=0))[:10], slow, atol=0.03 * slow.max())

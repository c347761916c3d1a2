"""HAPT's and MotionSense's classes on the real archives, from the folder that KDBENCH_DATA names."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kdbench.data import Dataset, Prepared, Source, prepare, split
from kdbench.data.hapt import Hapt
from kdbench.data.motionsense import MotionSense

FOLDER = Path(os.environ.get("KDBENCH_DATA") or "unset")


def found(dataset: type[Dataset]) -> Path | None:
    return next((FOLDER / name for name in dataset.archives if (FOLDER / name).exists()), None)


def original(dataset: Dataset, cache: Path) -> Prepared:
    if found(type(dataset)) is None:
        pytest.skip(f"KDBENCH_DATA names no folder with the archive of {dataset.name}")
    return prepare(dataset, data_dir=FOLDER, cache=cache, download=False)


@pytest.fixture(scope="module")
def hapt(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return original(Hapt(), tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def motionsense(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return original(MotionSense(), tmp_path_factory.mktemp("cache"))


def test_hapt_s_windows_are_those_of_every_other_machine(hapt: Prepared) -> None:
    assert hapt.digest == "35fddf30865a8480b7628151be97157caffbb16862f6dfa1305aa06cbc654875"
    assert hapt.report == {}


def test_hapt_s_people_and_classes_are_the_published_ones(hapt: Prepared) -> None:
    windows = hapt.windows
    assert windows.x.shape == (7767 + 3162, 6, 128)
    assert np.bincount(windows.y[~windows.test]).tolist() == [
        *(1226, 1073, 987, 1293, 1423, 1413),
        *(47, 23, 75, 60, 90, 57),
    ]
    assert np.bincount(windows.y[windows.test]).tolist() == [496, 471, 420, 508, 556, 545, 23, 10, 32, 25, 49, 27]
    assert np.unique(windows.person[windows.test]).tolist() == [2, 4, 9, 10, 12, 13, 18, 20, 24]
    assert hapt.description.people == tuple(range(1, 31))


def test_hapt_s_labels_and_people_are_the_distributed_ones_row_by_row(hapt: Prepared) -> None:
    path = found(Hapt)
    assert path is not None
    with Source(path) as source:
        for side, is_test in (("Train", False), ("Test", True)):
            rows = hapt.windows.test == is_test
            y = np.array(source.read(f"{side}/y_{side.lower()}.txt").split(), np.int64)
            people = np.array(source.read(f"{side}/subject_id_{side.lower()}.txt").split(), np.int64)
            np.testing.assert_array_equal(hapt.windows.y[rows] + 1, y)
            np.testing.assert_array_equal(hapt.windows.person[rows], people)


def test_hapt_s_six_classes_are_a_part_of_the_twelve(hapt: Prepared, tmp_path: Path) -> None:
    six = original(Hapt(classes=6), tmp_path)
    assert len(six.description.classes) == 6
    kept = np.flatnonzero(hapt.windows.y < 6)
    np.testing.assert_array_equal(six.windows.y, hapt.windows.y[kept])
    np.testing.assert_array_equal(six.windows.x[::50], hapt.windows.x[kept[::50]])


def test_hapt_s_gravity_is_one(hapt: Prepared) -> None:
    standing = hapt.windows.x[hapt.windows.y == 4].astype(np.float64)
    assert np.median(np.linalg.norm(standing[:, :3].mean(axis=2), axis=1)) == pytest.approx(1, abs=0.05)


def test_a_partly_unpacked_hapt_gives_the_same_windows(hapt: Prepared, tmp_path: Path) -> None:
    path = found(Hapt)
    if path is None or not zipfile.is_zipfile(path):
        pytest.skip("wanted HAPT as a zip, to unpack a part of it")
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("RawData/"):
                archive.extract(name, tmp_path / "data")
    prepared = prepare(Hapt(), data_dir=tmp_path / "data", cache=tmp_path, download=False)
    assert prepared.digest == hapt.digest


ROWS = {  # of all people, as the distributor's files have them
    "downstairs": (50246, 59108, 22502),
    "upstairs": (58204, 71072, 28009),
    "sitting": (234657, 104121),
    "standing": (224816, 81611),
    "walking": (158645, 120371, 65272),
    "jogging": (104327, 29904),
}


def test_motionsense_s_windows_are_those_of_every_other_machine(motionsense: Prepared) -> None:
    assert motionsense.digest == "c32e5ec87bc5bad96847409a13ff4b5ce02b7c83bf62c93b5cbb38dd815d54a8"


def test_motionsense_s_people_rows_and_windows_are_the_published_ones(motionsense: Prepared) -> None:
    path, windows = found(MotionSense), motionsense.windows
    assert path is not None
    assert motionsense.description.people == tuple(range(1, 25))
    rows = {trial: known.rows for trial, known in MotionSense.known.trials.items()}
    assert sorted(rows.values()) == sorted(count for counts in ROWS.values() for count in counts)
    assert sum(rows.values()) == 1412865
    with Source(path) as source:
        lines = {
            (trial, person): source.read(f"{trial}/sub_{person}.csv").count(b"\n") - 1
            for trial in rows
            for person in range(1, 25)
        }
    assert {trial: sum(lines[trial, person] for person in range(1, 25)) for trial in rows} == rows
    assert len(windows.y) == sum((count - 128) // 64 + 1 for count in lines.values()) == 21539
    assert len(lines) == 360
    assert np.unique(windows.person[windows.test]).tolist() == [18, 19, 20, 21, 22, 23, 24]


def test_motionsense_s_recording_that_is_there_twice_is_on_one_side(motionsense: Prepared) -> None:
    assert motionsense.report == {"recordings found twice": ["sit_5/sub_1.csv = sit_13/sub_1.csv"]}
    windows = motionsense.windows
    assert len(np.unique(windows.recording)) == 359
    pairs, counts = np.unique(np.stack([windows.recording, windows.start]), axis=1, return_counts=True)
    (twice,) = np.unique(pairs[0, counts == 2])
    assert np.unique(windows.person[windows.recording == twice]).tolist() == [1]
    for protocol in ("subject-v1", "subject-val-v1", "leave-one-person-out"):
        rows = split(protocol, windows, dataset="motionsense", seed=0)
        sides = [set(windows.recording[side].tolist()) for side in (rows.train, rows.evaluation)]
        assert not sides[0] & sides[1]


def test_motionsense_s_gravity_is_one(motionsense: Prepared) -> None:
    standing = motionsense.windows.x[motionsense.windows.y == 3].astype(np.float64)
    assert np.median(np.linalg.norm(standing[:, :3].mean(axis=2), axis=1)) == pytest.approx(1, abs=0.05)

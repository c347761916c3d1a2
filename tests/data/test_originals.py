"""The datasets' classes on the real archives, from the folder that KDBENCH_DATA names."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kdbench.data import Dataset, Prepared, Source, prepare, split
from kdbench.data.classyglass import ClassyGlass
from kdbench.data.hapt import Hapt
from kdbench.data.motionsense import MotionSense
from kdbench.data.selfback import PLACES, SelfBack

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


@pytest.fixture(scope="module")
def selfback(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return original(SelfBack(), tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def classyglass(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return original(ClassyGlass(), tmp_path_factory.mktemp("cache"))


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


MINUTES = {  # that both places cover
    **{"downstairs": 40, "jogging": 136, "lying": 102, "sitting": 100, "standing": 103, "upstairs": 44},
    **{"walk_fast": 101, "walk_mod": 100, "walk_slow": 102},
}


@pytest.mark.slow
@pytest.mark.slow
def test_selfback_s_windows_are_those_of_every_other_machine(selfback: Prepared) -> None:
    assert selfback.digest == "5a33d3e6f7e4e448a3b3511711de4e570ac6d83e435c1009341c78883e40dcba"


@pytest.mark.slow
def test_selfback_s_people_rows_and_minutes_are_the_published_ones(selfback: Prepared) -> None:
    windows = selfback.windows
    rows = {place: sum(SelfBack.known.folders[place, name].rows for name in MINUTES) for place in PLACES}
    assert rows == {"thigh": 4936268, "wrist": 4969634}
    assert selfback.report == {
        **{"thigh rows": rows["thigh"], "wrist rows": rows["wrist"]},
        **{"thigh values at the end of the range": 1613, "wrist values at the end of the range": 25},
    }
    assert windows.x.shape == (38386, 6, 128)
    assert len(selfback.description.people) == 34
    assert np.unique(windows.person[windows.test]).tolist() == [28, 31, 35, 40, 43, 47, 50, 53, 56, 59, 62]
    assert len(np.unique(windows.recording)) == 306
    for label, (name, minutes) in enumerate(MINUTES.items()):
        assert selfback.description.classes[label] == name
        kept = windows.y == label
        last = [windows.start[kept & (windows.recording == r)].max() for r in np.unique(windows.recording[kept])]
        covered = sum(start + 128 for start in last) / 50 / 60
        assert minutes - 1.2 < covered < minutes + 0.5, f"{name}: up to 64 samples of every recording are in no window"


@pytest.mark.slow
def test_selfback_s_two_places_walk_at_one_time(selfback: Prepared) -> None:
    windows = selfback.windows
    for name, low, high in (("walk_slow", 1.3, 1.8), ("jogging", 2.2, 2.9)):
        x = windows.x[windows.y == selfback.description.classes.index(name)].astype(np.float64)
        steps = []
        for channels in (slice(0, 3), slice(3, 6)):
            power = np.abs(np.fft.rfft(x[:, channels] - x[:, channels].mean(axis=2, keepdims=True), 1024)) ** 2
            frequency = np.fft.rfftfreq(1024, 1 / 50)
            band = (frequency > 1.2) & (frequency < 3.5)
            steps.append(frequency[band][power.sum(axis=1)[:, band].argmax(axis=1)])
        assert low < np.median(steps[0]) < high
        assert abs(np.median(steps[0]) - np.median(steps[1])) < 0.12


@pytest.mark.slow
def test_selfback_s_gravity_lies_along_minus_x_of_the_thigh_of_who_stands(selfback: Prepared) -> None:
    windows = selfback.windows
    standing = windows.y == selfback.description.classes.index("standing")
    for person in selfback.description.people:
        mean = windows.x[standing & (windows.person == person), :3].mean(axis=(0, 2))
        assert mean[0] < -0.8


def test_classyglass_s_windows_are_those_of_every_other_machine(classyglass: Prepared) -> None:
    assert classyglass.digest == "3edeefbf3d8b4d50e3845926020709e1fd806dd94f5651227c83f341b53fac7a"
    assert classyglass.report == {}


def test_classyglass_s_people_rows_and_recordings_are_the_published_ones(classyglass: Prepared) -> None:
    windows = classyglass.windows
    assert sum(ClassyGlass.known.rows) == 1484286
    assert sum(ClassyGlass.known.recordings) == len(np.unique(windows.recording)) == 129
    assert {*range(1, 133)} - set(windows.recording.tolist()) == {78, 126, 129}
    assert windows.x.shape == (11407, 3, 256)
    assert classyglass.description.people == tuple(range(1, 13))
    assert np.unique(windows.person[windows.test]).tolist() == [3, 6, 9, 11]


def test_classyglass_s_sensor_is_upside_down_for_the_second_six(classyglass: Prepared) -> None:
    windows = classyglass.windows
    standing = windows.y == classyglass.description.classes.index("standing")
    for person in classyglass.description.people:
        rows = standing & (windows.person == person)
        if rows.any():
            assert np.sign(windows.x[rows, 1].mean()) == (1 if person <= 6 else -1)
            assert np.median(np.linalg.norm(windows.x[rows].mean(axis=2), axis=1)) == pytest.approx(1, abs=0.06)

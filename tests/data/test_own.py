"""A user's own data: what is read, and what is said about what cannot be."""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdbench.data import Prepared, cached, prepare, split
from kdbench.data.own import Own
from kdbench.errors import KdbenchError

ABOUT = """
name = "my_study"
rate = 50
classes = ["walking", "sitting"]
channels = [{ name = "acc_x", unit = "g" }, { name = "acc_y", unit = "g" }]
"""
SPLIT = """
[split]
test = [3]
"""
WINDOWS = """
[windows]
"""
RECORDINGS = """
[recordings]
person = "subject"
label = "activity"
length = 4
step = 2
"""

Arrays = dict[str, Any]


def arrays(**changed: Any) -> Arrays:
    """Six windows of three people."""
    x = np.arange(6 * 2 * 5, dtype=np.float64).reshape(6, 2, 5)
    return {"x": x, "y": np.array([0, 1] * 3), "person": np.array([1, 1, 2, 2, 3, 3]), **changed}


def npz(**changed: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays(**changed))
    return file.getvalue()


def rows(*runs: tuple[object, str, int], columns: str = "subject,activity,acc_x,acc_y") -> str:
    """CSV text with a run of so many rows for each person and label; every value is another."""
    lines, value = [columns], 0
    for person, label, count in runs:
        for _ in range(count):
            value += 1
            lines.append(f"{person},{label},{value},{-value}")
    return "\n".join(lines) + "\n"


RUNS = rows((1, "walking", 9), (1, "sitting", 4), (2, "sitting", 5), (2, "walking", 3), (3, "walking", 6))


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Prepared]:
    """Write files into a folder and prepare it."""

    def load(toml: str, **files: bytes | str) -> Prepared:
        folder = tmp_path / "study"
        folder.mkdir(exist_ok=True)
        for name, content in {"dataset.toml": toml, **files}.items():
            path = folder / name.replace("__", "/").replace("_csv", ".csv").replace("_npz", ".npz")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return prepare(Own(path=str(folder)), data_dir=None, cache=tmp_path / "cache", download=False)

    return load


def entries(folder: Path) -> list[Path]:
    data = folder / "cache" / "data"
    return [path for path in data.iterdir() if path.is_dir()] if data.exists() else []


def test_windows_are_as_the_arrays_have_them(load: Callable[..., Prepared]) -> None:
    prepared = load(ABOUT + SPLIT + WINDOWS, a_npz=npz())
    want = arrays()
    np.testing.assert_array_equal(prepared.windows.x, want["x"].astype(np.float32))
    assert prepared.windows.y.tolist() == [0, 1] * 3
    assert prepared.windows.person.tolist() == [1, 1, 2, 2, 3, 3]
    assert prepared.windows.test.tolist() == [False] * 4 + [True] * 2
    about = prepared.description
    assert (about.name, about.rate, about.length, about.classes) == ("my_study", 50.0, 5, ("walking", "sitting"))
    assert [(channel.name, channel.unit) for channel in about.channels] == [("acc_x", "g"), ("acc_y", "g")]
    assert about.people == (1, 2, 3)
    assert prepared.report == {"files": 1, "windows": 6}
    # It was not said which windows overlap, so those of one person count as overlapping.
    assert prepared.windows.recording.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    "changed",
    [
        {"x": np.asfortranarray(arrays()["x"])},
        {"x": arrays()["x"].astype(">f4")},
        {"x": arrays()["x"].astype(np.int16)},
        {"y": np.array(["walking", "sitting"] * 3)},
        {"y": np.array([0, 1] * 3, np.uint8)},
        {"y": np.array(["walking", "sitting"] * 3, ">U9"), "person": np.array(["1", "1", "2", "2", "3", "3"], ">U4")},
    ],
)
def test_types_and_orders_of_arrays_do_not_matter(load: Callable[..., Prepared], changed: Arrays) -> None:
    assert (
        load(ABOUT + SPLIT + WINDOWS, a_npz=npz(**changed)).digest == load(ABOUT + SPLIT + WINDOWS, a_npz=npz()).digest
    )


def test_several_files_with_names_of_their_own_recordings_and_named_people(load: Callable[..., Prepared]) -> None:
    toml = ABOUT + '[split]\ntest = ["eve"]\n[windows]\nx = "data"\nfiles = "part*.npz"\nperson = "who"\n'
    toml += 'recording = "session"\nstart = "first"\n'
    more = {"data": arrays()["x"], "session": np.array([7, 7, 7, 8, 8, 9]), "first": np.array([0, 3, 6, 0, 3, 0])}
    people = [np.array(["bob", "bob", "bob", "bob", "bob", "eve"]), np.array(["ann"] * 6)]
    parts = [npz(**more, who=who) for who in people]
    prepared = load(toml, part1_npz=parts[0], part2_npz=parts[1], other_npz=b"not one of them")
    windows = prepared.windows
    assert prepared.report == {"files": 2, "windows": 12, "people": {"1": "ann", "2": "bob", "3": "eve"}}
    assert windows.person.tolist() == [2] * 5 + [3] + [1] * 6
    assert windows.test.tolist() == [False] * 5 + [True] + [False] * 6
    assert windows.recording.tolist() == [0, 0, 0, 1, 1, 2, 3, 3, 3, 4, 4, 5]
    assert windows.start.tolist() == [0, 3, 6, 0, 3, 0] * 2


def test_recordings_are_cut_inside_runs_of_one_person_and_label(load: Callable[..., Prepared]) -> None:
    prepared = load(ABOUT + SPLIT + RECORDINGS, a_csv=RUNS)
    windows = prepared.windows
    assert windows.x[:, 0].tolist() == [
        *([1, 2, 3, 4], [3, 4, 5, 6], [5, 6, 7, 8], [10, 11, 12, 13]),
        *([14, 15, 16, 17], [22, 23, 24, 25], [24, 25, 26, 27]),
    ]
    np.testing.assert_array_equal(windows.x[:, 1], -windows.x[:, 0])
    assert windows.y.tolist() == [0, 0, 0, 1, 1, 0, 0]
    assert windows.person.tolist() == [1, 1, 1, 1, 2, 3, 3]
    assert windows.recording.tolist() == [0, 0, 0, 1, 2, 4, 4]
    assert windows.start.tolist() == [0, 2, 4, 0, 0, 0, 2]
    report = prepared.report
    assert {key: report[key] for key in ("files", "rows", "rows without a label", "runs")} == {
        "files": 1,
        "rows": 27,
        "rows without a label": 0,
        "runs": 5,
    }
    assert report["runs too short for a window"] == 1
    assert report["account"]["class"] == {
        "walking": {"in windows": 14, "change of label": 3, "rest of a run": 1},
        "sitting": {"in windows": 8, "rest of a run": 1},
    }


def test_columns_labels_and_files_go_by_the_names_that_are_given(load: Callable[..., Prepared]) -> None:
    toml = """
name = "renamed"
rate = 50
classes = ["walking", "sitting"]
channels = [{ name = "acc_x", unit = "g", column = "ax" }, { name = "acc_y", unit = "g", column = "ay" }]
[split]
test = ["p2"]
[recordings]
files = "logs/*.csv"
person = "who"
label = "what"
delimiter = ";"
labels = { W = "walking", S = "sitting" }
unlabelled = ["", "null"]
length = 2
step = 2
"""
    text = "\ufeffay; who ;ax;what;other\r\n1;p1;2;W;x\r\n3;p1;4;W;\r\n5;p1;6;null;\r\n\r\n7;p1;8;S;\r\n9;p1;10;S;\r\n"
    prepared = load(toml, logs__1_csv=text, logs__2_csv=text.replace("p1", "p2"), other_csv="nothing")
    assert prepared.windows.x.tolist() == [[[2, 4], [1, 3]], [[8, 10], [7, 9]]] * 2
    assert prepared.windows.y.tolist() == [0, 1, 0, 1]
    assert prepared.windows.test.tolist() == [False, False, True, True]
    assert prepared.report["rows without a label"] == 2
    assert prepared.report["people"] == {"1": "p1", "2": "p2"}


def timed(*times: float) -> str:
    lines = [f"{person},walking,{row},0,{time!r}" for person in (1, 3) for row, time in enumerate(times)]
    lines += [f"2,sitting,{row},0,{20 * row}" for row in range(4)]
    return "\n".join(["subject,activity,acc_x,acc_y,t", *lines]) + "\n"


@pytest.mark.parametrize(
    ("times", "more", "starts"),
    [
        ((0, 20, 40, 60, 80, 100), "", [0, 2]),
        ((0, 20, 40, 60, 100, 120), "", [0]),  # a sample is missing
        ((0, 20, 40, 60, 100, 120), "gap = 0.05", [0, 2]),
        ((0, 20, 40, 60, 0, 20), "", [0]),  # the clock was set back
        ((0, 20, 40, 60, 60, 80), "", [0]),
        ((0, 19, 41, 60, 79, 101), "", [0, 2]),
    ],
)
def test_a_pause_ends_a_run(
    load: Callable[..., Prepared], times: tuple[int, ...], more: str, starts: list[int]
) -> None:
    toml = ABOUT + SPLIT + RECORDINGS + f'time = "t"\ntime_unit = "ms"\n{more}\n'
    assert load(toml, a_csv=timed(*times)).windows.start.tolist() == [*starts * 2, 0]


def test_a_share_of_the_people_is_drawn_by_the_seed(load: Callable[..., Prepared]) -> None:
    text = rows(*((person, label, 4) for person in range(10) for label in ("walking", "sitting")))
    draws = set()
    for seed in range(8):
        windows = load(f"{ABOUT}[split]\nfraction = 0.3\nseed = {seed}\n{RECORDINGS}", a_csv=text).windows
        draws.add(tuple(np.unique(windows.person[windows.test]).tolist()))
        rows_of = split("subject-v1", windows, dataset="own", seed=0)
        assert not set(windows.person[rows_of.train].tolist()) & set(windows.person[rows_of.evaluation].tolist())
    assert all(len(draw) == 3 for draw in draws)
    assert len(draws) > 4


def test_a_drawn_share_leaves_every_class_to_training(load: Callable[..., Prepared]) -> None:
    text = rows((1, "walking", 4), (1, "sitting", 4), (2, "walking", 4))
    for seed in range(5):
        windows = load(f"{ABOUT}[split]\nfraction = 0.5\nseed = {seed}\n{RECORDINGS}", a_csv=text).windows
        assert np.unique(windows.person[windows.test]).tolist() == [2]
    with pytest.raises(KdbenchError, match="no draw of test people leaves every class"):
        load(f"{ABOUT}[split]\nfraction = 0.5\n{RECORDINGS}", a_csv=rows((1, "walking", 4), (2, "sitting", 4)))


def test_a_change_of_any_file_is_seen(load: Callable[..., Prepared], tmp_path: Path) -> None:
    first = load(ABOUT + SPLIT + RECORDINGS, a_csv=RUNS)
    assert load(ABOUT + SPLIT + RECORDINGS, a_csv=RUNS).digest == first.digest
    assert len(entries(tmp_path)) == 1
    assert load(ABOUT + SPLIT + RECORDINGS, a_csv=RUNS.replace("-1\n", "-1.5\n", 1)).digest != first.digest
    assert load(ABOUT + SPLIT + RECORDINGS.replace("step = 2", "step = 1"), a_csv=RUNS).digest != first.digest


def test_a_change_while_it_is_read_is_seen(tmp_path: Path) -> None:
    class Slow(Own):
        def parse(self, source: Any) -> Any:
            windows = super().parse(source)
            (tmp_path / "a.npz").write_bytes(npz(y=np.array([1, 0] * 3)))
            return windows

    (tmp_path / "dataset.toml").write_text(ABOUT + SPLIT + WINDOWS)
    (tmp_path / "a.npz").write_bytes(npz())
    with pytest.raises(KdbenchError, match="changed while it was read"):
        prepare(Slow(path=str(tmp_path)), data_dir=None, cache=tmp_path.parent / "elsewhere", download=False)


def test_a_relative_path_starts_from_the_current_folder(
    load: Callable[..., Prepared], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = load(ABOUT + SPLIT + WINDOWS, a_npz=npz()).digest
    monkeypatch.chdir(tmp_path)
    assert prepare(Own(path="study"), data_dir=None, cache=tmp_path, download=False).digest == digest
    assert Own(path="study").description.name == "my_study"


def test_a_zip_of_the_folder_serves_as_well(load: Callable[..., Prepared], tmp_path: Path) -> None:
    digest = load(ABOUT + SPLIT + RECORDINGS, a_csv=RUNS).digest
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        for path in (tmp_path / "study").iterdir():
            archive.write(path, f"study/{path.name}")
    assert prepare(Own(path=str(tmp_path / "study.zip")), data_dir=None, cache=tmp_path).digest == digest


@pytest.mark.parametrize(("path", "words"), [("", "path is missing"), ("nowhere", "does not exist"), (".", "holds no")])
def test_a_path_that_leads_nowhere_is_refused(
    path: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(KdbenchError, match=words):
        prepare(Own(path=path), data_dir=None, cache=tmp_path, download=False)


def changed(old: str, new: str) -> str:
    assert old in ABOUT + SPLIT + RECORDINGS
    return (ABOUT + SPLIT + RECORDINGS).replace(old, new)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        (changed('name = "my_study"', "name ="), "dataset.toml is not valid TOML: Invalid value (at line 2, column 7)"),
        (changed('name = "my_study"', ""), "dataset.toml: name is missing, wanted a text"),
        (changed('"my_study"', '"my\\nstudy"'), "dataset.toml: name is 'my\\nstudy', wanted a text of one line"),
        (changed('name = "my_study"', 'names = "x"'), "no 'names' in keys of dataset.toml (did you mean 'name'?)"),
        (changed("rate = 50", 'rate = "50"'), "rate is '50', wanted a number from 1e-06 to 1e+06"),
        (changed("rate = 50", "rate = nan"), "rate is nan, wanted a number"),
        (changed("rate = 50", "rate = true"), "rate is True, wanted a number"),
        (changed('["walking", "sitting"]', '["walking"]'), "wanted one channel and two classes or more"),
        (changed('["walking", "sitting"]', '["a", "b", "a"]'), "classes names 'a' twice"),
        (changed('["walking", "sitting"]', '["a", 1]'), "classes is 1, wanted a list of texts"),
        (changed('name = "acc_y"', 'name = "acc_x"'), "channels names 'acc_x' twice"),
        (changed('name = "acc_y", unit = "g"', 'name = "acc_y"'), "channels[1].unit is missing, wanted a text"),
        (changed('name = "acc_y", unit = "g"', 'name = "a", unt = "g"'), "no 'unt' in keys of channels[1] (did you"),
        (changed("[split]\ntest = [3]", ""), "split is missing, wanted a table"),
        (changed("test = [3]", ""), "split: wanted either test, a list of people, or fraction"),
        (changed("test = [3]", "test = [3]\nfraction = 0.3"), "split: wanted either test"),
        (changed("test = [3]", "fraction = 1.0"), "split.fraction is 1.0, wanted a number from"),
        (changed("test = [3]", "fraction = 0"), "split.fraction is 0, wanted a number from"),
        (changed("test = [3]", "test = [3]\nseed = 1"), "split: seed draws a fraction; where test names the people"),
        (changed("test = [3]", f"test = [{2**63}]"), "split.test is 9223372036854775808, wanted a list of whole"),
        (
            changed("rate = 50", "rate = 1" + 400 * "0"),
            "rate is 1000000000000000000000000000000000000000, wanted",
        ),
        (changed("rate = 50", "rate = 1" + 5000 * "0"), "dataset.toml is not valid TOML: Exceeds the limit"),
        (changed("rate = 50", "rate = 0x1" + 5000 * "0"), "rate is a number too long to be shown, wanted a number"),
        (changed("rate = 50", "rate = " + 3000 * "["), "dataset.toml is not valid TOML: maximum recursion depth"),
        (changed('["walking", "sitting"]', '["walking", ""]'), "classes is '', wanted a list of names"),
        (changed('["walking", "sitting"]', '["walking", "sitting", "running"]'), "class 'running' has no window"),
        (
            changed('{ name = "acc_y",', '{ name = "acc_y", column = "acc_x",'),
            "of channels names 'acc_x' twice",
        ),
        (changed("step = 2", 'step = 2\ntime_unit = "ms"'), "recordings: time_unit wants time, the name of a column"),
        (changed("step = 2", "step = 2\ngap = 1"), "recordings: gap wants time, the name of a column"),
        (changed("step = 2", 'step = 2\ntime = "t"\ngap = 0'), "recordings.gap is 0, wanted a number from"),
        (changed('"subject"', '"activity"'), "recordings: person and label name one column, 'activity'; wanted two"),
        (
            changed("length = 4", "length = 6").replace("[3]", "[2]"),
            "test person 2 has no window; its longest run has 5 samples, wanted 6; 8 rows lost by changes of label",
        ),
        (changed("test = [3]", "test = [4]"), "dataset.toml: split: no '4' in the people; known: 1, 2, 3"),
        (changed("test = [3]", "test = []"), "test names 0 of 3 people"),
        (changed("test = [3]", "test = [1, 2, 3]"), "test names 3 of 3 people; wanted some, and some left"),
        (changed("test = [3]", "test = [true]"), "split.test is True, wanted a list of whole numbers or texts"),
        (ABOUT + SPLIT, "wanted either a table [windows] or a table [recordings]"),
        (ABOUT + SPLIT + WINDOWS + RECORDINGS, "wanted either a table [windows] or a table [recordings]"),
        (changed("step = 2", "step = 0"), "recordings.step is 0, wanted a whole number from 1"),
        (changed("step = 2", "step = 2.5"), "recordings.step is 2.5, wanted a whole number"),
        (changed("step = 2", ""), "recordings.step is missing, wanted a whole number"),
        (changed("step = 2", 'step = 2\ntime_unit = "min"'), "recordings.time_unit: no 'min' in units"),
        (changed("step = 2", 'step = 2\ndelimiter = ""'), "recordings.delimiter is '', wanted one character"),
        (changed("step = 2", 'step = 2\nlabels = { W = "walk" }'), "recordings.labels: no 'walk' in classes (did you"),
        (changed("step = 2", 'step = 2\nfiles = "*.txt"'), "holds no file '*.txt' beside dataset.toml"),
        (changed("length = 4", "length = 40"), "no run of one person and label has 40 samples"),
        (changed('label = "activity"', 'label = "activty"'), "a.csv line 1: no 'activty' in its columns (did you mean"),
        (ABOUT + SPLIT + WINDOWS + 'x = ["a"]', "windows.x is ['a'], wanted a text"),
        (ABOUT + SPLIT + WINDOWS + 'start = "first"', "windows: wanted both recording and start, or neither"),
    ],
)
def test_a_wrong_description_is_refused_in_one_line(
    load: Callable[..., Prepared], tmp_path: Path, toml: str, words: str
) -> None:
    with pytest.raises(KdbenchError) as caught:
        load(toml, a_csv=RUNS, a_npz=npz())
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert entries(tmp_path) == []


WRITTEN = [
    *(("1", "01"), ("1", " 1 "), ("1", "1.0"), ("-1", "-01"), ("eve", " eve")),
    *(("jos\u00e9", "jose\u0301"), ("1", "\uff11")),
]


@pytest.mark.parametrize(("one", "other"), WRITTEN)
def test_a_person_is_one_however_written_and_whatever_the_others_are_called(
    load: Callable[..., Prepared], one: str, other: str
) -> None:
    text = rows((one, "walking", 4), (other, "sitting", 4), ("bob", "sitting", 4))
    windows = load(ABOUT + f'[split]\ntest = ["{other}"]\n' + RECORDINGS, a_csv=text).windows
    assert windows.test.tolist() == [True, True, False]
    assert len(set(windows.person.tolist())) == 2
    more = {"x": arrays()["x"] + 100, "y": np.array([0, 1] * 3)}
    parts = [npz(person=np.array([one, "bob"] * 3)), npz(**more, person=np.array([other] * 6))]
    windows = load(ABOUT + f'[split]\ntest = ["{one}"]\n' + WINDOWS, a_npz=parts[0], b_npz=parts[1]).windows
    assert windows.test.tolist() == [True, False] * 3 + [True] * 6


def test_numbers_and_texts_name_the_same_people_in_all_files(load: Callable[..., Prepared]) -> None:
    numbers, texts = npz(), npz(x=arrays()["x"] + 100, person=np.array(["01", "2", "3"] * 2))
    prepared = load(ABOUT + SPLIT + WINDOWS, a_npz=numbers, b_npz=texts)
    assert prepared.windows.person.tolist() == [1, 1, 2, 2, 3, 3, 1, 2, 3, 1, 2, 3]
    assert "people" not in prepared.report
    assert prepared.person(3) == "3"


def test_names_that_differ_in_case_alone_are_refused_with_both_lines(load: Callable[..., Prepared]) -> None:
    text = rows(("eve", "walking", 4), ("bob", "sitting", 4), ("Eve", "sitting", 4))
    words = r"a\.csv line 10 has person 'Eve', but .*a\.csv line 2 'eve'; wanted one spelling of a person"
    with pytest.raises(KdbenchError, match=words):
        load(ABOUT + '[split]\ntest = ["eve"]\n' + RECORDINGS, a_csv=text)


def test_what_a_run_inside_the_folder_leaves_there_is_not_read(load: Callable[..., Prepared], tmp_path: Path) -> None:
    digest = load(ABOUT + SPLIT + RECORDINGS, a_csv=RUNS).digest
    left = {"runs/cell/curve.csv": "epoch,loss\n", ".ipynb_checkpoints/a-checkpoint.csv": RUNS, ".hidden.csv": "x"}
    for name, content in {**left, "video.mp4": "large"}.items():
        (tmp_path / "study" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "study" / name).write_text(content)
    found = cached(Own(path=str(tmp_path / "study")), data_dir=None, cache=tmp_path / "cache")
    assert found is not None, "what is not read does not matter for the cache"
    assert found.digest == digest
    assert load(ABOUT + SPLIT + RECORDINGS + 'files = "**/a*.csv"', a_csv=RUNS).report["files"] == 1


def test_folders_are_gone_into_where_the_pattern_says_so(load: Callable[..., Prepared]) -> None:
    one, two, three = (rows((person, "walking", 4), (person, "sitting", 4 + person)) for person in (1, 2, 3))
    parts = {"a_csv": one, "day__b_csv": two, "day__in__c_csv": three}
    for pattern, people in (("**/*.csv", 3), ("day/**/*.csv", 2), ("day/**", 2), ("*/?.csv", 1), ("**/[bc].csv", 2)):
        toml = ABOUT + SPLIT.replace("3", "2") + RECORDINGS + f'files = "{pattern}"\n'
        if people > 1:
            assert load(toml, **parts).report["files"] == people
        else:
            with pytest.raises(KdbenchError, match="wants two people or more"):
                load(toml, **parts)


def test_files_that_are_in_folders_only_are_pointed_at(load: Callable[..., Prepared]) -> None:
    words = "no file '*.csv' beside dataset.toml; day/a.csv is in a folder, which files = '**/*.csv' goes into"
    with pytest.raises(KdbenchError, match=re.escape(words)):
        load(ABOUT + SPLIT + RECORDINGS, day__a_csv=RUNS)


def test_a_suffix_may_be_written_in_capitals(load: Callable[..., Prepared]) -> None:
    assert load(ABOUT + SPLIT + RECORDINGS, **{"A.CSV": RUNS}).report["files"] == 1


@pytest.mark.parametrize("content", [b"", b"dataset,protocol\nown,subject-v1\n", b"\xff\xfe", b'"'])
def test_another_table_beside_the_recordings_is_named_with_what_to_do(
    load: Callable[..., Prepared], content: bytes
) -> None:
    with pytest.raises(KdbenchError, match=r"splits\.csv line 1.*; if it is none of the recordings, narrow files in d"):
        load(ABOUT + SPLIT + RECORDINGS, a_csv=RUNS, splits_csv=content)
    with pytest.raises(KdbenchError, match=r"splits\.npz .*; if it is none of the windows, narrow files in dataset"):
        load(ABOUT + SPLIT + WINDOWS, a_npz=npz(), splits_npz=content)


def test_classes_of_test_people_alone_are_reported(load: Callable[..., Prepared]) -> None:
    report = load(ABOUT + SPLIT + RECORDINGS, a_csv=rows((1, "walking", 4), (3, "sitting", 4))).report
    assert report["classes of test people alone"] == ["sitting"]


def test_a_window_of_two_people_is_refused_with_both_names_and_files(load: Callable[..., Prepared]) -> None:
    toml = ABOUT + '[split]\ntest = ["eve"]\n' + RECORDINGS.replace("length = 4", "length = 16")
    one, text = rows(("ann", "walking", 20), ("bob", "sitting", 20)), rows(("eve", "walking", 20))
    words = "a.csv of 'ann' and b.csv of 'eve' hold 20 rows that are the same; wanted them under one person"
    with pytest.raises(KdbenchError, match=re.escape(words)):
        load(toml, a_csv=one, b_csv=text)
    assert len(load(toml, a_csv=one, b_csv=text.replace(",1", ",1.5")).windows.y) == 9


def test_a_window_of_two_people_in_arrays_is_refused(load: Callable[..., Prepared]) -> None:
    x = np.arange(6 * 2 * 16, dtype=np.float64).reshape(6, 2, 16)
    for same in ([0, 1, 2, 3, 4, 5], [0, 0, 2, 3, 4, 5]):
        assert len(load(ABOUT + SPLIT + WINDOWS, a_npz=npz(x=x[same])).windows.y) == 6
    with pytest.raises(KdbenchError, match="the windows of 1 and the windows of 3 hold one window"):
        load(ABOUT + SPLIT + WINDOWS, a_npz=npz(x=x[[0, 1, 2, 3, 4, 0]]))


def test_sensors_at_rest_may_say_the_same_of_two_people(load: Callable[..., Prepared]) -> None:
    x = np.zeros((6, 2, 64))
    x[:, 0, 5:8] = [1, 2, 3]
    assert len(load(ABOUT + SPLIT + WINDOWS, a_npz=npz(x=x)).windows.y) == 6


def test_a_recording_of_two_people_is_named_by_file_and_number(load: Callable[..., Prepared]) -> None:
    toml = ABOUT + SPLIT + WINDOWS + 'recording = "session"\nstart = "first"\n'
    more = {"session": np.array([7, 7, 7, 8, 8, 8]), "first": np.array([0, 5, 10] * 2)}
    with pytest.raises(KdbenchError, match=r"a\.npz recording 7 is of 1 and of 2; wanted one person"):
        load(toml, a_npz=npz(**more))
    more = {"session": np.arange(6), "first": np.array([0, 0, 0, -5, 0, 0])}
    with pytest.raises(KdbenchError, match=r"a\.npz: array 'first' is -5 in row 3, counted from 0; wanted 0 or later"):
        load(toml, a_npz=npz(**more))


def test_a_truncated_zip_of_one_s_own_is_not_to_be_fetched_again(tmp_path: Path) -> None:
    path = tmp_path / "study.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("dataset.toml", ABOUT + SPLIT + RECORDINGS)
    path.write_bytes(path.read_bytes()[:-30])
    own = Own(path=str(path))
    with pytest.raises(KdbenchError, match="is a truncated archive; check it"):
        prepare(own, data_dir=None, cache=tmp_path)
    with pytest.raises(KdbenchError, match="is a truncated archive; check it"):
        assert own.description is None


HEADERS = [
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (6, 2, 5",
    b"   {\n'descr':\n  1}",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': 5}",
    b"{1: 2, 'descr': '<f8'}",
    b"{[]: 1}",
    b"(" * 4000,
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (L, 2)}",
    b"{'descr': [], 'fortran_order': False, 'shape': (3,)}",
    b"{'descr': '|b1', 'fortran_order': False, 'shape': (False, True, 3)}",
    b"{'descr': '<U0', 'fortran_order': False, 'shape': (3,)}",
    b"{'descr': 'nonsense', 'fortran_order': False, 'shape': (3,)}",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 0)}",
    b'"""',
    b"\x00",
]


@pytest.mark.parametrize("header", HEADERS)
def test_a_crafted_header_of_an_array_is_refused_in_one_line(load: Callable[..., Prepared], header: bytes) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(KdbenchError, match=r"a\.npz: array 'x' has ") as caught:
        load(ABOUT + SPLIT + WINDOWS, a_npz=file.getvalue())
    assert str(caught.value).isprintable()


def test_numbers_that_are_no_characters_are_refused(load: Callable[..., Prepared]) -> None:
    good = npz(person=np.array(["\U0010fffe"] * 6))
    names = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as before, zipfile.ZipFile(names, "w") as after:
        for name in before.namelist():
            after.writestr(name, before.read(name).replace(b"\xfe\xff\x10\x00", b"\xfe\xff\xff\xff"))
    with pytest.raises(KdbenchError, match=r"a\.npz: array 'person' holds no text"):
        load(ABOUT + SPLIT + WINDOWS, a_npz=names.getvalue())


def test_a_member_without_a_suffix_is_no_array(load: Callable[..., Prepared]) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x", b"")
    with pytest.raises(KdbenchError, match=r"no 'x' in the arrays of a\.npz"):
        load(ABOUT + SPLIT + WINDOWS, a_npz=file.getvalue())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("1,walking,2,-2", "1,walking,2", "a.csv line 3 has 3 fields, wanted 4"),
        ("1,walking,2,-2", "1,walking,,-2", "a.csv line 3 holds '' in column 'acc_x', wanted a number"),
        ("1,walking,2,-2", "1,walking,nan,-2", "a.csv line 3 holds 'nan' in column 'acc_x', a value that is not"),
        ("1,walking,2,-2", "1,walking,2,-1e40", "a.csv line 3 holds '-1e40' in column 'acc_y', a value that is not"),
        ("1,walking,2,-2", "1,walking,1_0,-2", "a.csv line 3 holds '1_0' in column 'acc_x', wanted a number"),
        ("1,walking,2,-2", "1,walkng,2,-2", "line 3 has label 'walkng': no 'walkng' in classes (did you mean 'walk"),
        ("1,walking,2,-2", ",walking,2,-2", "a.csv line 3 has person '', wanted a name or a number"),
        ("1,walking,2,-2", '1,"walking,2,-2', "a.csv line 28 is not valid CSV (unexpected end of data)"),
        ("1,walking,2,-2", "1,walking,\x1b[2J,-2", "line 3 holds '\\x1b[2J' in column 'acc_x'"),
        ("acc_y", "acc_z", "a.csv line 1: no 'acc_y' in its columns (did you mean 'acc_z'?)"),
        ("subject", "activity", "a.csv line 1: no 'subject' in its columns"),
        ("subject,", "activity,subject,", "a.csv line 1: names column 'activity' twice"),
    ],
)
def test_a_wrong_recording_is_named_by_file_and_line(
    load: Callable[..., Prepared], tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert old in RUNS
    with pytest.raises(KdbenchError) as caught:
        load(ABOUT + SPLIT + RECORDINGS, a_csv=RUNS.replace(old, new, 1))
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert entries(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "a.csv line 1 is empty, wanted names of columns"),
        (b"subject,activity,acc_x,acc_y\n1,walking,1,\xff\n", "a.csv line 2 is not UTF-8 text"),
        (b"subject,activity,acc_x,acc_y\n", "no run of one person and label has 4 samples"),
        (rows((1, "walking", 9)).encode(), "split wants two people or more with windows, found 1"),
        (b"\x00" * 10, "a.csv line 1"),
    ],
)
def test_a_recording_without_anything_to_read_is_refused(
    load: Callable[..., Prepared], content: bytes, words: str
) -> None:
    with pytest.raises(KdbenchError) as caught:
        load(ABOUT + SPLIT + RECORDINGS, a_csv=content)
    assert words in str(caught.value)


@pytest.mark.parametrize("unit", ["s", "us"])
def test_times_that_disagree_with_the_rate_are_refused(load: Callable[..., Prepared], unit: str) -> None:
    toml = ABOUT + SPLIT + RECORDINGS + f'time = "t"\ntime_unit = "{unit}"\ngap = 1e6\n'
    with pytest.raises(KdbenchError, match=f"rate is 50 Hz, but column 't' in {unit} gives"):
        load(toml, a_csv=timed(0, 20, 40, 60, 80))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"x": np.zeros((6, 5, 2))}, "a.npz: array 'x' has shape (6, 5, 2), wanted (N, 2, T): window, channel, time"),
        ({"x": np.zeros((6, 2))}, "array 'x' has shape (6, 2)"),
        ({"x": np.zeros((0, 2, 5))}, "array 'x' has shape (0, 2, 5)"),
        ({"x": np.zeros((6, 2, 5), complex)}, "array 'x' is of type complex128, wanted numbers"),
        ({"x": np.zeros((6, 2, 5), bool)}, "array 'x' is of type bool, wanted numbers"),
        (
            {"x": arrays()["x"] * [[[1], [np.nan]]]},
            "array 'x' holds a value that is not finite in row 0, counted from 0",
        ),
        ({"x": arrays()["x"] * 1e38}, "array 'x' holds a value that is not finite in row "),
        ({"y": np.array([0, 1, 2] * 2)}, "array 'y' is 2 in row 2, counted from 0; wanted 0 to 1"),
        ({"y": np.array([0, -1] * 3)}, "array 'y' is -1 in row 1"),
        ({"y": np.array([0.0, 1] * 3)}, "array 'y' has shape (6,) and type float64, wanted (6,) whole numbers"),
        ({"y": np.array([0, 1])}, "array 'y' has shape (2,)"),
        (
            {"y": np.array(["walking", "siting"] * 3)},
            "array 'y' row 1, counted from 0: no 'siting' in classes (did you",
        ),
        ({"y": np.array([None] * 6)}, "array 'y' has"),
        ({"person": np.array([1, 2])}, "array 'person' has shape (2,)"),
        (
            {"person": np.array([1, 2**63] * 3, np.uint64)},
            "array 'person' is 9223372036854775808 in row 1, counted",
        ),
        (
            {"person": np.array(["a", " "] * 3)},
            "array 'person' row 1, counted from 0, has person ' ', wanted a name",
        ),
        ({"person": np.array(["a", "\x1b[2J"] * 3)}, "array 'person' row 1, counted from 0, has person '\\x1b[2J'"),
        (
            {"person": np.array(["ann", "Ann", "bob"] * 2)},
            "array 'person' row 1, counted from 0, has person 'Ann',",
        ),
        ({"person": np.array(["a"])}, "array 'person' has shape (1,), wanted (6,)"),
    ],
)
def test_a_wrong_array_is_named_by_file_and_row(
    load: Callable[..., Prepared], tmp_path: Path, changes: Arrays, words: str
) -> None:
    with pytest.raises(KdbenchError) as caught:
        load(ABOUT + SPLIT + WINDOWS, a_npz=npz(**changes))
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert entries(tmp_path) == []


def test_arrays_that_are_not_there_or_damaged_are_named(load: Callable[..., Prepared]) -> None:
    with pytest.raises(KdbenchError, match=r"no 'X' in the arrays of a\.npz \(did you mean 'x'\?\); known: person, x"):
        load(ABOUT + SPLIT + WINDOWS + 'x = "X"', a_npz=npz())
    with pytest.raises(KdbenchError, match=r"a\.npz is not an \.npz file"):
        load(ABOUT + SPLIT + WINDOWS, a_npz=b"nothing")
    good = npz()
    for position in range(0, len(good), 37):
        content = good[:position] + bytes([good[position] ^ 0x41]) + good[position + 1 :]
        try:
            prepared = load(ABOUT + SPLIT + WINDOWS, a_npz=content)
        except KdbenchError as error:
            assert str(error).isprintable()  # noqa: PT017
        else:
            np.testing.assert_array_equal(prepared.windows.x, arrays()["x"].astype(np.float32))


def test_an_array_that_declares_more_than_it_holds_is_refused(load: Callable[..., Prepared]) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2, 5)})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", header.getvalue())
    with pytest.raises(KdbenchError, match=r"array 'x' has 0 bytes, wanted those of float64 \(1099511627776, 2, 5\)"):
        load(ABOUT + SPLIT + WINDOWS, a_npz=file.getvalue())


FOLDER = Path(os.environ.get("KDBENCH_DATA") or "unset")
ARCHIVE = FOLDER / "WISDM_ar_v1.1_AdaTime_windows.zip"
PAGE = Path(__file__).parents[2].joinpath("docs", "own-data.md").read_text(encoding="utf-8")
CSV_TOML, WISDM_TOML = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
(JOINING,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_documented_description_of_recordings_reads_them(load: Callable[..., Prepared]) -> None:
    text = "subject,activity,milliseconds,acc_x,acc_y,acc_z\n" + "".join(
        f"{person},{label},{20 * row},{row},{person},1\n"
        for person in range(10)
        for label in ("walking", "sitting")
        for row in range(192)
    )
    windows = load(CSV_TOML, a_csv=text).windows
    assert windows.x.shape == (10 * 2 * 2, 3, 128)
    assert windows.start.tolist() == [0, 64] * 20
    assert len(np.unique(windows.person[windows.test])) == 3


@pytest.mark.skipif(not ARCHIVE.exists(), reason="KDBENCH_DATA names no folder with the WISDM windows")
def test_the_worked_example_brings_the_wisdm_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = ARCHIVE.absolute()
    monkeypatch.chdir(tmp_path)
    Path(ARCHIVE.name).symlink_to(archive)
    exec(compile(JOINING, "docs/own-data.md", "exec"), {})
    Path("wisdm_windows", "dataset.toml").write_text(WISDM_TOML)
    prepared = prepare(Own(path="wisdm_windows"), data_dir=None, cache=tmp_path, download=False)
    assert prepared.description.title == "WISDM windows, per-user standardised"
    assert prepared.windows.x.shape == (7292, 3, 128)
    assert np.bincount(prepared.windows.y).tolist() == [661, 2287, 391, 316, 810, 2827]
    assert prepared.description.people == tuple(range(1, 37))
    assert np.unique(prepared.windows.person[prepared.windows.test]).tolist() == list(range(27, 37))
    for protocol in ("subject-v1", "subject-val-v1"):
        rows_of = split(protocol, prepared.windows, dataset="own", seed=0)
        assert len(np.unique(prepared.windows.y[rows_of.train])) == 6

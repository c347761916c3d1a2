"""The commands that list, fetch, verify and show datasets, and who is on which side of a split."""

from __future__ import annotations

import csv
import io
import os
import tarfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdbench.catalog.find import DATASETS
from kdbench.catalog.names import DATASET_NAMES
from kdbench.data import PROTOCOLS, protocol

SMALL = "synthetic(people=5, windows=4, length=32)"
PNG = b"\x89PNG\r\n\x1a\n"
ABOUT = """
name = "my_study"
rate = 50
classes = ["walking", "sitting"]
channels = [{ name = "acc_x", unit = "g" }, { name = "acc_y", unit = "g" }]
[split]
test = [3]
[windows]
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Own data: the test person alone sits."""
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "dataset.toml").write_text(ABOUT)
    x = np.arange(6 * 2 * 16, dtype=np.float64).reshape(6, 2, 16)
    np.savez(folder / "windows.npz", x=x, y=np.array([0, 0, 0, 0, 0, 1]), person=np.array([1, 1, 2, 2, 3, 3]))
    return folder


@pytest.fixture
def own(study: Path) -> str:
    return f"own(path={study})"


def archive(name: str) -> str:
    """What a dataset's archive is called; nothing where it has none."""
    return next(iter(DATASETS.get(name).archives), "")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder in which every original's archive is, under its name, something else."""
    folder = tmp_path / "archives"
    folder.mkdir()
    for name in filter(None, map(archive, DATASET_NAMES.all())):
        (folder / name).write_bytes(b"PK\x03\x04 torn")
    return folder


@pytest.fixture
def named(study: Path) -> str:
    """The same of people with names."""
    with np.load(study / "windows.npz") as arrays:
        names = np.array(["", "bob", 'ann, "the first"', "eve"])[arrays["person"]]
        np.savez(study / "windows.npz", x=arrays["x"], y=arrays["y"], person=names)
    about = (study / "dataset.toml").read_text()
    (study / "dataset.toml").write_text(about.replace("[3]", '["eve"]'))
    return f"own(path={study})"


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_dataset_is_listed_with_whether_it_is_here(call: Any) -> None:
    ended = call("data", "list")
    assert ended.code == 0
    said = {line.split()[0]: line for line in ended.out.splitlines()}
    assert said.keys() == set(DATASET_NAMES.all())
    assert "here: 3360 training and 1440 test windows, 6 x 128 at 50 Hz, 8 classes" in said["synthetic"]
    assert "not here; `kdbench data fetch uci_har`, or its original archive in --data-dir" in said["uci_har"]
    assert "own(path=FOLDER) is a folder of yours; `kdbench show own` tells what to put there" in said["own"]


def test_damaged_archives_and_a_folder_that_is_none_do_not_stop_the_list(
    call: Any, stand_in: Path, tmp_path: Path
) -> None:
    for folder, words in ((stand_in, "UCI HAR Dataset.zip"), (tmp_path / "nowhere", "does not exist")):
        ended = call("data", "list", "--data-dir", folder)
        assert (ended.code, ended.err, len(ended.out.splitlines())) == (0, "", len(DATASET_NAMES.all()))
        assert words in ended.out


def test_an_archive_is_listed_as_here_without_being_parsed(call: Any, stand_in: Path) -> None:
    said = call("data", "list", "--data-dir", stand_in).out
    for name, file in (("hapt", "HAPT Data Set.zip"), ("wisdm", "WISDM_ar_latest.tar.gz")):
        assert f"{stand_in / file} is here, not parsed yet; `kdbench data fetch {name}` does" in said


def test_a_dataset_that_breaks_does_not_stop_the_list(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("not today")

    monkeypatch.setattr("kdbench.data.hapt.Hapt.__init__", broken)
    ended = call("data", "list")
    assert ended.code == 0
    assert "broken: RuntimeError('not today')" in ended.out
    assert len(ended.out.splitlines()) == len(DATASET_NAMES.all())


def test_fetch_makes_several_ready(call: Any, own: str) -> None:
    ended = call("data", "fetch", SMALL, own)
    assert (ended.code, ended.err) == (0, "")
    first, second = ended.out.splitlines()
    assert first.startswith(f"{SMALL}: ready, digest ")
    assert second.startswith(f"{own}: ready, digest ")


def test_verify_parses_again_and_compares(call: Any, own: str) -> None:
    ended = call("data", "verify", SMALL, own)
    assert (ended.code, ended.err) == (0, "")
    assert [line.split(": ")[1].split(",")[0] for line in ended.out.splitlines()] == ["as it should be"] * 2


def test_verify_tells_that_the_original_gives_something_else(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("data", "fetch", SMALL).code == 0
    parse = "kdbench.data.synthetic.Synthetic.parse"
    from kdbench.data.synthetic import Synthetic

    original = Synthetic.parse

    def other(self: Synthetic, source: None) -> Any:
        windows = original(self, source)
        windows.x[0, 0, 0] += 1
        return windows

    monkeypatch.setattr(parse, other)
    ended = call("data", "verify", SMALL)
    assert ended.code == 2
    assert "the original gives digest" in ended.error


def test_verify_tells_of_another_description_or_report(
    call: Any, own: str, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kdbench.data.own import Own

    assert call("data", "fetch", own).code == 0
    parse = Own.parse
    for part, change in (("_report", {"files": 2}), ("_described", None)):

        def other(self: Own, source: Any, part: str = part, change: Any = change) -> Any:
            windows = parse(self, source)
            setattr(self, part, change or replace(self.description, classes=("sitting", "walking")))
            return windows

        monkeypatch.setattr("kdbench.data.own.Own.parse", other)
        ended = call("data", "verify", own)
        assert ended.code == 2
        what = "report" if change else "description"
        assert f"the original gives another {what} than the cache has; remove " in ended.error


def test_verify_tells_whether_the_archive_is_the_known_one(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kdbench.data import git_id
    from kdbench.data.wisdm import Original, Wisdm

    people = (1, 2, 27)
    runs = [(who, name, row) for who in people for name in Wisdm().description.classes for row in range(90)]
    lines = [f"{who},{name.capitalize()},{row},{who}.5,{row},0;\n" for who, name, row in runs]
    folder = tmp_path / "archives"
    folder.mkdir()
    with tarfile.open(folder / "WISDM_ar_latest.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("WISDM_ar_v1.1/WISDM_ar_v1.1_raw.txt")
        info.size = len("".join(lines))
        tar.addfile(info, io.BytesIO("".join(lines).encode()))
    monkeypatch.setattr(Wisdm, "known", Original(people, dict.fromkeys(Wisdm().description.classes, 270), ()))
    here = ("--data-dir", folder)
    assert call("data", "fetch", "wisdm", *here).code == 0
    said = call("data", "verify", "wisdm", *here).out
    assert said.endswith(f"; {folder / 'WISDM_ar_latest.tar.gz'} is not byte for byte the known archive\n")
    monkeypatch.setattr(Wisdm, "blobs", (git_id((folder / "WISDM_ar_latest.tar.gz").read_bytes()),))
    assert call("data", "verify", "wisdm", *here).out.endswith(".tar.gz is byte for byte the known archive\n")


def test_show_counts_windows_by_class_side_and_person(call: Any, own: str) -> None:
    ended = call("data", "show", own)
    assert (ended.code, ended.err) == (0, "")
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["6", "windows", "of", "2", "x", "16", "samples", "at", "50", "Hz"] in lines
    assert ["walking", "4", "1"] in lines
    assert ["sitting", "0", "1"] in lines
    assert ["all", "4", "2"] in lines
    assert ["3", "test", "1", "1"] in lines
    assert "classes of test people alone: ['sitting']" in ended.out
    assert "page:" not in ended.out


@pytest.mark.parametrize("name", ["synthetic", "own"])
def test_show_draws_a_png_that_is_one(name: str, call: Any, own: str, tmp_path: Path) -> None:
    from matplotlib.image import imread

    path = tmp_path / "windows.png"
    ended = call("data", "show", own if name == "own" else SMALL, "-o", path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith(f"wrote {path}\n")
    assert path.read_bytes().startswith(PNG)
    assert min(imread(path).shape[:2]) > 100
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_splits_have_every_window_once_and_no_person_on_both_sides(name: str, call: Any) -> None:
    ended = call("data", "splits", SMALL, "--protocol", name, "--seed", "3")
    assert (ended.code, ended.err) == (0, "")
    folds: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in rows(ended.out):
        assert (row["dataset"], row["protocol"], row["seed"]) == ("synthetic", name, "3")
        assert int(row["windows"]) > 0
        assert len(row["rows"].split()) == (int(row["windows"]) if protocol(name).leaky else 0)
        folds[row["fold"]][row["side"]].add(row["person"])
    sides = {"training", protocol(name).side}
    assert all(fold.keys() == sides for fold in folds.values())
    if not protocol(name).leaky:
        assert not any(set.intersection(*fold.values()) for fold in folds.values())
    if protocol(name).every_fold:
        judged = sorted(person for fold in folds.values() for person in fold["test"])
        assert judged == [str(person) for person in range(5)], "each is judged once"


def test_splits_name_the_dataset_its_windows_and_its_people(call: Any, named: str) -> None:
    found = rows(call("data", "splits", named).out)
    assert {row["dataset"] for row in found} == {"my_study"}
    assert {row["person"]: row["side"] for row in found} == {
        'ann, "the first"': "training",
        "bob": "training",
        "eve": "test",
    }
    (digest,) = {row["digest"] for row in found}
    assert f"digest {digest[:16]}" in call("data", "fetch", named).out
    lines = [line.split() for line in call("data", "show", named).out.splitlines()]
    assert ["eve", "test", "1", "1"] in lines


def test_a_leaky_split_can_be_recovered_from_what_is_printed(call: Any, named: str) -> None:
    found = rows(call("data", "splits", named, "--protocol", "random-leaky-v1").out)
    listed = sorted(int(row) for line in found for row in line["rows"].split())
    assert listed == list(range(6))
    assert sum(int(line["windows"]) for line in found if line["side"] == "test") == 1


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("show", "uci_hr"), "no 'uci_hr' in datasets (did you mean 'uci_har'?)"),
        (("fetch", "synthetic", "nope"), "no 'nope' in datasets"),
        (("verify", "nope"), "no 'nope' in datasets"),
        (("splits", "nope"), "no 'nope' in datasets"),
        (("show", "synthetic("), "is not of the form name or name(key=value, ...)"),
        (("show", "synthetic(peple=4)"), "did you mean 'people'?"),
        (("fetch", "synthetic(people=many)"), "people='many' is not a whole number"),
        (("verify", "synthetic(people=-1)"), "people=-1 is outside"),
        (("show", "own"), "own: path is missing; wanted own(path=FOLDER), a folder that holds dataset.toml"),
        (("fetch", "own(path=nowhere)"), "nowhere does not exist; wanted a folder"),
        (("splits", SMALL, "--protocol", "subjct-v1"), "no 'subjct-v1' in protocols (did you mean 'subject-v1'?)"),
        (("show", SMALL, "-o", "windows.gif"), "figure 'windows.gif' came, one of .pdf, .png, .svg is wanted"),
        (("verify", "uci_har"), "uci_har is not here: put 'UCI HAR Dataset.zip' into a folder"),
        (("show", "uci_har", "--data-dir", "nowhere"), "data folder nowhere does not exist"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    args: tuple[str, ...], words: str, call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = call("data", *args)
    assert ended.code == 2
    assert words in ended.error
    assert not list(tmp_path.glob("windows*"))


def test_a_figure_cannot_be_written_where_there_is_no_folder(call: Any, tmp_path: Path) -> None:
    path = tmp_path / "no folder" / "windows.png"
    ended = call("data", "show", SMALL, "-o", path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.error == f"-o {path}: {path.parent} is no folder"


@pytest.mark.parametrize("command", ["fetch", "show", "splits", "verify"])
def test_an_archive_that_is_something_else_is_refused_and_left_alone(command: str, call: Any, stand_in: Path) -> None:
    ended = call("data", command, "uci_har", "--data-dir", stand_in)
    assert ended.code == 2
    assert "UCI HAR Dataset.zip" in ended.error
    assert (stand_in / "UCI HAR Dataset.zip").read_bytes() == b"PK\x03\x04 torn"


FOLDER = Path(os.environ.get("KDBENCH_DATA") or "unset")


@pytest.mark.slow
@pytest.mark.skipif(not (FOLDER / "UCI HAR Dataset.zip").exists(), reason="KDBENCH_DATA names no folder with UCI HAR")
def test_the_original_is_fetched_verified_shown_and_split(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KDBENCH_CACHE", str(tmp_path / "cache"))  # other tests count on its not being here
    here = ("--data-dir", FOLDER)
    assert call("data", "fetch", "uci_har", *here).out.startswith("uci_har: ready, digest ")
    shown = call("data", "show", "uci_har", *here, "-o", tmp_path / "har.png").out
    assert ["all", "7352", "2947"] in [line.split() for line in shown.splitlines()]
    assert (tmp_path / "har.png").read_bytes().startswith(PNG)
    people = {row["person"]: row["side"] for row in rows(call("data", "splits", "uci_har", *here).out)}
    assert (len(people), sum(side == "test" for side in people.values())) == (30, 9)
    # The original may also lie among the downloads, whatever the data folder holds.
    downloads = Path(os.environ["KDBENCH_CACHE"]) / "downloads" / "uci_har"
    downloads.mkdir(parents=True)
    (downloads / "UCI HAR Dataset.zip").symlink_to(FOLDER / "UCI HAR Dataset.zip")
    assert "as it should be" in call("data", "verify", "uci_har", "--data-dir", tmp_path).out

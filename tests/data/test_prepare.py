from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kdbench.data import Channel, Dataset, Description, Source, Windows, cached, located, prepare
from kdbench.data.synthetic import Synthetic
from kdbench.data.uci_har import UciHar
from kdbench.errors import DataUnavailable, KdbenchError, MachineError

Pack = Callable[[Mapping[str, bytes]], bytes]
Served = tuple[str, dict[str, bytes], list[str]]


def entries(cache: Path) -> list[Path]:
    return sorted(path for path in (cache / "data").iterdir() if path.is_dir())


def test_a_second_preparation_needs_no_archive(tmp_path: Path, data_folder: Path, stand_in: UciHar) -> None:
    first = prepare(stand_in, data_dir=data_folder, cache=tmp_path / "cache", download=False)
    shutil.rmtree(data_folder)
    second = prepare(stand_in, data_dir=None, cache=tmp_path / "cache", download=False)
    assert second.digest == first.digest == second.windows.digest()
    assert second.description == replace(stand_in.description, people=(1, 2, 3))


def test_signals_are_mapped_read_only(tmp_path: Path) -> None:
    x = prepare(Synthetic(people=3, windows=1, length=8), data_dir=None, cache=tmp_path).windows.x
    assert isinstance(x, np.memmap)
    assert not x.flags.writeable


def test_every_form_of_the_archive_gives_the_same_windows(
    tmp_path: Path, data_folder: Path, stand_in: UciHar, uci_members: dict[str, bytes], uci_zip: bytes, zipped: Pack
) -> None:
    unpacked, outer, outer_unpacked = tmp_path / "unpacked", tmp_path / "outer", tmp_path / "outer_unpacked"
    for name, content in uci_members.items():
        (unpacked / name).parent.mkdir(parents=True, exist_ok=True)
        (unpacked / name).write_bytes(content)
    distributed = {"UCI HAR Dataset.names": b"", "UCI HAR Dataset.zip": uci_zip}
    outer.mkdir()
    (outer / "human+activity+recognition+using+smartphones.zip").write_bytes(zipped(distributed))
    inside = outer_unpacked / "human+activity+recognition+using+smartphones"
    inside.mkdir(parents=True)
    (inside / "UCI HAR Dataset.zip").write_bytes(uci_zip)
    folders = [data_folder, unpacked, unpacked / "UCI HAR Dataset", outer, outer_unpacked, inside]
    digests = {
        prepare(stand_in, data_dir=folder, cache=tmp_path / f"cache{number}", download=False).digest
        for number, folder in enumerate(folders)
    }
    assert len(digests) == 1


def test_a_dataset_that_is_nowhere_says_what_to_do(tmp_path: Path, stand_in: UciHar) -> None:
    with pytest.raises(DataUnavailable) as caught:
        prepare(stand_in, data_dir=None, cache=tmp_path, download=False)
    for words in ("'UCI HAR Dataset.zip'", "--data-dir FOLDER", "KDBENCH_DATA", "network", "-d synthetic"):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_the_archive_says_what_was_looked_for_where(tmp_path: Path, stand_in: UciHar) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataUnavailable, match=r"looked for 'UCI HAR Dataset\.zip', 'human") as caught:
        prepare(stand_in, data_dir=tmp_path / "empty", cache=tmp_path, download=False)
    assert str(tmp_path / "empty") in str(caught.value)


@pytest.mark.parametrize(("name", "words"), [("none", "does not exist"), ("file", "is a file")])
def test_a_data_folder_that_is_none_is_an_error_of_its_own(
    tmp_path: Path, stand_in: UciHar, name: str, words: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KdbenchError, match=words) as caught:
        prepare(stand_in, data_dir=tmp_path / name, cache=tmp_path, download=False)
    assert not isinstance(caught.value, DataUnavailable)


def test_a_bad_archive_caches_nothing(
    tmp_path: Path, stand_in: UciHar, uci_members: dict[str, bytes], zipped: Pack
) -> None:
    wrong = dict(uci_members)
    wrong["UCI HAR Dataset/test/y_test.txt"] = b"1\n" * 18
    (tmp_path / "UCI HAR Dataset.zip").write_bytes(zipped(wrong))
    with pytest.raises(KdbenchError, match=r"y_test\.txt is not the original's"):
        prepare(stand_in, data_dir=tmp_path, cache=tmp_path / "cache", download=False)
    assert entries(tmp_path / "cache") == []


def flip_a_bit(entry: Path) -> None:
    content = bytearray((entry / "x.npy").read_bytes())
    content[-1] ^= 1
    (entry / "x.npy").write_bytes(content)


def cut_short(entry: Path) -> None:
    os.truncate(entry / "x.npy", 300)


def empty_a_file(entry: Path) -> None:
    os.truncate(entry / "y.npy", 0)


def lose_a_file(entry: Path) -> None:
    (entry / "start.npy").unlink()


def garble_meta(entry: Path) -> None:
    (entry / "meta.json").write_text("{")


def strip_meta(entry: Path) -> None:
    (entry / "meta.json").write_text("[]")


def reverse_classes(entry: Path) -> None:
    meta = json.loads((entry / "meta.json").read_text())
    meta["description"]["classes"].reverse()
    (entry / "meta.json").write_text(json.dumps(meta))


def edit_report(entry: Path) -> None:
    meta = json.loads((entry / "meta.json").read_text())
    meta["report"]["lines"] = 4
    (entry / "meta.json").write_text(json.dumps(meta))


def become_a_file(entry: Path) -> None:
    shutil.rmtree(entry)
    entry.write_text("something else")


def lose_meta_as_if_killed(entry: Path) -> None:
    (entry / "meta.json").unlink()
    shutil.copytree(entry, entry.with_name(f"{entry.name}.partial"))


@pytest.mark.parametrize(
    "damage",
    [
        *(flip_a_bit, cut_short, empty_a_file, lose_a_file, garble_meta, strip_meta, reverse_classes, edit_report),
        *(become_a_file, lose_meta_as_if_killed),
    ],
)
def test_a_damaged_entry_is_rebuilt(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    dataset = Synthetic(people=3, windows=1, length=8)
    good = prepare(dataset, data_dir=None, cache=tmp_path).digest
    damage(entries(tmp_path)[0])
    assert cached(dataset, data_dir=None, cache=tmp_path) is None
    again = prepare(dataset, data_dir=None, cache=tmp_path)
    assert again.digest == again.windows.digest() == good
    assert again.description == replace(dataset.description, people=(0, 1, 2))
    assert again.report == {}
    assert len(entries(tmp_path)) == 1


def test_other_settings_and_versions_have_entries_of_their_own(tmp_path: Path) -> None:
    class Newer(Synthetic):
        version = 2

    for dataset in (Synthetic(people=3, windows=1), Synthetic(people=3, windows=2), Newer(people=3, windows=1)):
        prepare(dataset, data_dir=None, cache=tmp_path)
    assert len(entries(tmp_path)) == 3


class Own(Dataset):
    """Windows whose content nobody knows beforehand."""

    name = "own"
    archives = ("own.zip",)
    fixed = False

    @property
    def description(self) -> Description:
        return Description("own", "", (Channel("acc_x", "g"),), 50.0, 2, ("a",), "", "", "")

    def parse(self, source: Source | None) -> Windows:
        assert source is not None
        x = np.frombuffer(source.read("x"), "<f4").reshape(1, 1, 2)
        zero = np.zeros(1, np.int64)
        return Windows(x, zero, zero, zero > 0, zero, zero)


class Placed(Own):
    """The same, from where its settings say."""

    archives = ()

    def __init__(self, *, path: str = "") -> None:
        self.path = path

    @property
    def place(self) -> Path:
        return Path(self.path)

    @property
    def report(self) -> Mapping[str, int]:
        return {"lines": 3}


def test_a_dataset_may_know_where_its_files_lie_and_report_what_it_met(tmp_path: Path, zipped: Pack) -> None:
    (tmp_path / "some.zip").write_bytes(zipped({"x": np.ones(2, "<f4").tobytes()}))
    for _ in range(2):
        prepared = prepare(Placed(path=str(tmp_path / "some.zip")), data_dir=tmp_path / "nowhere", cache=tmp_path)
        assert prepared.report == {"lines": 3}
        assert prepared.description.people == (0,)
    assert len(entries(tmp_path)) == 1


def test_a_report_is_read_back_whatever_its_keys_are(tmp_path: Path) -> None:
    class Counted(Synthetic):
        @property
        def report(self) -> Mapping[str, object]:
            return {"lines": {2: "two", 10: "ten"}}

    prepared = prepare(Counted(people=3, windows=1), data_dir=None, cache=tmp_path)
    assert prepared.report == {"lines": {"2": "two", "10": "ten"}}


def test_content_that_is_not_known_beforehand_is_part_of_the_key(tmp_path: Path, zipped: Pack) -> None:
    for value in (1, 2, 1):
        (tmp_path / "own.zip").write_bytes(zipped({"x": np.full(2, value, "<f4").tobytes()}))
        assert prepare(Own(), data_dir=tmp_path, cache=tmp_path).windows.x[0, 0, 0] == value
    assert len(entries(tmp_path)) == 2


def fetched(stand_in: UciHar, *addresses: str) -> UciHar:
    """The stand-in with other addresses."""
    made: UciHar = type("Fetched", (type(stand_in),), {"urls": addresses})()
    return made


def test_what_is_not_on_the_machine_is_downloaded_once(
    tmp_path: Path, stand_in: UciHar, served: Served, uci_zip: bytes, zipped: Pack
) -> None:
    address, content, asked = served
    content["/a.zip"] = zipped({"UCI HAR Dataset.zip": uci_zip})
    (tmp_path / "empty").mkdir()
    dataset = fetched(stand_in, f"{address}/a.zip")
    first = prepare(dataset, data_dir=tmp_path / "empty", cache=tmp_path)
    shutil.rmtree(tmp_path / "data")
    second = prepare(dataset, data_dir=None, cache=tmp_path)
    assert first.digest == second.digest
    assert asked == ["/a.zip"]


def test_a_folder_comes_before_a_download(tmp_path: Path, data_folder: Path, stand_in: UciHar, served: Served) -> None:
    address, _, asked = served
    prepare(fetched(stand_in, f"{address}/a.zip"), data_dir=data_folder, cache=tmp_path)
    assert asked == []


def test_a_failed_download_says_what_to_do_and_why(tmp_path: Path, stand_in: UciHar, served: Served) -> None:
    with pytest.raises(DataUnavailable, match=r"--data-dir FOLDER.*/a\.zip: HTTP 404"):
        prepare(fetched(stand_in, f"{served[0]}/a.zip"), data_dir=None, cache=tmp_path)


def test_a_wrong_download_is_not_kept(tmp_path: Path, stand_in: UciHar, served: Served, zipped: Pack) -> None:
    address, content, asked = served
    content["/a.zip"] = zipped({"other.txt": b""})
    for _ in range(2):
        with pytest.raises(KdbenchError, match=r"holds no train/y_train\.txt"):
            prepare(fetched(stand_in, f"{address}/a.zip"), data_dir=None, cache=tmp_path)
    assert len(asked) == 2
    assert not (tmp_path / "data").exists()


def other_values(uci_members: Mapping[str, bytes]) -> dict[str, bytes]:
    """The dataset in all but its values: nothing short of reading it tells."""
    name = "UCI HAR Dataset/test/y_test.txt"
    return {**uci_members, name: b"".join(reversed(uci_members[name].splitlines(keepends=True)))}


def test_a_mirror_that_serves_another_archive_does_not_stand_in_the_way(
    tmp_path: Path, stand_in: UciHar, served: Served, uci_zip: bytes, uci_members: dict[str, bytes], zipped: Pack
) -> None:
    address, content, asked = served
    others = {"/other.zip": zipped({"other.txt": b""}), "/values.zip": zipped(other_values(uci_members))}
    content |= {**others, "/good.zip": uci_zip}
    prepared = prepare(fetched(stand_in, *(address + name for name in content)), data_dir=None, cache=tmp_path)
    assert prepared.windows.x.shape == (54, 9, 128)
    assert asked == ["/other.zip", "/values.zip", "/good.zip"]
    kept = tmp_path / "downloads" / "uci_har"
    assert [path.name for path in kept.glob("*.zip*") if path.suffix != ".lock"] == ["UCI HAR Dataset.zip"]


def test_every_mirror_s_reason_is_told_where_none_has_the_dataset(
    tmp_path: Path, stand_in: UciHar, served: Served, uci_members: dict[str, bytes], zipped: Pack
) -> None:
    address, content, _ = served
    content |= {"/other.zip": zipped({"other.txt": b""}), "/values.zip": zipped(other_values(uci_members))}
    words = r"/other\.zip: .* holds no train/y_train\.txt.*/values\.zip: .*y_test\.txt is not the original's"
    with pytest.raises(DataUnavailable, match=words):
        prepare(fetched(stand_in, *(address + name for name in content)), data_dir=None, cache=tmp_path)


def unpack(members: Mapping[str, bytes], folder: Path) -> Path:
    for name, content in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_truncated_archive_beside_a_whole_folder_is_passed_over_and_told(
    tmp_path: Path, stand_in: UciHar, uci_zip: bytes, uci_members: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = unpack(uci_members, tmp_path / "data")
    archive = folder / "UCI HAR Dataset.zip"
    archive.write_bytes(uci_zip[: len(uci_zip) // 2])
    prepared = prepare(stand_in, data_dir=folder, cache=tmp_path, download=False)
    assert prepared.windows.x.shape == (54, 9, 128)
    said = capsys.readouterr().err
    assert said.startswith(f"{archive} is a truncated archive")
    assert said.endswith(f"(read {folder / 'UCI HAR Dataset'} instead)\n")
    assert archive.exists()


def test_where_all_that_is_there_is_damaged_the_first_is_named(
    tmp_path: Path, stand_in: UciHar, uci_members: dict[str, bytes]
) -> None:
    folder = unpack({**uci_members, "UCI HAR Dataset/test/y_test.txt": b""}, tmp_path / "data")
    (folder / "UCI HAR Dataset.zip").write_bytes(b"PK")
    with pytest.raises(KdbenchError, match=r"UCI HAR Dataset\.zip is a truncated archive"):
        prepare(stand_in, data_dir=folder, cache=tmp_path, download=False)


def test_the_archive_itself_and_a_folder_in_the_unpacked_one_serve_as_data_folder(
    tmp_path: Path,
    data_folder: Path,
    stand_in: UciHar,
    uci_members: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    top = unpack(uci_members, tmp_path / "unpacked") / "UCI HAR Dataset"
    monkeypatch.chdir(top / "test")
    folders = [data_folder / "UCI HAR Dataset.zip", top / "train", top / "test" / "Inertial Signals", Path()]
    digests = {
        prepare(stand_in, data_dir=folder, cache=tmp_path / f"cache{number}", download=False).digest
        for number, folder in enumerate(folders)
    }
    assert len(digests) == 1


def test_what_is_here_can_be_asked_without_parsing_it(tmp_path: Path, data_folder: Path, stand_in: UciHar) -> None:
    cache = tmp_path / "cache"
    assert located(stand_in, data_dir=None, cache=cache) == []
    assert located(stand_in, data_dir=data_folder, cache=cache) == [data_folder / "UCI HAR Dataset.zip"]
    assert located(Synthetic(), data_dir=data_folder, cache=cache) == []
    assert cached(stand_in, data_dir=data_folder, cache=cache) is None
    assert not cache.exists()
    prepared = prepare(stand_in, data_dir=data_folder, cache=cache)
    found = cached(stand_in, data_dir=None, cache=cache)
    assert found is not None
    assert found.digest == prepared.digest


def test_a_user_s_bad_archive_is_left_alone(tmp_path: Path, stand_in: UciHar, zipped: Pack) -> None:
    archive = tmp_path / "UCI HAR Dataset.zip"
    archive.write_bytes(zipped({"other.txt": b""}))
    with pytest.raises(KdbenchError):
        prepare(stand_in, data_dir=tmp_path, cache=tmp_path / "cache")
    assert archive.exists()


def test_a_full_disk_is_the_machine_s_fault_and_leaves_no_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, array: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    dataset = Synthetic(people=3, windows=1, length=8)
    with monkeypatch.context() as patched:
        patched.setattr(np, "save", full)
        with pytest.raises(MachineError, match=r"x\.npy.*No space left") as caught:
            prepare(dataset, data_dir=None, cache=tmp_path)
    assert "\n" not in str(caught.value)
    assert not any(path.suffix != ".partial" for path in entries(tmp_path))
    prepare(dataset, data_dir=None, cache=tmp_path)


def test_a_cache_that_cannot_be_written_is_the_machine_s_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="file"):
        prepare(Synthetic(people=3, windows=1, length=8), data_dir=None, cache=tmp_path / "file")


SLOW = """
import sys, time
from pathlib import Path
import numpy as np
from kdbench.data import Channel, Dataset, Description, Windows, prepare

class Slow(Dataset):
    name = "slow"
    @property
    def description(self):
        return Description("slow", "", (Channel("x", "g"),), 50.0, 2, ("a",), "", "", "")
    def parse(self, source):
        with open(sys.argv[2], "a") as log:
            log.write("parsed\\n")
        time.sleep(0.5)
        zero = np.zeros(1, np.int64)
        return Windows(np.ones((1, 1, 2), np.float32), zero, zero, zero > 0, zero, zero)

print(prepare(Slow(), data_dir=None, cache=Path(sys.argv[1])).digest)
"""


def test_of_several_processes_at_once_one_works_and_all_get_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLOW, str(tmp_path / "cache"), str(tmp_path / "log")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    digests = {process.communicate(timeout=60)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(digests) == 1
    assert (tmp_path / "log").read_text() == "parsed\n"

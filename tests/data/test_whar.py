"""The cache of the whar-datasets package, written here in its format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kdbench.data import Prepared, prepare
from kdbench.data.whar import Whar
from kdbench.errors import KdbenchError

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

SESSIONS = [(session, session % 4, session // 4) for session in range(12)]  # number, person, activity; the last unused
NAMES = ("walking", "sitting", "other")
CHANNELS = ("acc_x", "acc_y")
BEGIN = np.datetime64("2020-01-01T00:00:00.000", "ms")


def signal(session: int, seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.stack([np.sin(2 * np.pi * (1 + session / 10) * seconds), seconds + session], axis=1)


def table(path: Path, header: str, rows: list[tuple[Any, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f",{header}", *(",".join(map(str, (number, *row))) for number, row in enumerate(rows))]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Sessions of 5 s at 50 Hz, of which ``other`` was not selected; rows of both files out of order."""
    folder, rng = tmp_path / "datasets" / "toy", np.random.default_rng(0)
    table(folder / "metadata/activity_df.csv", "activity_id,activity_name", list(enumerate(NAMES)))
    table(folder / "metadata/session_df.csv", "session_id,subject_id,activity_id", SESSIONS)
    owner, times, values, index, windows = [], [], [], [], []
    for session, _, activity in SESSIONS:
        seconds = np.arange(250) / 50
        owner += [session] * 250
        times.append(BEGIN + np.round(seconds * 1000).astype("timedelta64[ms]"))
        values.append(np.column_stack([signal(session, seconds), seconds]))
        for number in range(3 if activity < 2 else 0):
            index.append((session, f"w{session}-{number}"))
            windows.append(rng.permutation(signal(session, seconds[50 * number : 50 * number + 100])))
    order = rng.permutation(len(owner))
    columns = {name: np.concatenate(values)[order, k].astype(np.float32) for k, name in enumerate((*CHANNELS, "hr"))}
    samples = {"timestamp": np.concatenate(times)[order], **columns, "session_id": np.array(owner, np.int32)[order]}
    cut = {name: np.concatenate(windows)[:, k].astype(np.float32) for k, name in enumerate(CHANNELS)}
    cut["window_id"] = np.repeat([name for _, name in index], 100)
    for name, arrays in (("sessions", samples), ("windows", cut)):
        (folder / name).mkdir()
        parquet.write_table(pyarrow.table(arrays), folder / name / f"{name}.parquet")
    table(folder / "metadata/window_df.csv", "session_id,window_id", index)
    (folder / "data").mkdir()
    (folder / "data" / "download.txt").write_bytes(b"not read")
    return folder


Load = Callable[..., Prepared]


@pytest.fixture
def load(cache: Path, tmp_path: Path) -> Load:
    def load(**settings: Any) -> Prepared:
        return prepare(Whar(path=str(cache), **settings), data_dir=None, cache=tmp_path / "cache", download=False)

    return load


def test_windows_are_samples_in_order_under_people_and_activities_of_the_cache(load: Load) -> None:
    prepared = load()
    about, windows = prepared.description, prepared.windows
    assert (about.name, about.rate, about.length, about.classes) == ("whar_toy", 50.0, 100, NAMES[:2])
    assert [channel.name for channel in about.channels] == [*CHANNELS]
    assert prepared.report == {"sessions": 8, "runs": 8, "windows in the cache": 24}
    assert len(windows.y) == 8 * 4
    for x, who, label, start in zip(windows.x, windows.person, windows.y, windows.start, strict=True):
        want = signal(4 * int(label) + int(who), (int(start) + np.arange(100)) / 50)
        np.testing.assert_allclose(x, want.T, atol=1e-5)
    assert np.unique(windows.person[windows.test]).tolist() == [2]


def test_rate_and_overlap_may_be_chosen(load: Load) -> None:
    half = load(rate=25.0, overlap=0.0)
    assert (half.description.rate, len(half.windows.y)) == (25.0, 8 * 1)
    assert len(load(overlap=0.0).windows.y) == 8 * 2


def test_a_pause_ends_a_run_and_two_samples_at_a_time_count_once(cache: Path, load: Load) -> None:
    whole = len(load().windows.y)
    samples = parquet.read_table(cache / "sessions/sessions.parquet")
    late = samples["timestamp"].to_numpy() > BEGIN + np.timedelta64(2500, "ms")
    times = samples["timestamp"].to_numpy() + np.where(late, np.timedelta64(1000, "ms"), np.timedelta64(0, "ms"))
    samples = samples.set_column(samples.schema.get_field_index("timestamp"), "timestamp", pyarrow.array(times))
    parquet.write_table(pyarrow.concat_tables([samples, samples]), cache / "sessions/sessions.parquet")
    parted = load()
    assert parted.report["runs"] == 16
    assert len(parted.windows.y) == 16 < whole


def retimed(cache: Path, times: Callable[[npt.NDArray[Any]], Any]) -> None:
    """Write other times, of those that were there, into the file of sessions."""
    path = cache / "sessions/sessions.parquet"
    samples = parquet.read_table(path)
    place = samples.schema.get_field_index("timestamp")
    changed = times(samples["timestamp"].to_numpy())
    parquet.write_table(samples.set_column(place, "timestamp", pyarrow.array(changed)), path)


@pytest.mark.parametrize("rate", [60.0, 64.0, 75.0, 128.0, 300.0, 12.5, 0.4, 0.01])
def test_the_rate_is_that_of_whole_runs_and_not_of_times_in_whole_milliseconds(
    cache: Path, load: Load, rate: float
) -> None:
    def at(times: npt.NDArray[Any]) -> npt.NDArray[Any]:
        number = np.round((times - BEGIN) / np.timedelta64(20, "ms"))
        return BEGIN + np.round(number / rate * 1000).astype("timedelta64[ms]")

    retimed(cache, at)
    prepared = load()
    assert prepared.description.rate == rate
    assert prepared.report["runs"] == 8


@pytest.mark.parametrize("kind", [np.int64, np.float64, str])
def test_times_that_are_no_dates_are_refused(cache: Path, load: Load, kind: type) -> None:
    retimed(cache, lambda times: times.astype("datetime64[ms]").astype(np.int64).astype(kind))
    with pytest.raises(KdbenchError, match=r"timestamp in sessions/sessions.parquet is of type .*; wanted dates"):
        load()


def test_times_that_are_all_one_are_refused(cache: Path, load: Load) -> None:
    retimed(cache, lambda times: np.full(len(times), BEGIN))
    with pytest.raises(KdbenchError, match=r"all samples of session 0 of sessions/sessions\.parquet are of one time"):
        load()


@pytest.mark.parametrize("member", ["sessions/sessions.parquet", "windows/windows.parquet"])
def test_damaged_pages_are_refused_with_the_file_s_name(cache: Path, load: Load, member: str) -> None:
    content = (cache / member).read_bytes()
    end = int.from_bytes(content[-8:-4], "little") + 8  # of what the pages say of themselves
    garbled = np.random.default_rng(0).bytes(len(content) - end - 4)
    (cache / member).write_bytes(content[:4] + garbled + content[-end:])
    with pytest.raises(KdbenchError) as refused:
        load()
    assert member in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("member", "more", "words"),
    [
        ("metadata/window_df.csv", "24,0,v", "holds 24 windows and metadata/window_df.csv 25"),
        ("metadata/window_df.csv", "24,0,w0-0", "window_df.csv lines 2 and 26 have one window_id, 'w0-0'"),
        ("metadata/session_df.csv", "12,0,3,1", "session_df.csv lines 2 and 14 have one session_id, '0'; wanted"),
        ("metadata/activity_df.csv", "3,3,walking", "lines 2 and 5 have one activity_name, 'walking'; wanted"),
        ("metadata/activity_df.csv", "3,01,running", "lines 3 and 5 have one activity_id, '1'; wanted"),
        ("metadata/session_df.csv", f"12,12,{10**30},1", "line 14 has '10000000000000000000' as subject_id, wanted"),
        ("metadata/session_df.csv", "12,12,٣,1", "line 14 has '\\u0663' as subject_id, wanted"),
    ],
)
def test_tables_that_contradict_each_other_or_themselves_are_refused(
    cache: Path, load: Load, member: str, more: str, words: str
) -> None:
    with (cache / member).open("a", encoding="utf-8") as file:
        file.write(f"{more}\n")
    with pytest.raises(KdbenchError) as refused:
        load()
    assert words in str(refused.value)


def test_windows_of_two_lengths_are_refused(cache: Path, load: Load) -> None:
    path = cache / "windows/windows.parquet"
    parquet.write_table(parquet.read_table(path).slice(40), path)
    with pytest.raises(KdbenchError, match="window 'w0-0' has 60 samples and 'w0-1' 100; wanted one length"):
        load()


@pytest.mark.parametrize(
    ("member", "content", "words"),
    [
        ("metadata/window_df.csv", "", "metadata/window_df.csv has no rows with 'window_id'"),
        (
            "metadata/session_df.csv",
            ",session_id,subject_id,activity_id\n0,0,0,9\n",
            "session 0 of metadata/window_df.csv has",
        ),
        ("metadata/window_df.csv", ",session_id,window_id\n0,one,w\n", "line 2 has 'one' as session_id, wanted what"),
        ("metadata/activity_df.csv", "\x00", "activity_df.csv has no rows with 'activity_name'"),
        ("metadata/activity_df.csv", "a,b\n1,2\n", "activity_df.csv line 2 has '' as activity_id, wanted what"),
        ("windows/windows.parquet", "PAR1", "windows/windows.parquet is no parquet file"),
        ("sessions/sessions.parquet", None, "holds no sessions/sessions.parquet"),
    ],
)
def test_what_is_not_as_the_package_writes_it_is_named(
    cache: Path, load: Load, member: str, content: str | None, words: str
) -> None:
    (cache / member).unlink()
    if content is not None:
        (cache / member).write_text(content)
    with pytest.raises(KdbenchError) as refused:
        load()
    assert words in str(refused.value)
    assert str(refused.value).isprintable()


def test_a_cache_that_is_not_there_says_what_is_wanted(tmp_path: Path) -> None:
    for path, words in (("", "path is missing"), (str(tmp_path / "none"), "does not exist")):
        with pytest.raises(KdbenchError, match=words):
            _ = Whar(path=path).place

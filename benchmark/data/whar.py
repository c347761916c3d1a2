"""The datasets of the whar-datasets package, from the cache that it leaves."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from kdbench.data._archive import Source, reason
from kdbench.data._base import Channel, Dataset, Description, Windows, cut
from kdbench.data._resample import resampled
from kdbench.errors import DataUnavailable, KdbenchError, absent
from kdbench.settings import Range

ACTIVITIES, SESSIONS, INDEX = (f"metadata/{name}_df.csv" for name in ("activity", "session", "window"))
SAMPLES, WINDOWS = "sessions/sessions.parquet", "windows/windows.parquet"
WHOLE = ("session_id", "subject_id", "activity_id")
"""Columns of whole numbers."""

PACKAGE = "https://github.com/teco-kit/whar-datasets"


class Whar(Dataset):
    """A dataset that the whar-datasets package prepared, from its cache: ``whar(path=datasets/wisdm)``.

    The package's ``PreProcessingPipeline`` leaves a folder for each of its datasets with ``metadata``, ``sessions`` and
    ``windows``; these files are read, the package is not needed (``pip install pyarrow`` is). Activities, channels and
    the length of windows are those chosen there. The samples are taken from the sessions, with their times, and cut
    here: the file of windows has no times, and with pandas before version 3 the samples of a window are not in order.
    Every session is brought to one rate and cut by itself; a pause longer than 1.5 samples of its own rate ends a run.

    Whose a session is, is kept, by the package's numbers. Test people: every third in order; no split is official.
    Licence and citation are the original dataset's. It calls itself ``whar_`` and the folder's name.

    Args:
        path: the folder of one dataset, which holds ``metadata``; if relative, from the current one.
        rate: Hz; where it is 0 the median of the sessions, a whole number if it is near one.
        overlap: of two windows that follow each other, as a part of their length.
    """

    name = "whar"
    version = 2
    fixed = False
    whereabouts = ("path",)
    usage = "whar(path=FOLDER) is a dataset that the whar-datasets package prepared; see `kdbench show whar`"

    def __init__(
        self,
        *,
        path: str = "",
        rate: Annotated[float, Range(0, 1000)] = 0.0,
        overlap: Annotated[float, Range(0, 0.9)] = 0.5,
    ) -> None:
        self.path, self.rate, self.overlap = path, rate, overlap
        self._described: Description | None = None

    @property
    def place(self) -> Path:
        """The folder."""
        if not self.path:
            raise KdbenchError("whar: path is missing; wanted whar(path=FOLDER), a folder that holds metadata")
        place = Path(self.path).expanduser().absolute()
        if not place.exists():
            raise DataUnavailable(f"whar: {place} does not exist; wanted a folder that the whar-datasets package made")
        return place

    @property
    def description(self) -> Description:
        if self._described is None:
            with Source(self.place, advice="check it") as source:
                self.parse(source)
        assert self._described is not None
        return self._described

    def fingerprint(self, source: Source) -> str:
        # The downloads, and what other steps of the package left, are not read.
        members = (ACTIVITIES, SESSIONS, INDEX, SAMPLES, WINDOWS)
        return hashlib.sha256(b"".join(hashlib.sha256(source.read(each)).digest() for each in members)).hexdigest()

    def parse(self, source: Source | None) -> Windows:
        """Cut the sessions that have windows there into windows.

        Raises:
            KdbenchError: a file is missing, not as the package writes it, or contradicts another.
        """
        source = self.given(source)
        named = _rows(source, ACTIVITIES, "activity_id", "activity_name")
        _distinct(source, ACTIVITIES, named, "activity_id", "activity_name")
        activities = {row["activity_id"]: row["activity_name"] for row in named}
        held = _rows(source, SESSIONS, "session_id", "subject_id", "activity_id")
        _distinct(source, SESSIONS, held, "session_id")
        sessions = {row["session_id"]: row for row in held}
        index = _rows(source, INDEX, "session_id", "window_id")
        _distinct(source, INDEX, index, "window_id")
        asked = [row["session_id"] for row in index]
        chosen = sorted(set(asked), key=int)
        lost = [each for each in chosen if sessions.get(each, {}).get("activity_id") not in activities]
        if lost:
            raise KdbenchError(f"{source.path}: session {lost[0]} of {INDEX} has no activity in {SESSIONS}")
        channels, length = _cut_there(source, len(asked))
        signals = _sessions(source, chosen, channels)
        rate = self.rate or _even(float(np.median([_rate(times) for times, _ in signals.values()])))
        kept = sorted({sessions[session]["activity_id"] for session in chosen}, key=int)
        x: list[npt.NDArray[np.float32]] = []
        columns: list[tuple[int, int, int, int]] = []  # label, person, run, start of every window
        step, runs = max(1, round(length * (1 - self.overlap))), 0
        for session in chosen:
            label, person = kept.index(sessions[session]["activity_id"]), int(sessions[session]["subject_id"])
            for run in _runs(*signals[session]):
                samples = resampled(*run, rate)
                for start in cut(len(samples), length, step):
                    x.append(samples[start : start + length].T.astype(np.float32))
                    columns.append((label, person, runs, start))
                runs += 1
        if not x:
            raise KdbenchError(f"{source.path}: no session has {length} samples at {rate:g} Hz in one run")
        self._report = {"sessions": len(chosen), "runs": runs, "windows in the cache": len(asked)}
        self._described = _described(source, channels, rate, length, [activities[activity] for activity in kept])
        y, person_of, recording, begun = np.array(columns, np.int64).T.copy()
        test = np.isin(person_of, np.unique(person_of)[2::3])
        return Windows(np.ascontiguousarray(np.stack(x)), y, person_of, test, recording, begun)


def _described(source: Source, channels: list[str], rate: float, length: int, classes: list[str]) -> Description:
    title = source.path.name.removesuffix(".zip")
    return Description(
        name=f"whar_{title}",
        title=f"{title} (by whar-datasets)",
        channels=tuple(Channel(name, "as recorded") for name in channels),
        rate=rate,
        length=length,
        classes=tuple(classes),
        citation="the original dataset's authors, and whar-datasets",
        licence="that of the original dataset",
        url=PACKAGE,
    )


def _rows(source: Source, member: str, *columns: str) -> list[dict[str, str]]:
    """Rows of a table of the cache, all with these columns, of which ids of all but windows are whole numbers."""
    found = list(csv.DictReader(io.StringIO(source.read(member).decode("utf-8-sig", "replace"))))
    if not found:
        raise KdbenchError(f"{source.path}: {member} has no rows with {columns[-1]!r}, as whar-datasets writes them")
    for number, row in enumerate(found, start=2):
        for column in columns:
            value = row.get(column) or ""
            if not value or (column in WHOLE and not _whole(value)):
                what = f"has {value[:20]!a} as {column}, wanted what whar-datasets writes"
                raise KdbenchError(f"{source.path}: {member} line {number} {what}")
    return found


def _whole(text: str) -> bool:
    """Whether it is a number as the package writes them, and one that 64 bits hold."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def _distinct(source: Source, member: str, rows: list[dict[str, str]], *columns: str) -> None:
    """Refuse a table in which two rows say the same in a column that tells rows apart."""
    for column in columns:
        seen: dict[str, int] = {}
        for number, row in enumerate(rows, start=2):
            value = str(int(row[column])) if column in WHOLE else row[column]
            if (first := seen.setdefault(value, number)) != number:
                what = f"lines {first} and {number} have one {column}, {value[:20]!a}; wanted each once"
                raise KdbenchError(f"{source.path}: {member} {what}")


def _parquet(source: Source, member: str) -> Any:
    try:
        from pyarrow import ArrowInvalid, BufferReader
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        if not absent(error, "pyarrow"):
            raise
        raise KdbenchError("whar needs a package that is not installed: pip install pyarrow") from None
    try:
        return ParquetFile(BufferReader(source.read(member)))
    except (ArrowInvalid, OSError) as error:
        raise KdbenchError(f"{source.path}: {member} is no parquet file ({reason(error)})") from None


def _read(source: Source, member: str, file: Any, columns: list[str]) -> Any:
    from pyarrow import ArrowException

    try:
        return file.read(columns=columns)
    except (ArrowException, OSError, ValueError) as error:
        raise KdbenchError(f"{source.path}: {member} is damaged ({reason(error)})") from None


def _cut_there(source: Source, count: int) -> tuple[list[str], int]:
    """Channels and length of so many windows of the cache."""
    file = _parquet(source, WINDOWS)
    names = file.schema_arrow.names
    if "window_id" not in names:
        raise KdbenchError(f"{source.path}: {WINDOWS} has no column 'window_id', as whar-datasets writes it")
    written = _read(source, WINDOWS, file, ["window_id"])["window_id"].to_numpy().astype(str)
    ids, sizes = np.unique(written, return_counts=True)
    if len(ids) != count:
        raise KdbenchError(f"{source.path}: {WINDOWS} holds {len(ids)} windows and {INDEX} {count}; wanted as many")
    if sizes.min() != sizes.max():
        few, many = str(ids[np.argmin(sizes)]), str(ids[np.argmax(sizes)])
        what = f"window {few[:20]!a} has {sizes.min()} samples and {many[:20]!a} {sizes.max()}; wanted one length"
        raise KdbenchError(f"{source.path}: {WINDOWS}: {what}")
    return [name for name in names if name != "window_id"], int(sizes[0])


def _sessions(
    source: Source, chosen: list[str], channels: list[str]
) -> dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Seconds, ascending, and signals (n, C) of sessions."""
    file = _parquet(source, SAMPLES)
    wanted = ["session_id", "timestamp", *channels]
    lacking = [name for name in wanted if name not in file.schema_arrow.names]
    if lacking:
        raise KdbenchError(f"{source.path}: {SAMPLES} has no column {lacking[0]!r}, which {WINDOWS} has")
    table = _read(source, SAMPLES, file, wanted)
    kind = table.schema.field("timestamp").type
    if not str(kind).startswith("timestamp") or table["timestamp"].null_count:
        what = f"of type {kind}" if not table["timestamp"].null_count else "missing in some rows"
        raise KdbenchError(f"{source.path}: timestamp in {SAMPLES} is {what}; wanted dates with time, as pandas has")
    owner = table["session_id"].to_numpy()
    seconds = table["timestamp"].to_numpy().astype("datetime64[ns]").astype(np.int64) / 1e9
    values = np.stack([table[name].to_numpy().astype(np.float64) for name in channels], axis=1)
    found = {}
    for session in chosen:
        rows = np.flatnonzero(owner == int(session))
        rows = rows[np.argsort(seconds[rows], kind="stable")]
        if len(rows) < 2 or not np.isfinite(values[rows]).all():
            what = "fewer than two samples" if len(rows) < 2 else "a value that is not finite"
            raise KdbenchError(f"{source.path}: session {session} of {SAMPLES} has {what}")
        first = np.append(True, np.diff(seconds[rows]) > 0)  # of samples at one time
        if first.sum() < 2:
            raise KdbenchError(f"{source.path}: all samples of session {session} of {SAMPLES} are of one time")
        found[session] = seconds[rows][first] - seconds[rows][0], values[rows][first]
    return found


def _rate(times: npt.NDArray[np.float64]) -> float:
    """Hz of a session. One step, in whole milliseconds, says little; all steps of the runs together do."""
    step = np.diff(times)
    inside = step[step <= _pause(step)]
    return float(len(inside) / inside.sum())


def _even(rate: float) -> float:
    """A whole number where it is near one; else to four digits."""
    return float(round(rate)) if abs(round(rate) - rate) <= 0.01 * rate else float(f"{rate:.4g}")


def _pause(step: npt.NDArray[np.float64]) -> float:
    """Seconds above which a step between two samples of a session is a pause; times are whole milliseconds."""
    return float(1.5 * np.median(step) + 0.001)


def _runs(
    times: npt.NDArray[np.float64], signals: npt.NDArray[np.float64]
) -> list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """A session in parts without pauses."""
    step = np.diff(times)
    ends = np.flatnonzero(step > _pause(step)) + 1
    return list(zip(np.split(times, ends), np.split(signals, ends), strict=True))

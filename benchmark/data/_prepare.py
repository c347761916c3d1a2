"""From a dataset's name to verified windows: the cache, a folder of the user's, a download, in this order."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from kdbench.data._archive import Source
from kdbench.data._base import Channel, Dataset, Description, Windows
from kdbench.data._fetch import download as fetch
from kdbench.errors import DataUnavailable, KdbenchError, MachineError

LAYOUT = 3
"""Goes up when the files of a cache entry change, so that older entries are not read."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Verified windows; ``windows.x`` is mapped read-only from the cache. ``digest`` is ``windows.digest()``.

    ``report`` is what parsing counted or noticed, such as malformed lines by kind; often empty. Its ``people`` are the
    names of those who have one, by number; its ``warnings`` are what captions must say. ``folder`` is where it is kept.
    """

    windows: Windows
    digest: str
    description: Description
    report: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of results on these windows must know."""
        return tuple(self.report.get("warnings", ()))

    def person(self, number: int) -> str:
        """The name of a person, or the number where there is none."""
        return str(self.report.get("people", {}).get(str(number), number))


def prepare(dataset: Dataset, *, data_dir: Path | None, cache: Path, download: bool = True) -> Prepared:
    """Windows of a dataset, from the cache if they are there, else parsed, checked and put there.

    Several processes may prepare one dataset at once: one works, the others wait. Entries that are damaged or
    half-written are rebuilt. Of several archives in the data folder, one that is refused gives way to the next, which
    is told on standard error.

    Args:
        dataset: with its settings.
        data_dir: a folder with archives or unpacked archives, or itself an archive or one unpacked; looked at if the
            cache has no entry. Comes before a download.
        cache: folder of parsed data and downloads, created where missing.
        download: whether the network may be used.

    Raises:
        DataUnavailable: neither on this machine nor downloadable; says what to put where.
        KdbenchError: what was found is not the dataset, or ``data_dir`` is not a folder.
        MachineError: the cache folder cannot be written.
    """
    if not _has_files(dataset):
        return _made(dataset, None, cache)
    if dataset.fixed and (found := _load(_entry(dataset, "", cache))) is not None:
        return found
    refused: list[KdbenchError] = []
    for path in located(dataset, data_dir=data_dir, cache=cache) or [_fetched(dataset, data_dir, cache, download)]:
        try:
            prepared = _made(dataset, path, cache)
        except MachineError:
            raise
        except KdbenchError as error:
            if path.parent == _downloads(dataset, cache):
                path.unlink(missing_ok=True)  # so that the next attempt downloads anew
            refused.append(error)
            continue
        for each in refused:
            print(f"{each} (read {path} instead)", file=sys.stderr)
        return prepared
    raise refused[0]


def cached(dataset: Dataset, *, data_dir: Path | None, cache: Path) -> Prepared | None:
    """What the cache has of a dataset; nothing is parsed, written or downloaded.

    Raises:
        KdbenchError: the content has to be looked at and cannot be, or ``data_dir`` is not a folder.
    """
    if dataset.fixed or not _has_files(dataset):
        return _load(_entry(dataset, "", cache))
    paths = located(dataset, data_dir=data_dir, cache=cache)
    entries = (_load(_entry(dataset, _content(dataset, path), cache)) for path in paths)
    return next((found for found in entries if found is not None), None)


def kept(folder: Path) -> Prepared | None:
    """What a folder holds that was made by `prepare`, maybe on another machine; None where it is missing or damaged."""
    return _load(folder)


def located(dataset: Dataset, *, data_dir: Path | None, cache: Path) -> list[Path]:
    """Where the archive of a dataset, or the folder unpacked from it, lies on this machine, to be tried in turn.

    Raises:
        KdbenchError: ``data_dir`` is neither a folder nor the archive.
    """
    if dataset.place is not None:
        return [dataset.place]
    if not dataset.archives:
        return []
    if data_dir is not None:
        if data_dir.is_file() and data_dir.name in dataset.archives:
            return [data_dir]
        if not data_dir.is_dir():
            what = "is a file" if data_dir.exists() else "does not exist"
            raise KdbenchError(f"data folder {data_dir} {what}; wanted a folder that holds {dataset.archives[0]!r}")
        found = [data_dir / name for name in dataset.archives if (data_dir / name).exists()]
        if dataset.marker:  # of a folder that is itself the unpacked one, or in it
            tops = [data_dir, *data_dir.absolute().parents][: 1 + dataset.marker.count("/")]
            found += [top for top in tops if (top / dataset.marker).is_file()][:1]
        if found:
            return found
    kept = _downloads(dataset, cache) / dataset.archives[0]
    return [kept] if kept.is_file() else []


def _made(dataset: Dataset, path: Path | None, cache: Path) -> Prepared:
    """The entry of what lies at a path, parsed if it is not there yet."""
    content = "" if path is None or dataset.fixed else _content(dataset, path)
    entry = _entry(dataset, content, cache)
    found = _load(entry)
    if found is not None:
        return found
    with _locked(entry):
        found = _load(entry)  # another process may have been at it
        if found is None:
            _store(dataset, _parse(dataset, path, content), entry)
            found = _load(entry)
    if found is None:
        raise MachineError(f"{entry} does not hold what was just written to it; check the disk or choose another cache")
    return found


def _content(dataset: Dataset, path: Path) -> str:
    """What the cache knows the content of an archive or folder by."""
    if path.is_file():  # need not be opened for it: to list a compressed tar is to unpack it
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise KdbenchError(f"{path} cannot be read ({error.strerror or error})") from error
    with _opened(dataset, path) as source:
        return dataset.fingerprint(source)


def _opened(dataset: Dataset, path: Path) -> Source:
    return Source(path) if dataset.place is None else Source(path, advice="check it")


def _entry(dataset: Dataset, content: str, cache: Path) -> Path:
    """The folder in the cache, named after all that it depends on."""
    parts = [LAYOUT, dataset.name, dataset.version, dataset.settings, content]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    return cache / "data" / f"{dataset.name}-{key}"


def _has_files(dataset: Dataset) -> bool:
    return bool(dataset.archives) or dataset.place is not None


def _parse(dataset: Dataset, path: Path | None, content: str) -> Windows:
    if path is None:
        windows = dataset.parse(None)
    else:
        with _opened(dataset, path) as source:
            windows = dataset.parse(source)
        if content and _content(dataset, path) != content:
            raise KdbenchError(f"{path} changed while it was read; try again")
    windows.check(dataset.description)
    return windows


def _downloads(dataset: Dataset, cache: Path) -> Path:
    return cache / "downloads" / dataset.name


def _fetched(dataset: Dataset, data_dir: Path | None, cache: Path, download: bool) -> Path:
    """The downloaded archive; only one that holds the dataset is kept."""
    kept = _downloads(dataset, cache) / dataset.archives[0]
    reason = "downloads are switched off" if dataset.urls else "there is nowhere to download it from"
    if download and dataset.urls:
        try:
            with _locked(kept):
                if not kept.is_file():  # another process may have fetched it for other settings
                    fetch(dataset.urls, kept, check=lambda found: dataset.parse(found).check(dataset.description))
        except DataUnavailable as error:
            reason = str(error)
        else:
            return kept
    looked = "" if data_dir is None else f" in {data_dir} (looked for {', '.join(map(repr, dataset.archives))})"
    raise DataUnavailable(
        f"{dataset.name} is not here{looked}: put {dataset.archives[0]!r} into a folder and pass --data-dir FOLDER or "
        f"set KDBENCH_DATA, or run on a machine with a network, or try -d synthetic; {reason}"
    )


def _store(dataset: Dataset, windows: Windows, entry: Path) -> None:
    """Write an entry to a temporary sibling, then rename. The caller holds the entry's lock."""
    partial = entry.with_name(f"{entry.name}.partial")
    people = tuple(np.unique(windows.person).tolist())
    meta = {
        "digest": windows.digest(),
        "description": asdict(replace(dataset.description, people=people)),
        "report": dict(dataset.report),
        "version": dataset.version,
        "settings": dataset.settings,
    }
    meta = json.loads(json.dumps(meta))  # as it will be read
    with _machine(partial):
        for stale in (partial, entry):  # left by a killed process, or found damaged
            if stale.is_dir() and not stale.is_symlink():
                shutil.rmtree(stale)
            else:
                stale.unlink(missing_ok=True)
        partial.mkdir()
        for part in fields(Windows):
            np.save(partial / f"{part.name}.npy", getattr(windows, part.name), allow_pickle=False)
        text = json.dumps({**meta, "check": _check(meta)}, indent=1, sort_keys=True)
        (partial / "meta.json").write_text(text + "\n", encoding="utf-8")
        partial.rename(entry)


def _load(entry: Path) -> Prepared | None:
    """An entry, or None where it is missing, incomplete or not what its digests say."""
    try:
        meta = json.loads((entry / "meta.json").read_text(encoding="utf-8"))
        windows = Windows(
            **{
                part.name: np.load(
                    entry / f"{part.name}.npy", mmap_mode="r" if part.name == "x" else None, allow_pickle=False
                )
                for part in fields(Windows)
            }
        )
        if meta.pop("check") != _check(meta) or windows.digest() != meta["digest"]:
            return None
        return Prepared(windows, meta["digest"], _description(meta["description"]), meta["report"], entry)
    except (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError):
        return None


def _check(meta: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def _description(plain: dict[str, Any]) -> Description:
    channels = tuple(Channel(**channel) for channel in plain["channels"])
    lists = {key: tuple(plain[key]) for key in ("classes", "people")}
    return Description(**{**plain, **lists, "channels": channels})


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes away from ``path``, whose folder is created."""
    with _machine(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f"{path.name}.lock"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _machine(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into one line that names the path."""
    try:
        yield
    except OSError as error:
        what = f"{error.filename or path} cannot be written ({error.strerror or error})"
        raise MachineError(f"{what}; free some space or choose another cache folder") from error

"""What the `kdbench data` commands say and do."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kdbench.catalog.build import load_data, make_dataset
from kdbench.catalog.find import DATASETS
from kdbench.commands.refusals import refusals
from kdbench.data import Dataset, Prepared, cached, git_id, located, protocol
from kdbench.errors import DataUnavailable, KdbenchError
from kdbench.machine import Runtime
from kdbench.spec.words import Spec
from kdbench.text import aligned

if TYPE_CHECKING:
    from kdbench.results.figures import Maps

SHOWN_APART = ("people", "account", "rows lost", "warnings")
"""Parts of a dataset's report that are more than a number or a word."""

MOST_WINDOWS = 400
"""Windows of a class, evenly out of all, that its spectrum is the mean of."""

MOST_LINES = 40
"""Files, people or classes whose rows are listed."""


def overview(where: Runtime) -> str:
    """A line per dataset: what it is and whether it is here."""
    return "\n".join(aligned([[name, _presence(name, where)] for name in DATASETS.names()]))


def _load(dataset: Spec, where: Runtime, *, download: bool = False) -> Prepared:
    return load_data(DATASETS.close(dataset), where, download=download)  # closing refuses settings that it has not


def _made(dataset: Spec) -> Dataset:
    return make_dataset(DATASETS.close(dataset))


def _presence(name: str, where: Runtime) -> str:
    try:
        if usage := DATASETS.get(name).usage:
            return usage
        dataset = _made(Spec(name))
        data = cached(dataset, data_dir=where.data_dir, cache=where.cache)
        if data is None and dataset.archives:
            paths = located(dataset, data_dir=where.data_dir, cache=where.cache)
            if paths:
                return f"{paths[0]} is here, not parsed yet; `kdbench data fetch {name}` does"
            return f"not here; `kdbench data fetch {name}`, or its original archive in --data-dir"
        data = data or _load(Spec(name), where)
    except KdbenchError as error:
        return str(error).removeprefix(f"{name}: ")
    except Exception as error:  # a plug-in's: the list goes on
        return f"broken: {error!r}"
    about = data.description
    sides = "{} training and {} test windows".format(
        *(int((data.windows.test == side).sum()) for side in (False, True))
    )
    return f"here: {sides}, {len(about.channels)} x {about.length} at {about.rate:g} Hz, {len(about.classes)} classes"


def fetch(dataset: Spec, where: Runtime) -> str:
    """Make a dataset ready: from the cache, the data folder or its distributor.

    Raises:
        DataUnavailable: if it cannot be had.
        KdbenchError: if what was found is not it.
    """
    return f"{dataset}: ready, digest {_load(dataset, where, download=True).digest[:16]}"


def verify(dataset: Spec, where: Runtime) -> str:
    """Parse the original again, into a cache of its own, and compare with what training uses.

    Raises:
        DataUnavailable: if the original is neither in the data folder nor among the downloads.
        KdbenchError: if it is not what it should be, or differs from the cache.
    """
    used = _load(dataset, where)
    downloads = where.cache / "downloads" / dataset.name
    with TemporaryDirectory() as folder:
        elsewhere = replace(where, cache=Path(folder))
        try:
            fresh = _load(dataset, elsewhere)
        except DataUnavailable:
            if not downloads.is_dir():
                raise
            fresh = _load(dataset, replace(elsewhere, data_dir=downloads))
        if fresh.digest != used.digest:
            raise KdbenchError(f"{dataset}: the original gives digest {fresh.digest}, the cache {used.digest}")
        for what in ("description", "report"):
            if getattr(fresh, what) != getattr(used, what):
                where_to = f"remove {where.cache / 'data'} to have it read again"
                raise KdbenchError(f"{dataset}: the original gives another {what} than the cache has; {where_to}")
    return f"{dataset}: as it should be, digest {used.digest}{_origin(_made(dataset), where)}"


def _origin(dataset: Dataset, where: Runtime) -> str:
    """Whether the archive is the distributor's, byte for byte, where that can be told."""
    paths = [path for path in located(dataset, data_dir=where.data_dir, cache=where.cache) if path.is_file()]
    if not dataset.blobs or not paths:
        return ""
    same = git_id(paths[0].read_bytes()) in dataset.blobs
    return f"; {paths[0]} is {'' if same else 'not '}byte for byte the known archive"


def show(dataset: Spec, where: Runtime) -> str:
    """Description, class counts per side and per person, and what parsing noticed."""
    data = _load(dataset, where, download=True)
    about, windows = data.description, data.windows
    channels = ", ".join(f"{channel.name} ({channel.unit})" for channel in about.channels)
    said = {"licence": about.licence, "cite": about.citation, "page": about.url}  # own data need not say any
    head = [
        [about.title],
        [f"{len(windows.y)} windows of {len(about.channels)} x {about.length} samples at {about.rate:g} Hz"],
        [f"channels: {channels}"],
        *([f"{key}: {value}"] for key, value in said.items() if value),
        *([f"warning: {each}"] for each in data.warnings),
        *([f"{key}: {value}"] for key, value in data.report.items() if key not in SHOWN_APART),
        *([each] for each in data.report.get("rows lost", [])),
    ]
    counts = [["class", "training", "test"]]
    for label, name in enumerate(about.classes):
        of_class = windows.y == label
        counts.append([name, str(int((of_class & ~windows.test).sum())), str(int((of_class & windows.test).sum()))])
    counts.append(["all", str(int((~windows.test).sum())), str(int(windows.test.sum()))])
    people = [["person", "side", *about.classes]]
    for person in np.unique(windows.person).tolist():
        of_person = windows.person == person
        side = "test" if windows.test[of_person].all() else "training"
        each = np.bincount(windows.y[of_person], minlength=len(about.classes))
        people.append([data.person(person), side, *map(str, each.tolist())])
    tables = [head, counts, people, *_accounts(data.report.get("account", {}))]
    return "\n\n".join("\n".join(aligned(table)) for table in tables)


def _accounts(account: Mapping[str, Mapping[str, Mapping[str, int]]]) -> Iterator[list[list[str]]]:
    """What became of every row, by file, person and class; of many, those that lose most."""
    for kind, named in account.items():
        causes = list(dict.fromkeys(cause for counts in named.values() for cause in counts))
        lines = [[f"rows by {kind}", *causes]]
        most = sorted(named, key=lambda name: named[name].get(causes[0], 0) - sum(named[name].values()))[:MOST_LINES]
        lines += [[name, *(str(named[name].get(cause, 0)) for cause in causes)] for name in named if name in most]
        if len(named) > len(most):
            lines.append([f"and {len(named) - len(most)} more that lose less", *[""] * len(causes)])
        yield lines


def plot(dataset: Spec, where: Runtime, path: Path) -> None:
    """Draw a window of each class, of a training person where there is one, spectra, and maps of windows and losses."""
    from kdbench.results.figures import windows_figure

    data = _load(dataset, where, download=True)
    windows, about = data.windows, data.description
    rows = np.argsort(windows.test, kind="stable")  # training windows first
    labels, first = np.unique(windows.y[rows], return_index=True)
    classes = [about.classes[label] for label in labels.tolist()]
    units: dict[str, list[tuple[str, int]]] = {}
    for number, channel in enumerate(about.channels):
        units.setdefault(channel.unit, []).append((channel.name, number))
    with refusals():
        windows_figure(
            windows.x[rows[first]], classes, units, about.rate, path, title=about.title, maps=_maps(data, labels, units)
        )


def _maps(data: Prepared, labels: npt.NDArray[np.int64], units: Mapping[str, list[tuple[str, int]]]) -> Maps:
    """What is drawn below the example windows; ``labels`` are those of the classes that have any."""
    from kdbench.results.figures import Maps

    windows, spectra = data.windows, {}
    for unit, channels in units.items():
        numbers = [number for _, number in channels]
        means = []
        for label in labels:
            mine = np.flatnonzero(windows.y == label)
            some = windows.x[mine[:: max(1, len(mine) // MOST_WINDOWS)]][:, numbers].astype(np.float64)
            waves = (some - some.mean(axis=2, keepdims=True)) * np.hanning(some.shape[2])
            means.append(np.abs(np.fft.rfft(waves, axis=2)).mean(axis=(0, 1)) * 4 / some.shape[2])
        spectra[unit] = np.stack(means)
    people, causes = np.unique(windows.person).tolist(), dict[str, npt.NDArray[np.float64]]()
    named = data.report.get("account", {}).get("person", {})
    for number, who in enumerate(people):
        rows = {cause: count for cause, count in named.get(str(data.person(who)), {}).items() if cause != "unlabelled"}
        for cause in rows.keys() - {"in windows"}:
            causes.setdefault(cause, np.zeros(len(people)))[number] = rows[cause] / sum(rows.values())
    return Maps(
        people=[(data.person(who), bool(windows.test[windows.person == who].all())) for who in people],
        counts=np.array([[int(((windows.person == p) & (windows.y == k)).sum()) for k in labels] for p in people]),
        spectra=spectra,
        frequencies=np.fft.rfftfreq(windows.x.shape[2], 1 / data.description.rate).astype(np.float64),
        lost=dict(sorted(causes.items())),
    )


def splits(dataset: Spec, named: str, seed: int, where: Runtime) -> str:
    """Who is on which side: CSV with a line per person and fold.

    ``digest`` is that of the dataset's windows, ``rows`` are theirs, from 0, where a person is on both sides.

    Raises:
        KdbenchError: if there is no such protocol, or the dataset cannot be divided by it.
    """
    data = _load(dataset, where, download=True)
    chosen = protocol(named)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["dataset", "digest", "protocol", "seed", "fold", "person", "side", "windows", "rows"])
    for fold in range(chosen.folds(data.windows, dataset=data.description.name)):
        parts = chosen.split(data.windows, dataset=data.description.name, seed=seed, fold=fold)
        for side, part in (("training", parts.train), (parts.side, parts.evaluation)):
            for person in np.unique(data.windows.person[part]).tolist():
                rows = part[data.windows.person[part] == person]
                listed = " ".join(map(str, rows.tolist())) if chosen.leaky else ""
                who = data.person(person)
                table.writerow([data.description.name, data.digest, named, seed, fold, who, side, len(rows), listed])
    return text.getvalue().rstrip()

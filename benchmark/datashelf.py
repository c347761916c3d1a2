"""What the `kdbench data` commands say and do."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from kdbench.catalog import DATASETS
from kdbench.cells import Runtime, load_data
from kdbench.data import prepare, protocol
from kdbench.errors import DataUnavailable, KdbenchError
from kdbench.shelf import aligned
from kdbench.spec import Spec


def overview(where: Runtime) -> str:
    """A line per dataset: what it is and whether it is here."""
    return "\n".join(aligned([[name, _presence(name, where)] for name in DATASETS.names()]))


def _presence(name: str, where: Runtime) -> str:
    try:
        data = load_data(Spec(name), where)
    except DataUnavailable:
        return f"not here; `kdbench data fetch {name}`, or its original archive in --data-dir"
    except KdbenchError as error:
        return str(error)
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
    return f"{dataset}: ready, digest {load_data(dataset, where, download=True).digest[:16]}"


def verify(dataset: Spec, where: Runtime) -> str:
    """Parse the original again, into a cache of its own, and compare with what training uses.

    Raises:
        DataUnavailable: if the original is neither in the data folder nor among the downloads.
        KdbenchError: if it is not what it should be, or differs from the cache.
    """
    used = load_data(dataset, where)
    with TemporaryDirectory() as folder:
        downloads = where.cache / "downloads" / dataset.name
        data_dir = where.data_dir or (downloads if downloads.is_dir() else None)
        own = DATASETS.get(dataset.name)(**dict(dataset.settings))
        fresh = prepare(own, data_dir=data_dir, cache=Path(folder), download=False)
        if fresh.digest != used.digest:
            raise KdbenchError(f"{dataset}: the original gives digest {fresh.digest}, the cache {used.digest}")
    return f"{dataset}: as it should be, digest {used.digest}"


def show(dataset: Spec, where: Runtime) -> str:
    """Description, class counts per side and per person, and what parsing noticed."""
    data = load_data(dataset, where, download=True)
    about, windows = data.description, data.windows
    channels = ", ".join(f"{channel.name} ({channel.unit})" for channel in about.channels)
    head = [
        [about.title],
        [f"{len(windows.y)} windows of {len(about.channels)} x {about.length} samples at {about.rate:g} Hz"],
        [f"channels: {channels}"],
        [f"licence: {about.licence}"],
        [f"cite: {about.citation}"],
        [f"page: {about.url}"],
        *([f"{key}: {value}"] for key, value in data.report.items()),
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
        people.append([str(person), side, *map(str, each.tolist())])
    return "\n\n".join("\n".join(aligned(table)) for table in (head, counts, people))


def plot(dataset: Spec, where: Runtime, path: Path) -> None:
    """Draw an example window of each class."""
    from kdbench.results.figures import windows_figure

    data = load_data(dataset, where, download=True)
    windows, about = data.windows, data.description
    first = [int(np.flatnonzero((windows.y == label) & ~windows.test)[0]) for label in range(len(about.classes))]
    units: dict[str, list[tuple[str, int]]] = {}
    for number, channel in enumerate(about.channels):
        units.setdefault(channel.unit, []).append((channel.name, number))
    try:
        windows_figure(windows.x[first], about.classes, units, about.rate, path, title=about.title)
    except ValueError as error:
        raise KdbenchError(str(error)) from None


def splits(dataset: Spec, named: str, seed: int, where: Runtime) -> str:
    """Who is on which side: CSV with a line per person and fold.

    Raises:
        KdbenchError: if there is no such protocol, or the dataset cannot be divided by it.
    """
    data = load_data(dataset, where, download=True)
    chosen = protocol(named)
    lines = ["dataset,protocol,seed,fold,person,side,windows"]
    for fold in range(chosen.folds(data.windows, dataset=dataset.name)):
        rows = chosen.split(data.windows, dataset=dataset.name, seed=seed, fold=fold)
        for side, which in (("training", rows.train), (rows.side, rows.evaluation)):
            people, counts = np.unique(data.windows.person[which], return_counts=True)
            lines += [
                f"{dataset.name},{named},{seed},{fold},{person},{side},{count}"
                for person, count in zip(people.tolist(), counts.tolist(), strict=True)
            ]
    return "\n".join(lines)

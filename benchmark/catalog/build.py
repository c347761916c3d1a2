"""From what a cell names to the thing itself: a dataset's windows, a network, the sizes of its outputs."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from kdbench.architectures import Backbone, Shapes, probe
from kdbench.catalog.channels import seen
from kdbench.catalog.find import DATASETS
from kdbench.catalog.schema import CHANNELS
from kdbench.data import Dataset, Description, Prepared, prepare
from kdbench.machine import Runtime
from kdbench.spec.cell import Part


def make_dataset(part: Part) -> Dataset:
    """A dataset with its settings; nothing is read yet."""
    return DATASETS.get(part.name)(**dict(part.settings))


def load_data(part: Part, where: Runtime, *, download: bool = False) -> Prepared:
    """A dataset's windows, from the cache, the data folder or, if allowed, its distributor.

    Raises:
        DataUnavailable: if they cannot be had.
        KdbenchError: if what was found is not the dataset.
    """
    return prepare(make_dataset(part), data_dir=where.data_dir, cache=where.cache, download=download)


def make_network(cls: type[Backbone], part: Part, about: Description) -> Backbone:
    """A network for a dataset's windows, initialised from torch's random stream as it stands.

    Raises:
        ValueError, RuntimeError: if it cannot take such windows.
        KdbenchError: if it is to see channels that there are not.
    """
    return network_for(cls, part, tuple(channel.name for channel in about.channels), about.length, len(about.classes))


def network_shapes(cls: type[Backbone], part: Part, about: Description) -> Shapes:
    """Sizes of a network's outputs on a dataset's windows; torch's random stream stays as it was.

    Raises:
        ValueError, RuntimeError: if it cannot take such windows.
    """
    known: Any = cls  # mypy takes a class of modules for not hashable
    return _shapes(known, part, tuple(channel.name for channel in about.channels), about.length, len(about.classes))


@cache
def _shapes(cls: type[Backbone], part: Part, names: tuple[str, ...], length: int, classes: int) -> Shapes:
    with torch.random.fork_rng(devices=[]):
        return probe(network_for(cls, part, names, length, classes), len(names), length)


def network_for(cls: type[Backbone], part: Part, names: tuple[str, ...], length: int, classes: int) -> Backbone:
    """A network for windows whose channels have these names.

    Raises:
        ValueError, RuntimeError: if it cannot take such windows.
        KdbenchError: if it is to see channels that there are not.
    """
    chosen = seen(part, names)
    settings = {key: value for key, value in part.settings if key != CHANNELS.name}
    network = cls(len(chosen), length, classes, **settings)
    if len(chosen) < len(names):
        network.sees = chosen
    return network

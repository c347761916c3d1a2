"""From what a cell names to the thing itself: a dataset's windows, a network, the sizes of its outputs."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from kdbench.architectures import Backbone, Shapes, probe
from kdbench.catalog.find import DATASETS
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
    """
    return cls(len(about.channels), about.length, len(about.classes), **dict(part.settings))


def network_shapes(cls: type[Backbone], part: Part, about: Description) -> Shapes:
    """Sizes of a network's outputs on a dataset's windows; torch's random stream stays as it was.

    Raises:
        ValueError, RuntimeError: if it cannot take such windows.
    """
    known: Any = cls  # mypy takes a class of modules for not hashable
    return _shapes(known, part, len(about.channels), about.length, len(about.classes))


@cache
def _shapes(cls: type[Backbone], part: Part, channels: int, length: int, classes: int) -> Shapes:
    with torch.random.fork_rng(devices=[]):
        return probe(cls(channels, length, classes, **dict(part.settings)), channels, length)

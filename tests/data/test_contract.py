"""What holds for every dataset: one public file each, found in the folder."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from pathlib import Path

import numpy as np
import pytest

import kdbench.data
from kdbench.data import Dataset

TOML = """
name = "my_study"
citation = "unpublished"
licence = "none"
rate = 50
classes = ["walking", "sitting"]
channels = [{ name = "acc_x", unit = "g" }]
[split]
test = [1]
[recordings]
person = "person"
label = "label"
length = 128
step = 64
"""
NAMES = sorted(module.name for module in pkgutil.iter_modules(kdbench.data.__path__) if not module.name.startswith("_"))


def public(name: str) -> list[type[Dataset]]:
    module = importlib.import_module(f"kdbench.data.{name}")
    return [
        value
        for key, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, Dataset) and value.__module__ == module.__name__
        if not key.startswith("_")
    ]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What a dataset cannot do without, where it is more than nothing."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "dataset.toml").write_text(TOML)
    return {"own": {"path": str(folder)}}


def dataset(name: str, **settings: str) -> Dataset:
    return public(name)[0](**settings)


def test_the_built_in_datasets_are_found() -> None:
    found = {
        "classyglass",
        "hapt",
        "mhealth",
        "motionsense",
        "own",
        "pamap2",
        "selfback",
        "synthetic",
        "uci_har",
        "whar",
        "wisdm",
    }
    assert found <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_holds_one_public_dataset_of_its_name(name: str) -> None:
    assert [found.name for found in public(name)] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_is_the_class_s_own(name: str) -> None:
    assert public(name)[0].__dict__.get("__doc__")


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_plain_and_kept_under_its_own_name(name: str) -> None:
    assert json.loads(json.dumps(dataset(name).settings)) == dataset(name).settings


@pytest.mark.parametrize("name", [name for name in NAMES if name != "whar"])  # what it says is in a cache's files
def test_the_description_is_complete(name: str, settings: dict[str, dict[str, str]]) -> None:
    description = dataset(name, **settings.get(name, {})).description
    assert description.name == ("my_study" if name == "own" else name)
    assert description.title
    assert description.citation
    assert description.licence
    assert description.rate > 0
    assert description.length > 0
    assert len(set(description.classes)) == len(description.classes) >= 2
    names = [channel.name for channel in description.channels]
    assert len(set(names)) == len(names) >= 1
    assert all(channel.unit for channel in description.channels)


@pytest.mark.parametrize("name", NAMES)
def test_what_needs_files_says_how_to_find_them(name: str) -> None:
    found = dataset(name)
    assert bool(found.archives) >= bool(found.marker or found.urls)
    assert all(url.startswith("https://") for url in found.urls)
    assert all(Path(archive).name == archive for archive in found.archives)


@pytest.mark.parametrize("name", [name for name in NAMES if not dataset(name).archives and not dataset(name).usage])
def test_what_needs_no_file_gives_the_same_valid_windows_every_time(name: str) -> None:
    windows = dataset(name).parse(None)
    windows.check(dataset(name).description)
    assert windows.digest() == dataset(name).parse(None).digest()
    assert len(np.unique(windows.y)) == len(dataset(name).description.classes)
    assert not set(windows.person[windows.test].tolist()) & set(windows.person[~windows.test].tolist())

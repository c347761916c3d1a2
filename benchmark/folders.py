"""Folders in which each public file is one thing of a kind, known by the file's name."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from importlib import import_module


def public_files(folder: Iterable[str]) -> list[str]:
    """Names of the public modules in a package's ``__path__``, in order."""
    return sorted(module.name for module in pkgutil.iter_modules(folder) if not module.name.startswith("_"))


def first_lines(package: str, names: Iterable[str]) -> dict[str, str]:
    """What each of some modules of a package says that it is."""
    return {name: (import_module(f"{package}.{name}").__doc__ or "").splitlines()[0] for name in names}

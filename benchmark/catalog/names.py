"""Which names there are and which module defines each, without importing any."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from kdbench.errors import KdbenchError, nearest
from kdbench.folders import public_files

HASH = 8
"""Hexadecimal digits of a content's hash in the name of a file of no package."""


@dataclass(frozen=True)
class Definition:
    """Where the class of a name is defined.

    Args:
        module: its full name.
        name: of the class; None where it is the one public class of its file.
        file: where the module is a file of no package.
    """

    module: str
    name: str | None
    file: Path | None = None

    def __str__(self) -> str:
        if self.file is not None:
            return str(self.file)
        return self.module if self.name is None else f"{self.module}:{self.name}"


def file_name(path: Path) -> str:
    """What a file of no package is known by: its own name and a hash of its content, as in ``mine@1f2e3d4c``.

    Raises:
        KdbenchError: if there is no such file, or it cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise KdbenchError(f"there is no file {path}") from None
    except OSError as error:
        raise KdbenchError(f"cannot read {path}: {error.strerror}") from None
    if not re.fullmatch(r"\w+", path.stem):
        raise KdbenchError(f"{path}: such a file is called by letters, digits and _, as in my_method.py")
    return f"{path.stem}@{hashlib.sha256(content).hexdigest()[:HASH]}"


class Names:
    """All names of one kind.

    Args:
        kind: what error messages call them, also the entry-point group ``kdbench.<kind>``.
        package: full name of the package with the built-in ones.
        base: the class that each of them extends.
    """

    def __init__(self, kind: str, package: str, base: Definition) -> None:
        self.kind, self.package, self.base = kind, package, base
        self._files: dict[str, Path] = {}
        self._folders: dict[Path, None] = {}

    def add_file(self, path: Path) -> str:
        """Know the class of a file of no package; returns what it is known by, which holds its content.

        Raises:
            KdbenchError: as `file_name`.
        """
        name = file_name(path)
        self._files[name] = path
        return name

    def look_in(self, folder: Path) -> None:
        """Look for files of no package in a folder too, each as ``HASH/NAME.py``."""
        self._folders[folder] = None

    def file_of(self, name: str) -> Path | None:
        """The file that ``mine@1f2e3d4c`` means, with that content, or None where it is not here."""
        stem, _, digest = name.partition("@")
        kept = [folder / digest / f"{stem}.py" for folder in self._folders]
        for path in ([self._files[name]] if name in self._files else []) + kept:
            if path.is_file() and file_name(path) == name:
                return path
        return None

    @cached_property
    def built_in(self) -> list[str]:
        found = importlib.util.find_spec(self.package)
        assert found is not None
        return public_files(found.submodule_search_locations or ())

    @cached_property
    def _plugged(self) -> dict[str, list[EntryPoint]]:
        """Who claims a name, from outside."""
        found: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=f"kdbench.{self.kind}"):
            found.setdefault(point.name, []).append(point)
        return found

    def all(self) -> list[str]:
        """Every known name."""
        return sorted({*self.built_in, *self._plugged})

    def find(self, name: str) -> Definition:
        """Where a name is defined.

        Raises:
            KdbenchError: if there is none, or two claim the name.
        """
        if "@" in name:
            path = self.file_of(name)
            if path is None:
                raise KdbenchError(f"the file of {name!r} in {self.kind} is not here, or no longer of that content")
            return Definition(f"kdbench_file_{name.replace('@', '_')}", None, path)
        if name not in self.all():
            raise KdbenchError(nearest(self.kind, name, self.all()))
        claims = sorted({point.value for point in self._plugged.get(name, [])})
        if name in self.built_in and claims:
            raise KdbenchError(f"{name!r} in {self.kind} is built in and claimed by {', '.join(claims)} too")
        if len(claims) > 1:
            raise KdbenchError(f"{name!r} in {self.kind} is claimed by {' and '.join(claims)}; uninstall all but one")
        if name in self.built_in:
            return Definition(f"{self.package}.{name}", None)
        point = self._plugged[name][0]
        try:
            return Definition(point.module, point.attr)
        except (AttributeError, AssertionError):
            raise KdbenchError(f"{name!r} in {self.kind} is to be {point.value!r}, wanted module:Class") from None


METHOD_NAMES = Names("methods", "kdbench.methods", Definition("kdbench.methods._base", "Method"))
NETWORK_NAMES = Names("architectures", "kdbench.architectures", Definition("kdbench.architectures._base", "Backbone"))
REFERENCE_NAMES = Names("references", "kdbench.references", Definition("kdbench.references._base", "Reference"))
DATASET_NAMES = Names("datasets", "kdbench.data", Definition("kdbench.data._base", "Dataset"))

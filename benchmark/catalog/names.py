"""Which names there are and which module defines each, without importing any."""

from __future__ import annotations

import importlib.util
import pkgutil
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points

from kdbench.errors import KdbenchError, nearest


@dataclass(frozen=True)
class Definition:
    """Where the class of a name is defined.

    Args:
        module: its full name.
        name: of the class; None where it is the one public class of a built-in's file.
    """

    module: str
    name: str | None

    def __str__(self) -> str:
        return self.module if self.name is None else f"{self.module}:{self.name}"


class Names:
    """All names of one kind.

    Args:
        kind: what error messages call them, also the entry-point group ``kdbench.<kind>``.
        package: full name of the package with the built-in ones.
        base: the class that each of them extends.
    """

    def __init__(self, kind: str, package: str, base: Definition) -> None:
        self.kind, self.package, self.base = kind, package, base

    @cached_property
    def built_in(self) -> list[str]:
        found = importlib.util.find_spec(self.package)
        assert found is not None
        modules = pkgutil.iter_modules(found.submodule_search_locations)
        return sorted(module.name for module in modules if not module.name.startswith("_"))

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
        return Definition(point.module, point.attr)


METHOD_NAMES = Names("methods", "kdbench.methods", Definition("kdbench.methods._base", "Method"))
NETWORK_NAMES = Names("architectures", "kdbench.architectures", Definition("kdbench.architectures._base", "Backbone"))
DATASET_NAMES = Names("datasets", "kdbench.data", Definition("kdbench.data._base", "Dataset"))

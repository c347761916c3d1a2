"""Names to classes, built-in ones and those of plug-ins."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar, cast

from kdbench.architectures import Backbone
from kdbench.catalog.names import DATASET_NAMES, METHOD_NAMES, NETWORK_NAMES, REFERENCE_NAMES, Definition, Names
from kdbench.catalog.schema import Setting, closed, settings_of, short
from kdbench.data import Dataset
from kdbench.errors import KdbenchError
from kdbench.methods import Method
from kdbench.references import Reference
from kdbench.spec.cell import Part
from kdbench.spec.words import Spec
from kdbench.text import described

T = TypeVar("T", bound=Method | Backbone | Dataset | Reference)


_outsiders: set[str] = set()
_being_read: set[Path] = set()


class _RunsAgain(KdbenchError):
    """A file that is read for its class asks for that class itself."""


def outsiders() -> bool:
    """Whether a class from outside kdbench was loaded into this process, which it may have changed."""
    return bool(_outsiders)


class Catalog(Generic[T]):
    """All classes of one kind.

    Args:
        known: which names there are.
        base: the class that each of them extends.
    """

    def __init__(self, known: Names, base: Any) -> None:
        self.known, self.base = known, base
        self._classes: dict[str, type[T]] = {}

    def names(self) -> list[str]:
        """Every known name."""
        return self.known.all()

    def get(self, name: str) -> type[T]:
        """The class of a name.

        Raises:
            KdbenchError: if there is none, two claim the name, or it cannot be imported.
        """
        found = self._classes.get(name)
        if found is None:
            definition = self.known.find(name)
            if definition.file is not None:
                found = self.read(definition.file, definition.module)
            else:
                found = self._built_in(definition) if definition.name is None else self._plugged(name, definition)
            self._classes[name] = found
        return found

    def _built_in(self, definition: Definition) -> type[T]:
        try:
            module = importlib.import_module(definition.module)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # somebody's new file
            raise KdbenchError(f"{definition} cannot be imported: {described(error)}") from error
        return self._only(module)

    def _plugged(self, name: str, definition: Definition) -> type[T]:
        _outsiders.add(str(definition))
        try:
            loaded: Any = importlib.import_module(definition.module)
            for attribute in str(definition.name).split("."):
                loaded = getattr(loaded, attribute)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise KdbenchError(f"{definition}, the plug-in {name!r} in {self.known.kind}: {described(error)}") from None
        if not (inspect.isclass(loaded) and issubclass(loaded, self.base)):
            raise KdbenchError(f"{definition} is not a subclass of {self.base.__name__}")
        return self._whole(loaded, str(definition))

    def _only(self, module: ModuleType) -> type[T]:
        """The one public class that a file defines."""
        public = [
            value
            for key, value in vars(module).items()
            if inspect.isclass(value)
            and issubclass(value, self.base)
            and value.__module__ == module.__name__
            and not key.startswith("_")
        ]
        if len(public) != 1:
            raise KdbenchError(f"{module.__file__} defines {len(public)} public {self.known.kind}, wanted exactly one")
        return self._whole(public[0], f"{module.__file__}")

    def read(self, path: Path, module_name: str | None = None) -> type[T]:
        """The class that a file anywhere defines, whether or not its name is known here.

        Args:
            path: of the file.
            module_name: what its module is called; after the file by default.

        Raises:
            KdbenchError: if there is no such file, it cannot be imported or does not define exactly one class.
        """
        if not path.is_file():
            raise KdbenchError(f"there is no file {path}")
        if path in _being_read:  # a script that has a class and works with it, which would go on without end
            raise _RunsAgain(
                f"{path} begins a run while it is imported for its class; put what must not be run again under "
                "`if __name__ == '__main__':`, or the class into a file of its own"
            )
        _outsiders.add(str(path))
        found = importlib.util.spec_from_file_location(module_name or f"kdbench_file_{path.stem}", path)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        sys.modules[module.__name__] = module  # dataclasses and type hints look their module up
        _being_read.add(path)
        try:
            found.loader.exec_module(module)
        except (_RunsAgain, KeyboardInterrupt):
            raise
        except SyntaxError as error:
            raise KdbenchError(f"{error.filename or path}:{error.lineno}: {error.msg}") from error
        except BaseException as error:  # somebody's new file
            raise KdbenchError(f"{path} cannot be imported: {described(error)}") from error
        finally:
            _being_read.discard(path)
        return self._only(module)

    def _whole(self, cls: Any, where: str) -> type[T]:
        for attribute, hint in self.base.__annotations__.items():
            if str(hint).startswith("ClassVar") and not hasattr(cls, attribute):
                raise KdbenchError(f"{where} lacks the class attribute {attribute!r}")
        return cast(type[T], cls)

    def schema(self, name: str) -> Mapping[str, Setting]:
        """The settings of a name, in the order of its signature."""
        return settings_of(cast(Any, self.get(name)))

    def close(self, spec: Spec) -> Part:
        """Write every default out.

        Raises:
            KdbenchError: if the name or a setting is unknown, or a value is not legal.
        """
        return closed(self.get(spec.name), spec)

    def short(self, spec: Spec) -> Spec:
        """The same thing said with as few settings as possible, in the order of the signature."""
        return short(self.get(spec.name), spec)


METHODS: Catalog[Method] = Catalog(METHOD_NAMES, Method)
NETWORKS: Catalog[Backbone] = Catalog(NETWORK_NAMES, Backbone)
REFERENCES: Catalog[Reference] = Catalog(REFERENCE_NAMES, Reference)
DATASETS: Catalog[Dataset] = Catalog(DATASET_NAMES, Dataset)

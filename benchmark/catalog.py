"""Names to classes, signatures to schemas: what can be listed in a matrix, and with which settings.

Built-in methods, networks and datasets are found in their folders (one public file each); an installed package adds its
own through the entry-point groups ``kdbench.methods``, ``kdbench.architectures`` and ``kdbench.datasets``.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import inspect
import math
import pkgutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar, cast, get_type_hints

import kdbench.architectures
import kdbench.data
import kdbench.methods
from kdbench.architectures import Backbone, Choice, Range
from kdbench.data import Dataset
from kdbench.errors import KdbenchError, nearest
from kdbench.methods import Method
from kdbench.spec import Part, Spec, Value


@dataclass(frozen=True)
class Setting:
    """One keyword-only argument of a class.

    Args:
        name: the keyword.
        type: str, int, float or bool.
        default: its default.
        legal: which values it may have; None for any of its type.
    """

    name: str
    type: type
    default: Value
    legal: Range | Choice | None

    def read(self, value: Value, owner: str) -> Value:
        """The value as its type has it.

        Raises:
            KdbenchError: if it is of another type or not legal.
        """
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value) if abs(value) < 2**1023 else math.inf
        if not isinstance(value, self.type) or (isinstance(value, bool) and self.type is not bool):
            raise KdbenchError(f"{owner}: {self.name}={value!r} is not {_ARTICLE[self.type]}")
        if self.legal is not None and value not in self.legal:
            if isinstance(self.legal, Choice):
                raise KdbenchError(f"{owner}: {nearest(self.name, str(value), map(str, self.legal.values))}")
            raise KdbenchError(f"{owner}: {self.name}={value} is outside {self.legal}")
        return value


_ARTICLE: dict[type, str] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


T = TypeVar("T", bound=Method | Backbone | Dataset)


class Catalog(Generic[T]):
    """All classes of one kind.

    Args:
        kind: what error messages call them, also the entry-point group ``kdbench.<kind>``.
        package: the folder of the built-in ones.
        base: the class that each of them extends.
        shares: whether the package's private modules hold what its classes compute with.
    """

    def __init__(self, kind: str, package: ModuleType, base: Any, *, shares: bool) -> None:
        self.kind, self.package, self.base, self.shares = kind, package, base, shares

    @cached_property
    def _built_in(self) -> list[str]:
        modules = pkgutil.iter_modules(self.package.__path__)
        return sorted(module.name for module in modules if not module.name.startswith("_"))

    @cached_property
    def _plugged(self) -> dict[str, list[EntryPoint]]:
        """Who claims a name, from outside."""
        found: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=f"kdbench.{self.kind}"):
            found.setdefault(point.name, []).append(point)
        return found

    def names(self) -> list[str]:
        """Every known name."""
        return sorted({*self._built_in, *self._plugged})

    def get(self, name: str) -> type[T]:
        """The class of a name.

        Raises:
            KdbenchError: if there is none, two claim the name, or a plug-in's cannot be imported.
        """
        found = self._classes.get(name)
        if found is None:
            found = self._classes[name] = self._find(name)
        return found

    @cached_property
    def _classes(self) -> dict[str, type[T]]:
        return {}

    def _find(self, name: str) -> type[T]:
        if name not in self.names():
            raise KdbenchError(nearest(self.kind, name, self.names()))
        claims = sorted({point.value for point in self._plugged.get(name, [])})
        if name in self._built_in and claims:
            raise KdbenchError(f"{name!r} in {self.kind} is built in and claimed by {', '.join(claims)} too")
        if len(claims) > 1:
            raise KdbenchError(f"{name!r} in {self.kind} is claimed by {' and '.join(claims)}; uninstall all but one")
        if name in self._built_in:
            return self._only(self._imported(name))
        try:
            loaded = self._plugged[name][0].load()
        except Exception as error:
            raise KdbenchError(f"{claims[0]}, the plug-in {name!r} in {self.kind}: {error!r}") from None
        if not (inspect.isclass(loaded) and issubclass(loaded, self.base)):
            raise KdbenchError(f"{claims[0]} is not a subclass of {self.base.__name__}")
        return self._whole(loaded, claims[0])

    def _imported(self, name: str) -> ModuleType:
        try:
            return importlib.import_module(f"{self.package.__name__}.{name}")
        except Exception as error:  # somebody's new file
            raise KdbenchError(f"{self.package.__name__}.{name} cannot be imported: {error!r}") from error

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
            raise KdbenchError(f"{module.__file__} defines {len(public)} public {self.kind}, wanted exactly one")
        return self._whole(public[0], f"{module.__file__}")

    def read(self, path: Path) -> type[T]:
        """The class that a file anywhere defines, whether or not its name is known here.

        Raises:
            KdbenchError: if there is no such file, it cannot be imported or does not define exactly one class.
        """
        if not path.is_file():
            raise KdbenchError(f"there is no file {path}")
        found = importlib.util.spec_from_file_location(f"kdbench_file_{path.stem}", path)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        sys.modules[module.__name__] = module  # dataclasses and type hints look their module up
        try:
            found.loader.exec_module(module)
        except SyntaxError as error:
            raise KdbenchError(f"{error.filename or path}:{error.lineno}: {error.msg}") from error
        except (Exception, SystemExit) as error:  # somebody's new file
            raise KdbenchError(f"{path} cannot be imported: {error!r}") from error
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
        chosen = self._chosen(spec)
        settings = tuple((s.name, chosen.get(s.name, s.default)) for s in self.schema(spec.name).values())
        return Part(spec.name, settings, self.get(spec.name).version)

    def short(self, spec: Spec) -> Spec:
        """The same thing said with as few settings as possible, in the order of the signature."""
        chosen = self._chosen(spec)
        different = {s.name: chosen[s.name] for s in self.schema(spec.name).values() if s.name in chosen}
        return Spec(spec.name, {k: v for k, v in different.items() if v != self.schema(spec.name)[k].default})

    def _chosen(self, spec: Spec) -> dict[str, Value]:
        schema = self.schema(spec.name)
        for key in spec.settings:
            if key not in schema:
                raise KdbenchError(nearest(f"settings of {spec.name}", key, schema))
        return {key: schema[key].read(value, spec.name) for key, value in spec.settings.items()}

    def source(self, name: str) -> str:
        """Hash of the code that defines a name, for telling whether results are older than their source.

        Its own file's, and that of the private modules beside the built-in ones where those hold formulas or layers.
        """
        own = [Path(file)] if (file := inspect.getsourcefile(self.get(name))) else []
        shared = [path for folder in self.package.__path__ for path in sorted(Path(folder).glob("_*.py"))]
        return code_hash(*own, *(shared if self.shares else []))


@cache
def settings_of(cls: Any) -> Mapping[str, Setting]:
    """The settings that a class takes, in the order of its signature.

    Raises:
        KdbenchError: if one lacks a default or is of no plain type.
    """
    hints = get_type_hints(cls.__init__, include_extras=True)
    schema = {}
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        hint = hints[parameter.name]
        legal = next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Range | Choice)), None)
        plain: Any = getattr(hint, "__origin__", hint)
        if plain not in _ARTICLE or parameter.default is parameter.empty:
            wanted = "needs a default and a type among str, int, float, bool"
            raise KdbenchError(f"{cls.__name__}: {parameter.name} {wanted}")
        default = float(parameter.default) if plain is float else parameter.default
        schema[parameter.name] = Setting(parameter.name, plain, default, legal)
    return schema


@cache
def code_hash(*paths: Path) -> str:
    """Hash of files' code; a better docstring or comment does not make results old."""
    total = hashlib.sha256()
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):  # a docstring
                node.value = ast.Constant(value="")
        total.update(ast.unparse(tree).encode())
    return total.hexdigest()[:16]


METHODS: Catalog[Method] = Catalog("methods", kdbench.methods, Method, shares=True)
NETWORKS: Catalog[Backbone] = Catalog("architectures", kdbench.architectures, Backbone, shares=True)
DATASETS: Catalog[Dataset] = Catalog("datasets", kdbench.data, Dataset, shares=False)
# What a dataset gives is in every cell, as the digest of its windows.

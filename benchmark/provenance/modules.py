"""Where the source of a module is, found without importing it."""

from __future__ import annotations

import sys
from functools import cache
from importlib import invalidate_caches
from importlib.machinery import ModuleSpec
from pathlib import Path
from sysconfig import get_paths

from kdbench.errors import KdbenchError
from kdbench.provenance.definitions import Source, read_source


def forget_sources() -> None:
    """Read files anew from now on; a process reads each once."""
    invalidate_caches()
    source_of.cache_clear()
    is_loose.cache_clear()
    _found.cache_clear()


def is_file(module: str) -> bool:
    return Path(module).is_absolute()


@cache
def is_loose(module: str) -> bool:
    """Whether it is one file of no package, such as one beside a user's method: neither Python's own nor installed."""
    spec = None if is_file(module) or "." in module else _found(module)
    if spec is None or spec.submodule_search_locations is not None or not (spec.origin or "").endswith(".py"):
        return False
    path, own = Path(str(spec.origin)).resolve(), (get_paths()["stdlib"], get_paths()["platstdlib"])
    installed = any(part.endswith("-packages") for part in path.parts)  # where pip or a distribution installs
    return not installed and not any(path.is_relative_to(Path(each).resolve()) for each in own)


@cache
def source_of(module: str) -> Source | None:
    """A module's source; None if there is none here, as of a compiled one.

    Raises:
        KdbenchError: if it is not Python or cannot be read.
    """
    if is_file(module):
        path, is_package = Path(module), False
    else:
        spec = _found(module)
        if spec is None or not (spec.origin or spec.submodule_search_locations):
            return None
        is_package = spec.submodule_search_locations is not None
        if spec.origin is None:
            return Source(module, is_package)  # a folder without __init__.py
        path = Path(spec.origin)
    if path.suffix != ".py" or not path.is_file():
        return None
    package = "" if is_file(module) else module if is_package else module.rpartition(".")[0]
    try:
        return read_source(path.read_bytes(), module, package, is_package=is_package)
    except SyntaxError as error:
        raise KdbenchError(f"{path}:{error.lineno}: {error.msg}") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte
        raise KdbenchError(f"{path} cannot be read: {error}") from error


@cache
def _found(module: str) -> ModuleSpec | None:
    """Where a module is, asked of the same finders as an import would, which would also run its parents."""
    parent = module.rpartition(".")[0]
    above = _found(parent) if parent else None
    if parent and (above is None or above.submodule_search_locations is None):
        return None
    path = list(above.submodule_search_locations or ()) if above else None
    try:
        found = (finder.find_spec(module, path) for finder in sys.meta_path)
        return next((spec for spec in found if spec is not None), None)
    except KeyError:  # a folder without __init__.py in one that is not loaded, for which Python asks its parent
        spec = ModuleSpec(module, None, is_package=True)
        spec.submodule_search_locations = [str(Path(each, module.rpartition(".")[2])) for each in path or ()]
        return spec

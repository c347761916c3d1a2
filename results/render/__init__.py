"""A sheet as text: one module a format, and markup nowhere else.

A format for readers is a public module with a function ``page_text(page) -> str``, and with ``VARIANTS`` where the same
markup comes in other shapes: ``{"input": function}`` in `latex` is the format ``latex-input``. `csv` is for programs,
of sheets. Each has ``ENDINGS``, those of its files.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

from kdbench.errors import nearest
from kdbench.folders import public_files
from kdbench.results.render._bibtex import bibtex
from kdbench.results.render.csv import FORMS, csv_text
from kdbench.results.render.markdown import markdown_text
from kdbench.results.sheet import Page

__all__ = ["FORMS", "all_formats", "bibtex", "csv_text", "format_of_file", "markdown_text", "page_formats", "page_text"]


def page_formats() -> list[str]:
    """Names of the formats for readers."""
    return [f"{name}-{variant}" if variant else name for name in _modules() for variant in ("", *_variants(name))]


def all_formats() -> list[str]:
    """Names of the formats for readers and of those for programs."""
    return [*page_formats(), *FORMS]


def format_of_file(path: Path, form: str | None, default: str, more: Mapping[str, str] | None = None) -> str:
    """The format of a file that is to be written: what was asked for, else what its ending says, else the default.

    Args:
        path: the file.
        form: what was asked for, if anything was; a format and its variants, as csv and csv-wide, share their endings.
        default: for what has no name of its own, such as /dev/stdout.
        more: endings beside those of tables, with their formats.

    Raises ``ValueError`` where the ending is unknown, or says another format than was asked for.
    """
    known = {ending: name for name in [*_modules(), "csv"] for ending in _module(name).ENDINGS} | dict(more or {})
    ending = path.suffix or path.name  # of `.tex` all is ending
    meant = known.get(ending.lower())
    if form is None:
        if meant is None and not path.is_char_device() and not path.is_fifo():
            raise ValueError(f"-o {path.name} came; its ending may be {', '.join(sorted(known))}, or name a --format")
        return meant or default
    if meant is not None and form.partition("-")[0] != meant:
        raise ValueError(f"-o {path.name} and --format {form} came, but {ending} is {meant}; drop one, or rename")
    return form


def page_text(page: Page, form: str = "markdown") -> str:
    """A page in a format for readers.

    Raises ``ValueError`` where there is no such format.
    """
    if form not in page_formats():
        raise ValueError(nearest("formats", form, page_formats()))
    name, _, variant = form.partition("-")
    write: Callable[[Page], str] = _variants(name)[variant] if variant else _module(name).page_text
    return write(page)


def _modules() -> list[str]:
    return [name for name in public_files(__path__) if name != "csv"]


def _module(name: str) -> ModuleType:
    return import_module(f"{__name__}.{name}")


def _variants(name: str) -> Mapping[str, Callable[[Page], str]]:
    found: Mapping[str, Callable[[Page], str]] = getattr(_module(name), "VARIANTS", {})
    return found

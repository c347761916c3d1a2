"""A sheet as text: one module a format, and markup nowhere else.

A format for readers is a public module with a function ``page_text(page) -> str``; `csv` is for programs, of sheets.
"""

import pkgutil
from importlib import import_module

from kdbench.errors import nearest
from kdbench.results.render.csv import csv_text
from kdbench.results.render.markdown import markdown_text
from kdbench.results.sheet import Page

__all__ = ["csv_text", "markdown_text", "page_formats", "page_text"]


def page_formats() -> list[str]:
    """Names of the formats for readers."""
    return sorted(
        module.name
        for module in pkgutil.iter_modules(__path__)
        if module.name != "csv" and not module.name.startswith("_")
    )


def page_text(page: Page, form: str = "markdown") -> str:
    """A page in a format for readers.

    Raises ``ValueError`` where there is no such format.
    """
    if form not in page_formats():
        raise ValueError(nearest("formats", form, [*page_formats(), "csv", "csv-wide"]))
    text: str = import_module(f"{__name__}.{form}").page_text(page)
    return text

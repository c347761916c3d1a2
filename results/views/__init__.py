"""What is recorded and no table of scores shows: one public module a view, found by its name.

Each has ``page(seen) -> Page``, which any renderer makes a text of, and its docstring's first line is what lists say.
"""

from importlib import import_module

from kdbench.errors import nearest
from kdbench.folders import first_lines, public_files
from kdbench.results.seen import Seen
from kdbench.results.sheet import Page

__all__ = ["view_page", "views"]


def views() -> dict[str, str]:
    """What each view shows, by its name."""
    return first_lines(__name__, public_files(__path__))


def view_page(name: str, seen: Seen) -> Page:
    """The page of a view.

    Raises:
        ValueError: if there is no such view, or nothing that it could show.
    """
    if name not in views():
        raise ValueError(nearest("views", name, views()))
    page: Page = import_module(f"{__name__}.{name}").page(seen)
    return page

"""BibTeX, for what a LaTeX table names."""

from collections.abc import Sequence
from typing import Protocol

from kdbench.results.render.latex import escaped


class Cited(Protocol):
    """A publication, as `kdbench.catalog.citations` reads it."""

    @property
    def key(self) -> str: ...
    @property
    def authors(self) -> Sequence[str]: ...
    @property
    def title(self) -> str: ...
    @property
    def venue(self) -> str: ...
    @property
    def year(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def said(self) -> str: ...


def bibtex(cited: Sequence[Cited]) -> str:
    """An entry for each; one without a title of its own has all that is known as a note."""
    return "\n".join(map(_entry, cited))


def _entry(each: Cited) -> str:
    kind = "inproceedings" if each.venue and each.title else "misc"
    fields = {
        "author": " and ".join(map(escaped, each.authors)),
        "title": f"{{{escaped(each.title)}}}" if each.title else "",
        "booktitle" if kind == "inproceedings" else "howpublished": escaped(each.venue),
        "year": each.year,
        "url": each.url,
        "note": "" if each.title else escaped(each.said),
    }
    lines = [f"  {name} = {{{text}}}," for name, text in fields.items() if text]
    return "\n".join([f"@{kind}{{{each.key},", *lines, "}", ""])

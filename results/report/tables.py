"""Pages as HTML whose tables sort and filter. All texts are escaped here and nowhere else."""

from collections.abc import Iterable
from html import escape
from math import isfinite

from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.tables.model import Standing

CLASSES = {Standing.BEST: "best", Standing.TIER: "best", Standing.SECOND: "second"}
FILTERED = 8
"""Shorter tables need no field to search in."""
WARNING = "Warning:"


def page_parts(page: Page) -> str:
    """A page's sheets and paragraphs, without its title."""
    return "\n".join(paragraph(part) if isinstance(part, str) else sheet(part) for part in page.parts)


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph; one that warns stands out."""
    kind = kind or ("warning" if text.startswith(WARNING) else "")
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def sheet(of: Sheet) -> str:
    """A table under its title, above its caption, with a field that filters its lines where they are many."""
    heads = "".join(_head(column) for column in of.columns)
    lines = "\n".join(_line(row, of.columns) for row in of.rows)
    title = f"<h3>{escape(of.title)}</h3>" if of.title else ""
    label = escape(f"filter {of.title or 'the table'}", quote=True)
    search = f'<input type="search" placeholder="filter lines" aria-label="{label}">' if len(of.rows) > FILTERED else ""
    caption = f'<p class="caption">{escape(of.caption)}</p>' if of.caption else ""
    table = f'<table class="sheet"><thead><tr>{heads}</tr></thead><tbody>\n{lines}\n</tbody></table>'
    return f'<section>{title}{search}<div class="wide">{table}</div>{caption}</section>'


def _head(column: Column) -> str:
    kind = ' class="number"' if column.numeric else ""
    return f'<th scope="col"{kind}><button type="button">{escape(column.heading)}</button></th>'


def _line(cells: Iterable[Cell], columns: Iterable[Column]) -> str:
    return f"<tr>{''.join(_cell(cell, column) for cell, column in zip(cells, columns, strict=True))}</tr>"


def _cell(cell: Cell, column: Column) -> str:
    classes = ["number"] if column.numeric else []
    classes += [CLASSES[cell.standing]] if cell.standing else []
    kind = f' class="{" ".join(classes)}"' if classes else ""
    number = isinstance(cell.value, int | float) and not isinstance(cell.value, bool) and isfinite(cell.value)
    value = f' data-value="{cell.value:.6g}"' if number else ""  # finer than what is sorted by it
    note = f" <small>({escape(cell.note)})</small>" if cell.note else ""
    return f"<td{kind}{value}>{escape(cell.body)}{note}{escape(''.join(cell.marks))}</td>"

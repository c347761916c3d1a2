"""Sheets and pages as one HTML file that needs nothing else."""

from html import escape

from kdbench.results.sheet import Cell, Page, Sheet
from kdbench.results.tables.model import Standing

ENDINGS = (".html", ".htm")
HIGHLIGHTED = {Standing.BEST: "<b>{}</b>", Standing.SECOND: "<u>{}</u>", Standing.TIER: "<b>{}</b>", None: "{}"}
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 75rem; padding: 0 1rem; color: #1a1a1a;
  background: #fff }
div { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; border-block: 2px solid #333 }
th, td { padding: .2rem .6rem; text-align: left; white-space: nowrap }
th { border-bottom: 1px solid #333 }
.n { text-align: right }
tbody tr:nth-child(even) { background: #f3f3f3 }
p { max-width: 60rem; overflow-wrap: anywhere }
"""


def page_text(page: Page) -> str:
    """A page with each sheet under its title; texts are escaped."""
    title = escape(page.title)
    parts = [f"<p>{escape(part)}</p>" if isinstance(part, str) else _sheet(part) for part in page.parts]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<link rel="icon" href="data:,"><title>{title}</title>',
            f"<style>{STYLE}</style></head>",
            "<body>",
            f"<h1>{title}</h1>",
            *parts,
            "</body>",
            "</html>",
            "",
        ]
    )


def _sheet(sheet: Sheet) -> str:
    """A table that scrolls by itself where it is wider than the screen."""
    sides = [' class="n"' if column.numeric else "" for column in sheet.columns]
    names = [f'<th scope="col"{s}>{escape(c.heading)}</th>' for s, c in zip(sides, sheet.columns, strict=True)]
    lines = ["".join(f"<td{s}>{_cell(c)}</td>" for s, c in zip(sides, row, strict=True)) for row in sheet.rows]
    caption = f"<p>{escape(sheet.caption)}</p>" if sheet.caption else ""
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    table = f"<table>\n<thead><tr>{''.join(names)}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    return f"<h2>{escape(sheet.title)}</h2>\n<div>{table}</div>\n{caption}"


def _cell(cell: Cell) -> str:
    text = HIGHLIGHTED[cell.standing].format(escape(cell.body))
    return " ".join(filter(None, [text, f"({escape(cell.note)})" if cell.note else "", "".join(cell.marks)]))

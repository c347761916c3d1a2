"""Pages as JSON: what people read and, beside it, what programs do."""

import json
import math
from typing import Any

from kdbench.results.sheet import Cell, Page, Sheet, Value

ENDINGS = (".json",)


def page_text(page: Page) -> str:
    """An object with ``title`` and ``parts``: paragraphs as texts, sheets as objects.

    A sheet's ``rows`` are objects by column: numbers in full precision, metrics as fractions, and what has no number as
    people read it. ``shown`` are the same cells as people read them, ``standings`` and ``marks`` what is said of them,
    ``runs`` the digests of the runs that they come from.
    """
    parts = [part if isinstance(part, str) else _sheet(part) for part in page.parts]
    return json.dumps({"title": page.title, "parts": parts}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _sheet(sheet: Sheet) -> dict[str, Any]:
    names = [column.name for column in sheet.columns]
    rows = [list(zip(names, row, strict=True)) for row in sheet.rows]
    return {
        "title": sheet.title,
        "caption": sheet.caption,
        "columns": dict(zip(names, (column.heading for column in sheet.columns), strict=True)),
        "rows": [{name: _value(cell) for name, cell in row} for row in rows],
        "shown": [{name: " ".join(filter(None, [cell.body, cell.note])) for name, cell in row} for row in rows],
        "standings": [{name: str(cell.standing) for name, cell in row if cell.standing} for row in rows],
        "runs": [{name: list(cell.runs) for name, cell in row if cell.runs} for row in rows],
        "marks": [{name: list(map(str, cell.marks)) for name, cell in row if cell.marks} for row in rows],
    }


def _value(cell: Cell) -> Value:
    if cell.value is None:
        return cell.body or None
    return None if isinstance(cell.value, float) and not math.isfinite(cell.value) else cell.value

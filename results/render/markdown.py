"""Sheets and pages as Markdown that reads well raw."""

from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.tables.model import Standing

ENDINGS = (".md", ".markdown")
HIGHLIGHTED = {Standing.BEST: "**{}**", Standing.SECOND: "<u>{}</u>", Standing.TIER: "**{}**", None: "{}"}


def markdown_text(sheet: Sheet) -> str:
    """A pipe table with the caption, if there is one, below; without a newline at the end.

    The best, and a tier, is bold, the second underlined; brackets and marks follow.
    """
    table = _pipe_table(sheet)
    return f"{table}\n\n{sheet.caption}" if sheet.caption else table


def page_text(page: Page) -> str:
    """A whole page, its sheets under their titles."""
    parts = [f"# {page.title}"]
    for part in page.parts:
        parts += [part] if isinstance(part, str) else [f"## {part.title}", markdown_text(part)]
    return "\n\n".join(parts) + "\n"


def _pipe_table(sheet: Sheet) -> str:
    lines = [[_escaped(column.heading) for column in sheet.columns]]
    lines += [[_escaped(_cell(cell)) for cell in row] for row in sheet.rows]
    widths = [max(3, *map(len, texts)) for texts in zip(*lines, strict=True)]
    columns = list(zip(sheet.columns, widths, strict=True))
    lines.insert(1, [_padded(":", *column).replace(" ", "-") for column in columns])
    return "\n".join(
        f"| {' | '.join(_padded(text, *column) for text, column in zip(line, columns, strict=True))} |"
        for line in lines
    )


def _padded(text: str, column: Column, width: int) -> str:
    return text.rjust(width) if column.numeric else text.ljust(width)


def _cell(cell: Cell) -> str:
    text = HIGHLIGHTED[cell.standing].format(cell.body)
    return " ".join(filter(None, [text, f"({cell.note})" if cell.note else "", "".join(cell.marks)]))


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")

"""A sheet as CSV, for programs."""

import csv
import io

from kdbench.results.sheet import Sheet

ENDINGS = (".csv",)
FORMS = ("csv", "csv-wide", "csv-summary")
"""Which sheets for programs there are: a line per run, per row, and per row of a block
(`kdbench.results.pages.data_sheet`)."""


def csv_text(sheet: Sheet) -> str:
    """A line of names, then the cells' values, numbers in full precision; neither title nor caption."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in sheet.columns])
    for row in sheet.rows:
        writer.writerow([repr(cell.value) if isinstance(cell.value, float) else cell.value for cell in row])
    return text.getvalue()

"""Records in; tables, statistics and figures out. Knows neither torch nor the rest of kdbench.

``gain_figure`` is in ``kdbench.results.figures``, which loads plotting libraries on use.
"""

from kdbench.results.aggregate import tabulate
from kdbench.results.answers import answer
from kdbench.results.captions import caption
from kdbench.results.costs import costs_csv, costs_report
from kdbench.results.metrics import score
from kdbench.results.record import SCHEMA, Record
from kdbench.results.render import csv_tidy, csv_wide, markdown, report
from kdbench.results.statistics import sign_flip
from kdbench.results.table import Average, Block, Conditions, Entry, Row, Score, Table

__all__ = [
    "SCHEMA",
    "Average",
    "Block",
    "Conditions",
    "Entry",
    "Record",
    "Row",
    "Score",
    "Table",
    "answer",
    "caption",
    "costs_csv",
    "costs_report",
    "csv_tidy",
    "csv_wide",
    "markdown",
    "report",
    "score",
    "sign_flip",
    "tabulate",
]

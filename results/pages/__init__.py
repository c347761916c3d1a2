"""From tables to sheets and pages, before they have a format."""

from kdbench.results.pages.alarms import alarms_page
from kdbench.results.pages.comparison import comparison_page
from kdbench.results.pages.costs import costs_page
from kdbench.results.pages.data import costs_sheet, runs_sheet, wide_sheet
from kdbench.results.pages.scores import score_sheet, scores_page
from kdbench.results.pages.statistics import statistics_page

__all__ = [
    "alarms_page",
    "comparison_page",
    "costs_page",
    "costs_sheet",
    "runs_sheet",
    "score_sheet",
    "scores_page",
    "statistics_page",
    "wide_sheet",
]

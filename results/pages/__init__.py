"""From tables to sheets and pages, before they have a format."""

from kdbench.results.pages.alarms import alarms_page
from kdbench.results.pages.comparison import comparison_page
from kdbench.results.pages.costs import costs_page
from kdbench.results.pages.data import costs_sheet, data_sheet, runs_sheet, summary_lines, wide_sheet
from kdbench.results.pages.scores import SORTS, score_sheets, scores_page
from kdbench.results.pages.statistics import statistics_page
from kdbench.results.pages.tuning import Run, tuning_page, tuning_sheet

__all__ = [
    "SORTS",
    "Run",
    "alarms_page",
    "comparison_page",
    "costs_page",
    "costs_sheet",
    "data_sheet",
    "runs_sheet",
    "score_sheets",
    "scores_page",
    "statistics_page",
    "summary_lines",
    "tuning_page",
    "tuning_sheet",
    "wide_sheet",
]

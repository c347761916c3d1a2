"""From tables to sheets and pages, before they have a format."""

from kdbench.results.pages.costs import costs_page
from kdbench.results.pages.data import costs_sheet, runs_sheet, wide_sheet
from kdbench.results.pages.scores import score_sheet, scores_page

__all__ = ["costs_page", "costs_sheet", "runs_sheet", "score_sheet", "scores_page", "wide_sheet"]

"""One self-contained HTML file on a matrix: the answer, tables that sort and filter, figures, how to make it again."""

from kdbench.results.report.html import Command, report_html

__all__ = ["Command", "report_html"]

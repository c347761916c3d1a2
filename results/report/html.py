"""The report's parts in their order."""

import base64
import math
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from kdbench.results.figures import figure_bytes, figure_of, figures
from kdbench.results.pages import score_sheets, statistics_page
from kdbench.results.report.tables import page_parts, paragraph, sheet
from kdbench.results.seen import Seen
from kdbench.results.sheet import Page
from kdbench.results.statistics.tests import EXACT_UP_TO
from kdbench.results.tables.family import judge
from kdbench.results.tables.scores import tabulate
from kdbench.results.views import view_page, views
from kdbench.results.words.answers import answer
from kdbench.results.words.captions import caption
from kdbench.results.words.looks import conditions, one_class

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST_SVG = 400_000
"""Bytes; a figure with more than that is embedded as PNG."""
FINER = re.compile(r"(\.\d\d)\d+")
"""What of a coordinate is finer than a hundredth of a point."""
MANY_PAIRS = 100
"""With more of them, over people too many to count all their signs, the statistics would take minutes."""
FIRST = ("failures", "harm", "people", "classes")
OPEN = ("gain", "pairs", "ranks", "heatmap")
"""Figures that are seen at once; the others are folded."""


class Command(NamedTuple):
    """How something is made again."""

    what: str
    line: str


def report_html(seen: Seen, commands: Sequence[Command], metrics: Sequence[str], name: str) -> str:
    """A whole report.

    Args:
        seen: the matrix; its metric is the one that is answered by.
        commands: how to make it again.
        metrics: each gets a table of scores; the first should be that of ``seen``.
        name: of the matrix.

    Raises:
        ValueError: as `tabulate` does.
    """
    sections = [
        ("scores", "Scores", _scores(seen, metrics)),
        ("figures", "Figures", _figures(seen)),
        ("statistics", "Statistics", _statistics(seen)),
        *((view, said, _view(seen, view)) for view, said in _views()),
        ("again", "Make it again", _again(commands)),
    ]
    body = [
        f"<h1>kdbench: {escape(name)}</h1>",
        f'<p class="answer">{escape(answer(seen.judged, seen.asked))}</p>',
        *(paragraph(f"Warning: {each}.") for each in seen.asked.cautions),
        *map(paragraph, one_class(seen)),
        f'<p class="conditions">{escape(conditions(seen))}</p>',
        "<nav>" + "".join(f'<a href="#{key}">{escape(head)}</a>' for key, head, _ in sections) + "</nav>",
        *(f'<h2 id="{key}">{escape(head)}</h2>\n{part}' for key, head, part in sections),
    ]
    return _document(name, "\n".join(body))


def _document(name: str, body: str) -> str:
    here = files("kdbench.results.report")
    style, script = (here.joinpath(f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>kdbench: {escape(name)}</title>\n<style>\n{style}</style>\n</head>\n'
        f"<body>\n{body}\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _scores(seen: Seen, metrics: Sequence[str]) -> str:
    parts: list[str] = []
    for metric in metrics:
        judged = seen.judged if metric == seen.metric else judge(seen.entries, tabulate(seen.entries, metric))
        said = caption(seen.entries, judged.table, seen.asked, seen.version, reason=judged.reason)
        parts += map(sheet, score_sheets(seen.entries, judged, said))
    return "\n".join(parts)


def _statistics(seen: Seen) -> str:
    found = seen.judged.overall
    pairs = 0 if found is None else math.comb(len(found.rows), 2)
    if found is not None and len(found.panel.people) > EXACT_UP_TO and pairs > MANY_PAIRS:
        people = len(found.panel.people)
        return paragraph(f"{pairs} pairs over {people} people are left out here; `kdbench stats` has them.")
    page = statistics_page(seen.entries, seen.metric, asked=seen.asked, version=seen.version)
    return page_parts(Page(page.title, page.parts[1:]))  # the answer stands above all


def _views() -> list[tuple[str, str]]:
    """Names of all views and their headings, those that a reader wants first at the front."""
    order = sorted(views(), key=lambda view: (FIRST.index(view) if view in FIRST else len(FIRST), view))
    return [(view, view.capitalize()) for view in order]


def _view(seen: Seen, view: str) -> str:
    try:
        page = view_page(view, seen)
    except ValueError as error:
        return paragraph(f"{str(error)[:1].upper()}{str(error)[1:]}.")
    return f"{paragraph(views()[view])}\n{page_parts(Page(page.title, page.parts[:-1]))}"  # conditions stand above


def _figures(seen: Seen) -> str:
    order = sorted(figures(), key=lambda name: (OPEN.index(name) if name in OPEN else len(OPEN), name))
    return "\n".join(_figure(seen, name) for name in order)


def _figure(seen: Seen, name: str) -> str:
    said = figures()[name]
    try:
        figure = figure_of(name, seen)
    except ValueError as error:
        return paragraph(f"{said.rstrip('.')}: {error}.")
    under = f"<figcaption>{escape(said)}</figcaption>"
    shown = f'<figure id="figure-{name}">{_picture(figure, name, said)}{under}</figure>'
    return shown if name in OPEN else f"<details><summary>{escape(said)}</summary>{shown}</details>"


def _picture(figure: "Figure", name: str, said: str) -> str:
    """A figure as part of a page: as SVG whose ids are its own, or as PNG where that would be large."""
    from matplotlib import rc_context  # loaded where figures are drawn

    with rc_context({"svg.fonttype": "none"}):  # words stay words: they are found, read aloud, and take half the room
        raw = figure_bytes(figure, "svg")
    if len(raw) > LARGEST_SVG:
        png = base64.b64encode(figure_bytes(figure, "png")).decode()
        return f'<img alt="{escape(said)}" src="data:image/png;base64,{png}">'
    text = raw.decode("utf-8")
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"\n\s+", "\n", text)
    text = re.sub(r'\b(?:d|x|y)="[^"]*"', lambda found: FINER.sub(r"\1", found[0]), text)
    text = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{name}-", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(said)}" ', 1)


def _again(commands: Sequence[Command]) -> str:
    return "\n".join(f"{paragraph(each.what)}\n<pre>{escape(each.line)}</pre>" for each in commands)

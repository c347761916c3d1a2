"""Sheets and pages as LaTeX with booktabs: a document, or the tables alone for ``\\input`` in one."""

import re
from collections.abc import Iterator

from kdbench.results.sheet import Cell, Column, Mark, Page, Sheet
from kdbench.results.tables.model import Standing

ENDINGS = (".tex",)
HIGHLIGHTED = {Standing.BEST: r"\textbf{%s}", Standing.SECOND: r"\underline{%s}", Standing.TIER: r"\textbf{%s}"}
MARKS = {
    Mark.WORSE: r"$\downarrow$",
    Mark.SHOWN_WORSE: r"$\Downarrow$",
    Mark.UNSHOWN: r"$^{\circ}$",
    Mark.UNTAUGHT: r"\ddag{}",
    Mark.STALE: r"\dag{}",
}
GREEK = {
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "ε": "varepsilon",
    "η": "eta",
    "θ": "theta",
    "κ": "kappa",
    "λ": "lambda",
    "μ": "mu",
    "π": "pi",
    "ρ": "rho",
    "σ": "sigma",
    "τ": "tau",
    "φ": "varphi",
    "χ": "chi",
    "ψ": "psi",
    "ω": "omega",
    "Δ": "Delta",
    "Σ": "Sigma",
    "Ω": "Omega",
}
SIGNS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "–": "--",
    "—": "---",
    "−": r"$-$",
    "→": r"$\rightarrow$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≠": r"$\neq$",
    "≈": r"$\approx$",
    "…": r"\ldots{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "°": r"$^{\circ}$",
    "µ": r"$\mu$",
    "²": r"$^{2}$",
    "³": r"$^{3}$",
    "\N{NO-BREAK SPACE}": "~",
    **{sign: f"\\{sign}" for sign in "_$%&#{}"},
    **{str(mark): text for mark, text in MARKS.items()},
    **{sign: f"$\\{name}$" for sign, name in GREEK.items()},
}
"""What stands for a sign that LaTeX takes for a command, or that its default fonts have not."""
LATIN = range(0xA1, 0x180)
"""Letters that LaTeX reads as they are."""

MINUS = re.compile(r"(?<![\w.])-(?=\d)")
"""Before a number, where text would have a hyphen."""

PACKAGES = r"""\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage{booktabs}
\usepackage{longtable}"""
SMALL_FROM, LONG_FROM = 90, 40
"""Signs in a line from which the font is smaller; rows from which a table may break over pages."""


def page_text(page: Page) -> str:
    """A document of its own."""
    return "\n".join(
        [
            r"\documentclass[10pt]{article}",
            r"\usepackage[a4paper,landscape,margin=15mm]{geometry}",
            PACKAGES,
            r"\setlength{\parindent}{0pt}\setlength{\parskip}{6pt}\sloppy",
            r"\begin{document}",
            rf"\section*{{{escaped(page.title)}}}",
            *_parts(page, floating=False),
            r"\end{document}",
            "",
        ]
    )


def input_text(page: Page) -> str:
    r"""The tables, each a float with its caption, and paragraphs: for ``\input`` in a document of the reader's."""
    wanted = [f"% {line}" for line in PACKAGES.splitlines()]
    return "\n".join(["% In the preamble:", *wanted, *_parts(page, floating=True), ""])


VARIANTS = {"input": input_text}


def escaped(text: str) -> str:
    """A text as LaTeX shows it, whatever signs it has; one that no font of pdflatex has is named by its number."""
    return "".join(map(_sign, text))


def _sign(sign: str) -> str:
    if sign in SIGNS:
        return SIGNS[sign]
    if sign.isspace():
        return " "
    if " " < sign <= "~" or ord(sign) in LATIN:
        return sign
    return rf"\texttt{{[U+{ord(sign):04X}]}}"


def _parts(page: Page, *, floating: bool) -> Iterator[str]:
    for part in page.parts:
        yield ""
        if isinstance(part, str):
            yield rf"\noindent {escaped(part)}\par"
        elif floating:
            yield _float(part)
        else:
            yield rf"\subsection*{{{escaped(part.title)}}}"
            yield _table(part)
            if part.caption:
                yield rf"{{\footnotesize {escaped(part.caption)}\par}}"


def _float(sheet: Sheet) -> str:
    caption = ": ".join(filter(None, [sheet.title, sheet.caption]))
    return "\n".join(
        [
            *(r"\begin{table*}[tbp]", r"\centering", r"\setlength{\belowcaptionskip}{6pt}"),
            *(rf"\caption{{{escaped(caption)}}}", _tabular(sheet), r"\end{table*}"),
        ]
    )


def _table(sheet: Sheet) -> str:
    """A table that breaks over pages where it is long."""
    if len(sheet.rows) < LONG_FROM:
        return rf"{_tabular(sheet)}\par"
    heading, rows = _lines(sheet)
    begin = rf"{{{_size(sheet)}\begin{{longtable}}{{{_alignment(sheet.columns)}}}"
    top = [r"\toprule", heading, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot"]
    return "\n".join([begin, *top, *rows, r"\end{longtable}}"])


def _tabular(sheet: Sheet) -> str:
    heading, rows = _lines(sheet)
    begin = rf"{{{_size(sheet)}\begin{{tabular}}{{{_alignment(sheet.columns)}}}"
    return "\n".join([begin, r"\toprule", heading, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}}"])


def _lines(sheet: Sheet) -> tuple[str, list[str]]:
    heading = " & ".join(escaped(column.heading) for column in sheet.columns) + r" \\"
    return heading, [" & ".join(map(_cell, row)) + r" \\" for row in sheet.rows]


def _alignment(columns: tuple[Column, ...]) -> str:
    return f"@{{}}{''.join('r' if column.numeric else 'l' for column in columns)}@{{}}"


def _size(sheet: Sheet) -> str:
    """The font of a table: the wider, the smaller."""
    lines = [
        [len(column.heading) for column in sheet.columns],
        *([len(_read(cell)) for cell in row] for row in sheet.rows),
    ]
    signs = sum(max(column) + 2 for column in zip(*lines, strict=True))
    sizes = (r"\normalsize", r"\small", r"\footnotesize", r"\scriptsize", r"\tiny")
    step = min(len(sizes) - 1, max(0, signs - SMALL_FROM + 20) // 20)
    return rf"{sizes[step]}\setlength{{\tabcolsep}}{{4pt}}"


def _read(cell: Cell) -> str:
    return f"{cell.body} ({cell.note})" if cell.note else cell.body


def _cell(cell: Cell) -> str:
    body = MINUS.sub("$-$", escaped(cell.body)) if cell.text is not None else escaped(cell.body)
    text = HIGHLIGHTED[cell.standing] % body if cell.standing else body
    marks = "".join(MARKS[mark] for mark in cell.marks)
    shown = " ".join(filter(None, [text, f"({escaped(cell.note)})" if cell.note else ""])) + (
        f"~{marks}" if marks else ""
    )
    return f"{{}}{shown}" if shown.startswith("[") else shown  # after \\ a bracket would be a length

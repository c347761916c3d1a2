"""Tables as text: Markdown that reads well raw, CSV, and a whole report."""

import csv
import io
from collections.abc import Sequence

from kdbench.results.aggregate import check_metric, scalar, tabulate
from kdbench.results.answers import answer
from kdbench.results.captions import NOT_APPLICABLE, STALE, WORSE, capital, caption
from kdbench.results.metrics import title
from kdbench.results.table import Average, Entry, Place, Row, Score, Table

NOTHING = "–"


def markdown(table: Table, caption: str) -> str:
    """A pipe table in percent with its caption below; without a newline at the end.

    A cell is "mean ± std" over seeds, best bold, second underlined, marked where worse than student alone or stale; an
    incomplete one says what is missing; why one is n/a stands in the caption. The gain column is in points. Averages
    come with a second block.
    """
    header = ["method", "kind"]
    for block in table.blocks:
        header += [f"{block.dataset}, {block.pair}", "gain"]
    if len(table.blocks) > 1:
        header += ["average", "gain"]
    lines = [header, *(_line(table, row) for row in table.rows)]
    return f"{pipe_table(lines, left=2)}\n\n{caption}"


def pipe_table(lines: Sequence[Sequence[str]], *, left: int) -> str:
    """A Markdown table of equally long lines, the first its header; ``left`` columns are aligned left, others right."""
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    widths = [max(3, *map(len, column)) for column in zip(*escaped, strict=True)]
    rule = [":" + "-" * (w - 1) if i < left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    padded = [
        [cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))]
        for line in (escaped[0], rule, *escaped[1:])
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def csv_wide(tables: Sequence[Table]) -> str:
    """One line per metric and row, columns grouped by block; numbers in full precision, as fractions.

    Raises ``ValueError`` unless all tables have the same blocks.
    """
    if len({table.blocks for table in tables}) != 1:
        raise ValueError("csv_wide: tables of different blocks, or none, came; the same blocks are wanted")
    names = ("mean", "std", "n", "gain", "place", "state", "stale")
    header = ["metric", "row", "kind", "role"]
    header += [f"{block.dataset} {block.pair} {name}" for block in tables[0].blocks for name in names]
    lines: list[list[object]] = [[*header, "average mean", "average gain"]]
    for table in tables:
        for row in table.rows:
            line: list[object] = [table.metric, row.label, row.kind, row.role]
            for s in row.scores:
                line += [s.mean, s.std, s.n, s.gain, s.place, s.state or "complete", s.stale]
            averaged = row.average if len(table.blocks) > 1 else None
            lines.append(line + ([averaged.mean, averaged.gain] if averaged else [None, None]))
    return csv_text(lines)


def csv_tidy(entries: Sequence[Entry], metrics: Sequence[str]) -> str:
    """One line per entry with the student's metrics in full precision, so that runs can be compared bit for bit.

    Raises ``ValueError`` on a metric that is unknown.
    """
    for metric in metrics:
        check_metric(entries, metric)
    header = ["dataset", "pair", "row", "kind", "role", "seed", "fold", "status", "reason", "stale", "side", "digest"]
    lines: list[list[object]] = [[*header, *metrics]]
    for e in entries:
        line: list[object] = [e.dataset, e.pair, e.row, e.kind, e.role, e.seed, e.fold, e.status, e.reason, e.stale]
        line += [e.record.side, e.record.digest] if e.record else [None, None]
        lines.append([*line, *(scalar(e.record, metric) for metric in metrics)])
    return csv_text(lines)


def report(
    entries: Sequence[Entry],
    metrics: Sequence[str] = ("macro_f1", "accuracy"),
    *,
    version: str,
    warning: str = "",
) -> str:
    """A Markdown page: title, a table with caption per metric, and last the answer for the first metric.

    ``version`` is that of kdbench, ``warning`` what captions and answer must say against the protocol.

    Raises ``ValueError`` as ``tabulate`` does, or without metrics.
    """
    if not metrics:
        raise ValueError("report: no metrics came")
    tables = [tabulate(entries, metric, warning=warning) for metric in metrics]
    datasets = ", ".join(dict.fromkeys(block.dataset for block in tables[0].blocks))
    parts = [f"# kdbench: knowledge distillation on {datasets}"]
    for table in tables:
        parts += [f"## {capital(title(table.metric))}", markdown(table, caption(entries, table, version))]
    return "\n\n".join([*parts, answer(tables[0])]) + "\n"


def _line(table: Table, row: Row) -> list[str]:
    line = [row.label, row.kind if row.role == "method" else "reference"]
    for score in row.scores:
        line += [score_text(score), _gain(score)]
    if len(table.blocks) > 1:
        line += _average(row.average)
    return line


def score_text(score: Score) -> str:
    """A score as tables show it: "mean ± std" in percent with its marks, or what is missing."""
    if score.state or score.mean is None:
        return state_text(score.state)
    text = f"{100 * score.mean:.1f}" + ("" if score.std is None else f" ± {100 * score.std:.1f}")
    marks = WORSE * score.worse_than_student + STALE * score.stale
    return _highlighted(text, score.place) + (f" {marks}" if marks else "")


def state_text(state: str | None) -> str:
    """What is missing, as tables show it: why a row is n/a stands in the caption."""
    if state is None:
        return NOTHING
    return NOT_APPLICABLE if state.startswith(NOT_APPLICABLE) else state


def _gain(score: Score) -> str:
    if score.gain is None or score.state:
        return NOTHING
    shared = len(score.differences)
    return _points(score.gain) + (f" ({shared} of {score.wanted} seeds)" if shared < score.wanted else "")


def _average(average: Average | None) -> list[str]:
    if average is None:
        return ["incomplete", NOTHING]
    gain = NOTHING if average.gain is None else _points(average.gain)
    return [_highlighted(f"{100 * average.mean:.1f}", average.place), gain]


def _points(gain: float) -> str:
    return f"{100 * gain:+.1f}"


def _highlighted(text: str, place: Place | None) -> str:
    return {"best": f"**{text}**", "second": f"<u>{text}</u>", None: text}[place]


def csv_text(lines: Sequence[Sequence[object]]) -> str:
    """CSV with numbers in full precision."""
    text = io.StringIO()
    cells = [[repr(cell) if isinstance(cell, float) else cell for cell in line] for line in lines]
    csv.writer(text, lineterminator="\n").writerows(cells)
    return text.getvalue()

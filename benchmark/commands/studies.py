"""What `tune status`, `tune table` and `tune plot` give: kept studies, read where neither data nor torch are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from kdbench.commands.refusals import refusals
from kdbench.errors import KdbenchError
from kdbench.results.figures import SliceOfSearch, search_figure
from kdbench.results.render import csv_text, page_text
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.spec.words import Value, show_value
from kdbench.text import counted
from kdbench.tune.found import FLAT, Near, around, as_good, best_of, finished
from kdbench.tune.ledger import Study, Trial, without_password
from kdbench.tune.place import ledger_of

NOTHING = "nothing was tuned in"


@contextmanager
def kept_studies(store: Path, storage: str | None) -> Iterator[list[Study]]:
    """All studies that were begun, to be read within the block; of those that differ in their code alone the last.

    Raises:
        KdbenchError: if there is none.
    """
    ledger = ledger_of(store, storage, make=False)
    if ledger is None:
        raise KdbenchError(f"{NOTHING} {store} yet (`kdbench tune`; --store, KDBENCH_STORE)")
    with closing(ledger):
        begun = [ledger.study(name) for name in ledger.names()]
        told = [study for study in begun if "knobs" in study.facts]  # the others: killed before they said what they are
        said = {study.facts.get("asks", study.name): study for study in told}
        if not said:
            raise KdbenchError(f"{NOTHING} {without_password(storage) if storage else store} yet (`kdbench tune`)")
        yield list(said.values())


def studies_text(studies: Sequence[Study]) -> str:
    """How far each study is, and the best so far."""
    lines = []
    for study in studies:
        trials, wanted = finished(study), study.facts["trials"]
        failed = [trial for trial in trials if trial.state == "failed"]
        begun = sum(trial.state == "running" for trial in study.trials())
        parts = [f"{len(trials)}/{wanted} trials"]
        pruned = sum(trial.state == "pruned" for trial in trials)
        counts = ((begun, "begun"), (len(failed), "failed"), (pruned, "given up between folds"))
        parts += [f"{count} {what}" for count, what in counts if count]
        best = best_of(trials)
        if best is not None and best.value is not None:
            parts.append(f"best {_percent(best.value)} (trial {best.number}), defaults {_percent(trials[0].value)}")
        lines.append(f"{study.name}: {', '.join(parts)}")
        lines += [f"  trial {trial.number} failed: {trial.facts.get('reason', 'unknown')}" for trial in failed]
    return "\n".join(lines)


def found_sheet(studies: Sequence[Study]) -> Sheet:
    """A line for each searched value: what was found, and within which bounds the objective is as good."""
    columns = [
        *(Column(name, numeric=False) for name in ("dataset", "networks", "row")),
        *(Column(name) for name in ("trials", "failed", "given up", "defaults", "best", "gain", "as good")),
        *(Column(name, numeric=False) for name in ("setting", "default", "found", "as good from", "to", "searched")),
        Column("importance"),
    ]
    rows = [row for study in studies for row in _rows(study)]
    return Sheet(tuple(columns), tuple(rows), "What the search found", _caption(studies))


def found_text(studies: Sequence[Study], form: str = "markdown") -> str:
    """The table of found values, in a format for readers or csv.

    Raises:
        KdbenchError: if there is no such format.
    """
    sheet = found_sheet(studies)
    if form == "csv":
        return csv_text(sheet)
    with refusals():
        return page_text(Page("kdbench: search", (sheet,)), form)


def draw_studies(studies: Sequence[Study], folder: Path) -> Iterator[Path]:
    """A figure for each study with a finished trial: its history, slices and importances; gives the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for study in studies:
        trials = [trial for trial in finished(study) if trial.value is not None]
        if not trials:
            continue
        path = folder / f"{re.sub(r'[^A-Za-z0-9.=-]+', '-', study.name)}.png"
        search_figure(
            {trial.number: trial.value or 0.0 for trial in trials},
            [_slice(near, trials) for near in around(study, trials)],
            path,
            f"{study.facts['dataset']} {study.facts['networks']}\n{study.facts['row']}",
        )
        yield path


def _slice(near: Near, trials: Sequence[Trial]) -> SliceOfSearch:
    values = [trial.settings[near.knob.name] for trial in trials]
    low, high = near.knob.low, near.knob.high
    span = None if low is None or high is None else (low, high)
    return SliceOfSearch(near.knob.name, near.knob.log, span, values, near.found, near.importance)


def _rows(study: Study) -> Iterator[tuple[Cell, ...]]:
    trials, facts = finished(study), study.facts
    best, first = best_of(trials), trials[0].value if trials else None
    top = None if best is None else best.value
    gain = None if top is None or first is None else top - first
    head = [Cell(facts[key]) for key in ("dataset", "networks", "row")]
    head += [
        Cell(len(trials)),
        *(Cell(sum(trial.state == state for trial in trials)) for state in ("failed", "pruned")),
    ]
    head += [Cell(first, _percent(first)), Cell(top, _percent(top))]
    head += [Cell(gain, "–" if gain is None else f"{100 * gain:+.2f}"), Cell(len(as_good(trials)))]
    if top is None:
        yield (*head, *([Cell(None, "–")] * 7))
    for near in around(study, trials):
        share = near.importance
        yield (
            *head,
            Cell(near.knob.name),
            *map(_value, (near.knob.default, near.found, near.low, near.high)),
            Cell(near.knob.span),
            Cell(share, "–" if share is None else f"{share:.2f}"),
        )


def _value(value: Value) -> Cell:
    return Cell(value, show_value(value))


def _percent(value: float | None) -> str:
    return "failed" if value is None else f"{100 * value:.2f}"


def _caption(studies: Sequence[Study]) -> str:
    budgets = dict.fromkeys(
        f"{counted(facts['trials'], 'trial')} of {counted(facts['epochs'], 'epoch')}, "
        f"{counted(facts['folds'], 'fold')} of {facts['protocol']}, "
        f"seed {', '.join(map(str, facts['seeds']))}, optuna {facts['sampling']['optuna']}"
        f"{', given up where ' + facts['sampling']['pruning'] if 'pruning' in facts['sampling'] else ''}"
        for facts in (study.facts for study in studies)
    )
    objectives = " or ".join(dict.fromkeys(study.facts["objective"] for study in studies))
    return (
        f"Objective: {objectives}, in percent. Budget of a row: {'; or '.join(budgets)}. Trial 0 has the defaults. "
        f"As good: trials within {100 * FLAT:g} points of the best, and from which value to which they reach: a wide "
        "reach means that the objective is flat there. Importance: share of the objective's changes (PED-ANOVA)."
    )

"""What a study found, and how much hangs on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kdbench.spec.preset import Found, Preset
from kdbench.spec.words import Value
from kdbench.tune.knob import RECIPE, Knob
from kdbench.tune.ledger import Study, Trial, importances

FLAT = 0.005
"""How far below the best a trial is as good for all that a few folds can tell: half a point of macro-F1."""


@dataclass(frozen=True)
class Near:
    """One knob of a finished study.

    Args:
        knob: what was searched.
        found: its value in the best trial.
        low: the smallest among trials as good as the best.
        high: the largest.
        importance: its share of the objective's changes, 0..1; None where that cannot be told.
    """

    knob: Knob
    found: Value
    low: Value
    high: Value
    importance: float | None


def finished(study: Study, trials: int | None = None) -> list[Trial]:
    """The finished trials that count: those of the budget."""
    wanted = study.facts["trials"] if trials is None else trials
    return [trial for trial in study.trials()[:wanted] if trial.state != "running"]


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the highest objective, of several the first; None where all failed."""
    done = [trial for trial in trials if trial.value is not None]
    return max(done, key=lambda trial: (trial.value or 0.0, -trial.number), default=None)


def as_good(trials: Sequence[Trial]) -> list[Trial]:
    """The best trial and those within `FLAT` of it."""
    best = best_of(trials)
    if best is None or best.value is None:
        return []
    return [trial for trial in trials if trial.value is not None and trial.value >= best.value - FLAT]


def around(study: Study, trials: Sequence[Trial]) -> list[Near]:
    """Each knob of a study around the best trial; empty where all failed."""
    best, good = best_of(trials), as_good(trials)
    if best is None:
        return []
    shares = importances(study.knobs, trials)
    return [_near(knob, best, good, shares.get(knob.name)) for knob in study.knobs]


def _near(knob: Knob, best: Trial, good: Sequence[Trial], share: float | None) -> Near:
    values = [trial.settings[knob.name] for trial in good]
    low, high = min(values, key=_ordered), max(values, key=_ordered)
    return Near(knob, best.settings[knob.name], low, high, share)


def _ordered(value: Value) -> tuple[float, str]:
    return (0.0, value) if isinstance(value, str) else (float(value), "")


def found_by(study: Study, trials: int) -> Found | None:
    """What a study found within a number of trials; None where none of them was done."""
    counted, facts = finished(study, trials), study.facts
    best = best_of(counted)
    if best is None or best.value is None:
        return None
    return Found(
        dataset=facts["dataset"],
        networks=facts["networks"],
        row=facts["row"],
        settings={key: value for key, value in best.settings.items() if not key.startswith(RECIPE)},
        recipe={key.removeprefix(RECIPE): v for key, v in best.settings.items() if key.startswith(RECIPE)},
        value=best.value,
        default=counted[0].value,
        trials=len(counted),
        failed=sum(trial.state == "failed" for trial in counted),
        pruned=sum(trial.state == "pruned" for trial in counted),
        folds=facts["folds"],
        study=study.name,
    )


def _ended(studies: Sequence[Study], trials: int) -> datetime:
    """When the last trial was told."""
    return max(trial.ended for study in studies for trial in finished(study, trials) if trial.ended is not None)


def preset_of(name: str, studies: Sequence[Study], trials: int, versions: Mapping[str, str]) -> Preset | None:
    """What finished studies of one search found, as a preset; None where every trial of all failed."""
    found = [each for study in studies if (each := found_by(study, trials)) is not None]
    if not found:
        return None
    facts = studies[0].facts
    return Preset(
        name=name,
        objective=facts["objective"],
        trials=trials,
        epochs=facts["epochs"],
        protocol=facts["protocol"],
        seeds=tuple(facts["seeds"]),
        date=_ended(studies, trials).astimezone(UTC).date().isoformat(),
        versions={**versions, "optuna": facts["sampling"]["optuna"]},
        found=tuple(found),
    )

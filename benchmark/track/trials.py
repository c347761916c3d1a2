"""The trials of a store's studies, in experiments of their own: a parent run for each study, a child for each trial."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from kdbench.track.content import LAYOUT, Point, Run, Status, flat
from kdbench.track.database import MATRIX, TRIALS
from kdbench.track.layout import LIMIT, hashed
from kdbench.track.target import Target
from kdbench.tune.found import best_of, finished
from kdbench.tune.ledger import Study, Trial
from kdbench.tune.place import ledger_of

_STATUSES: dict[str, Status] = {"done": "FINISHED", "failed": "FAILED", "pruned": "KILLED"}
"""Of a trial's run, by how the trial ended."""


def write_trials(
    store: Path, target: Target, storage: str | None = None, *, running: bool = False, whole: set[str] | None = None
) -> int:
    """Write what is not there yet of all studies; returns how many trials are finished.

    Args:
        store: whose studies.
        target: where to.
        storage: URL of the database that keeps them; None for the store's journal.
        running: whether the search goes on, so that studies below their budget are neither done nor killed.
        whole: names of studies that were written to their end, which are not looked at again; grows.

    Raises:
        MachineError: if they cannot be written.
    """
    ledger = ledger_of(store, storage, make=False)
    if ledger is None:
        return 0
    from kdbench.track.tracker import Tracker, writing

    with closing(ledger):
        whole = set() if whole is None else whole
        begun = [ledger.study(name) for name in ledger.names()]
        studies = [study for study in begun if "knobs" in study.facts and study.trials()]
        count = 0
        if studies:
            with writing(target):
                tracker = Tracker(target)
                placed = _placed(studies)
                for number, study in placed:
                    if study.name in whole:
                        continue
                    more = f" {number}" if number > 1 else ""
                    experiment = tracker.experiment(f"kdbench trials{more}", {MATRIX: TRIALS})
                    _clear(tracker, experiment, {hashed(each.name) for at, each in placed if at != number})
                    count += _write(tracker, experiment, study, running=running)
                    if len(finished(study)) >= int(study.facts["trials"]):
                        whole.add(study.name)
                if not running:
                    target.settle(TRIALS)
        return count


def _placed(studies: Sequence[Study]) -> list[tuple[int, Study]]:
    """Studies with the number of the experiment that each is in."""
    found: list[tuple[int, Study]] = []
    number, room = 1, LIMIT
    for study in studies:
        size = 1 + int(study.facts["trials"])
        if size > room and room < LIMIT:
            number, room = number + 1, LIMIT
        room -= size
        found.append((number, study))
    return found


def _clear(tracker: Any, experiment: str, elsewhere: set[str]) -> None:
    """Take studies away that were here before one before them was extended."""
    for parent in tracker.known(experiment, None) if elsewhere else []:
        if parent.key in elsewhere:
            for run in (*tracker.known(experiment, parent.run), parent):
                tracker.drop(experiment, run.run)


def _write(tracker: Any, experiment: str, study: Study, *, running: bool) -> int:
    """Write a study's finished trials, each once."""
    done = finished(study)
    runs = {run.key: run for run in (_trial_run(study, trial) for trial in done)}
    whole = _study_run(study, done)
    parent = tracker.parent(experiment, whole, None)
    for known in tracker.known(experiment, parent):
        if known.ended and known.key in runs and runs[known.key].stamp == known.stamp:
            del runs[known.key]
        else:
            tracker.drop(experiment, known.run)
    for run in runs.values():
        tracker.write(experiment, parent, run)
    if running and whole.status != "FINISHED":
        return len(done)
    tracker.end(parent, whole.status, replace(whole, tags={"mlflow.note.content": _said(study, done), **whole.tags}))
    return len(done)


def _study_run(study: Study, done: Sequence[Trial]) -> Run:
    facts = study.facts
    tags = {"kdbench.study": study.name, **{key: str(facts[key]) for key in ("dataset", "networks", "row", "protocol")}}
    params = flat({key: value for key, value in facts.items() if key != "knobs"})
    best = best_of(done)
    counts = {"failed": "failed", "given_up": "pruned"}
    values = {"trials": float(len(done))}
    values |= {name: float(sum(trial.state == state for trial in done)) for name, state in counts.items()}
    if best is not None and best.value is not None:
        values |= {"objective": best.value, "best_trial": float(best.number)}
    started = min(_times(trial)[0] for trial in study.trials())
    ended = max((_times(trial)[1] for trial in done), default=0)
    points = [Point(key, value, ended) for key, value in values.items()]
    status: Any = "FINISHED" if len(done) >= int(facts["trials"]) else "KILLED"
    return Run(hashed(study.name), "", study.name, status, started, ended, tags=tags, params=params, points=points)


def _trial_run(study: Study, trial: Trial) -> Run:
    started, ended = _times(trial)
    scores = enumerate(trial.facts.get("scores", []))  # None of folds that a trial was given up before
    points = [Point("fold_macro_f1", float(score), ended, fold) for fold, score in scores if score is not None]
    if trial.value is not None:
        points.append(Point("objective", trial.value, ended))
    if "seconds" in trial.facts:
        points.append(Point("seconds", float(trial.facts["seconds"]), ended))
    tags = {"trial": str(trial.number), "status": trial.state, "reason": str(trial.facts.get("reason", ""))}
    tags |= {key: str(study.facts[key]) for key in ("dataset", "networks", "row", "protocol", "recipe")}
    return Run(
        key=hashed(study.name, trial.number),
        stamp=hashed(LAYOUT, trial.state, trial.value, trial.settings),
        name=f"trial {trial.number} of {study.name}",
        status=_STATUSES[trial.state],
        started=started,
        ended=ended,
        tags={key: value for key, value in tags.items() if value},
        params=dict(trial.settings),
        points=points,
    )


def _said(study: Study, done: Sequence[Trial]) -> str:
    """What a study found, in a line."""
    best = best_of(done)
    if best is None or best.value is None:
        return f"{len(done)} trials, none of which was done."
    settings = ", ".join(f"{key} = {value}" for key, value in best.settings.items())
    return f"Best of {len(done)} trials: {100 * best.value:.2f} ({study.facts['objective']}), with {settings}."


def _times(trial: Trial) -> tuple[int, int]:
    """When a trial was begun and told, in milliseconds since 1970."""
    begun, ended = (0.0 if at is None else 1000 * at.timestamp() for at in (trial.begun, trial.ended or trial.begun))
    return int(begun), int(ended)

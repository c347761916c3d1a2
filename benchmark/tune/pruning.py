"""Trials that are given up between two folds: a rule that every process decides alike."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from kdbench.tune.ledger import BATCH, SAMPLING, Trial

RULE = "below the median between folds"
"""What a study with it is told apart by."""

FEWEST = int(SAMPLING["n_startup_trials"])
"""So many trials must be done before one is given up."""


def behind(scores: Sequence[float], places: Sequence[int], number: int, trials: Sequence[Trial]) -> bool:
    """Whether a trial is to be given up: its mean so far is below the median of that of trials of earlier batches.

    Those of its own batch do not count, whichever are done, so that the number of workers decides nothing. All are
    compared on the same folds, each trained to its end: what starts slowly is not behind for that.

    Args:
        scores: of the trial, so far.
        places: which of all its scores these are.
        number: of the trial.
        trials: of its study.
    """
    begin = number - number % BATCH
    done = [trial for trial in trials[:begin] if trial.state == "done"]
    if len(done) < FEWEST:
        return False
    return fmean(scores) < median(fmean(trial.facts["scores"][place] for place in places) for trial in done)

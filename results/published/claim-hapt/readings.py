"""The claim, read in four ways, from what is beside this file: python results/published/claim-hapt/readings.py.

Macro-F1 and weighted F1, over HAPT's twelve classes and over its six activities alone: there, windows of the six
changes of posture are left out, and the likeliest of the six activities is what was said.
"""

import csv
import json
import lzma
from pathlib import Path
from statistics import mean, stdev

import numpy as np

HERE = Path(__file__).parent
ACTIVITIES = 6
"""They come first among the classes."""
READINGS = ("macro-F1, 12 classes", "weighted F1, 12 classes", "macro-F1, 6 classes", "weighted F1, 6 classes")
Scores = dict[str, dict[int, tuple[float, ...]]]
"""By row, then seed: one of each of the readings."""


def f1(truth: np.ndarray, said: np.ndarray, classes: int) -> tuple[float, float]:
    """Macro and weighted, in percent; a class that nobody has or says counts 0."""
    right = np.array([np.sum((truth == each) & (said == each)) for each in range(classes)])
    there = np.bincount(truth, minlength=classes)
    both = there + np.bincount(said, minlength=classes)
    scores = 100 * 2 * right / np.maximum(both, 1)
    return float(scores.mean()), float((scores * there).sum() / there.sum())


def readings() -> Scores:
    """Of every run that is done."""
    with (HERE / "runs.csv").open(encoding="utf-8", newline="") as file:
        runs = {line["digest"]: line for line in csv.DictReader(file) if line["status"] == "done"}
    found: Scores = {}
    kept = dict(np.load(HERE / "records" / "probabilities.npz"))
    for line in lzma.decompress((HERE / "records" / "cells.jsonl.xz").read_bytes()).splitlines():
        cell = json.loads(line)
        run = runs[cell["record"]["digest"]]
        truth, odds = (kept[stack][at] for stack, at in (cell["arrays"]["y"], cell["arrays"]["logits"]))
        some = truth < ACTIVITIES
        twelve = f1(truth, odds.argmax(axis=1), odds.shape[1])
        six = f1(truth[some], odds[some, :ACTIVITIES].argmax(axis=1), ACTIVITIES)
        found.setdefault(run["row"], {})[int(run["seed"])] = (*twelve, *six)
    return found


def table(found: Scores) -> str:
    """Mean and standard deviation over seeds, and the gain over student alone at the same seeds."""
    lines = ["| row | seeds | " + " | ".join(READINGS) + " |", "| :-- | --: |" + " :-- |" * len(READINGS)]
    for row, seeds in sorted(found.items(), key=lambda item: ("alone" not in item[0], item[0])):
        cells = []
        for number in range(len(READINGS)):
            values = [scores[number] for scores in seeds.values()]
            gain = mean(scores[number] - found["student alone"][seed][number] for seed, scores in seeds.items())
            spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
            told = "" if row == "student alone" else f" ({round(gain, 1) + 0.0:+.1f})"
            cells.append(f"{mean(values):.1f}{spread}{told}")
        lines.append(f"| {row} | {len(seeds)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(readings()))

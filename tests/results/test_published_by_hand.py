"""The published scores, recomputed from the published probabilities by arithmetic that shares nothing with kdbench."""

from __future__ import annotations

import csv
import json
import lzma
import subprocess
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

PUBLISHED = Path(__file__).resolve().parents[2] / "results" / "published"
FOLDERS = sorted(path.parents[1] for path in PUBLISHED.glob("*/records/cells.jsonl.xz"))
Answers = dict[str, tuple[list[int], list[int]]]
"""What was so and what was said of each test window, by cell."""


def answers(folder: Path) -> Answers:
    with np.load(folder / "records" / "probabilities.npz") as stacks:
        kept, found = dict(stacks), {}
    for line in lzma.decompress((folder / "records" / "cells.jsonl.xz").read_bytes()).splitlines():
        cell = json.loads(line)
        if "logits" in cell.get("arrays", {}):
            units, truth = (kept[stack][at] for stack, at in (cell["arrays"][name] for name in ("logits", "y")))
            found[cell["record"]["digest"]] = truth.tolist(), units.argmax(axis=1).tolist()
    return found


def macro_f1(truth: list[int], said: list[int], classes: int) -> Fraction:
    scores = []
    for each in range(classes):
        right = sum(a == b == each for a, b in zip(truth, said, strict=True))
        wrong = sum((a == each) != (b == each) for a, b in zip(truth, said, strict=True))
        scores.append(Fraction(2 * right, 2 * right + wrong) if right + wrong else Fraction(0))
    return sum(scores, Fraction(0)) / classes


def mean(values: Collection[Fraction]) -> float:
    return float(sum(values, Fraction(0)) / len(values))


def runs(folder: Path) -> Iterator[dict[str, str]]:
    with (folder / "runs.csv").open(encoding="utf-8", newline="") as file:
        yield from (row for row in csv.DictReader(file) if row["status"] == "done")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_published_scores_are_those_of_the_published_probabilities(folder: Path) -> None:
    known, judged = answers(folder), list(runs(folder))
    assert judged
    classes: dict[str, int] = defaultdict(int)
    for row in judged:
        classes[row["dataset"]] = max(classes[row["dataset"]], 1 + max(known[row["digest"]][0]))
    pooled: dict[tuple[str, str, str, str], tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for row in judged:
        truth, said = known[row["digest"]]
        right = Fraction(sum(a == b for a, b in zip(truth, said, strict=True)), len(truth))
        f1 = macro_f1(truth, said, classes[row["dataset"]])
        assert float(row["macro_f1"]) == pytest.approx(float(f1), abs=1e-12), row
        assert float(row["accuracy"]) == pytest.approx(float(right), abs=1e-12), row
        for all_folds, of_one in zip(
            pooled[row["dataset"], row["pair"], row["row"], row["seed"]], known[row["digest"]], strict=True
        ):
            all_folds.extend(of_one)
    scores: dict[tuple[str, str, str], dict[str, Fraction]] = defaultdict(dict)  # of a row in a block, by seed
    for (dataset, pair, label, seed), (truth, said) in pooled.items():
        scores[dataset, pair, label][seed] = macro_f1(truth, said, classes[dataset])
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["metric"] == "macro_f1" and line["mean"]]
    assert lines
    for line in lines:
        own = scores[line["dataset"], line["pair"], line["row"]]
        alone = scores[line["dataset"], line["pair"], "student alone"]
        assert float(line["mean"]) == pytest.approx(mean(own.values()), abs=1e-12), line
        if line["gain"]:
            gains = [score - alone[seed] for seed, score in own.items() if seed in alone]
            assert float(line["gain"]) == pytest.approx(mean(gains), abs=1e-12), line


@pytest.mark.parametrize(("name", "script"), [("claim-hapt", "readings.py"), ("precision-bfloat16", "compare.py")])
def test_a_page_shows_what_its_script_makes_of_what_is_beside_it(name: str, script: str) -> None:
    folder = PUBLISHED / name
    ended = subprocess.run([sys.executable, str(folder / script)], capture_output=True, text=True, check=True)
    assert len(ended.stdout.splitlines()) > 5
    assert ended.stdout in (folder / "README.md").read_text(encoding="utf-8")

"""Networks trained in bfloat16 beside the same in float32, from what is beside this file and beside its neighbour.

python results/published/precision-bfloat16/compare.py
"""

import csv
from pathlib import Path
from statistics import mean, stdev

from scipy.stats import t

HERE = Path(__file__).parent
OTHER = HERE.with_name("precision-float32")
METRICS = {"macro_f1": "macro-F1", "accuracy": "accuracy"}
Scores = dict[tuple[str, str, str], dict[int, float]]
"""In percent, by network, dataset and metric, then seed."""


def scores(folder: Path) -> Scores:
    """Of every run of a published folder; each network was trained alone."""
    found: Scores = {}
    with (folder / "runs.csv").open(encoding="utf-8", newline="") as file:
        for run in csv.DictReader(file):
            teacher, _, student = run["pair"].partition(":")
            network = teacher if run["row"] == "teacher alone" else student
            for metric in METRICS:
                found.setdefault((network, run["dataset"], metric), {})[int(run["seed"])] = 100 * float(run[metric])
    return found


def interval(values: list[float]) -> tuple[float, float]:
    """95 % of the mean over seeds, by Student's t."""
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return mean(values) - half, mean(values) + half


def table(short: Scores, full: Scores) -> str:
    """Mean differences at the same seeds, in points, and whether they are shown to be within half a point."""
    lines = [
        "| network | dataset | metric | seeds | float32 | bfloat16 more | 95 % interval | within ± 0.5 |",
        "| :-- | :-- | :-- | --: | :-- | --: | :-- | :-- |",
    ]
    for (network, dataset, metric), seeds in sorted(full.items()):
        other = short[network, dataset, metric]
        differences = [other[seed] - score for seed, score in seeds.items()]
        low, high = interval(differences)
        alone = f"{mean(seeds.values()):.1f} ± {stdev(seeds.values()):.1f}"
        shown = "shown" if low > -0.5 and high < 0.5 else "not shown"
        told = f"{round(mean(differences), 2) + 0.0:+.2f} | {round(low, 2) + 0.0:+.2f} to {round(high, 2) + 0.0:+.2f}"
        lines.append(f"| `{network}` | {dataset} | {METRICS[metric]} | {len(seeds)} | {alone} | {told} | {shown} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(scores(HERE), scores(OTHER)))

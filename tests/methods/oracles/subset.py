"""Copy a small part of the reference numbers into this folder: two regular cases and all edge cases of each loss.

    python tests/methods/oracles/subset.py FOLDER kd dkd dml

FOLDER holds the whole set (``index.json`` and one ``.npz`` a loss). Losses that are already here and not named stay.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ABOUT = ("title", "formula", "convention", "status", "tolerance_note")
OF_A_CASE = (
    "id",
    "kind",
    "description",
    "status",
    "note",
    "params",
    "shapes",
    "float32_deviation",
    "grad_tolerance_absolute",
)


def main(folder: Path, losses: list[str]) -> None:
    whole = json.loads((folder / "index.json").read_text(encoding="utf-8"))["losses"]
    path = HERE / "index.json"
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["losses"] if path.exists() else {}
    for loss in losses:
        entry = whole[loss]
        arrays = dict(np.load(folder / entry["file"], allow_pickle=False))
        size = {case["id"]: 0 for case in entry["cases"]}
        for key, array in arrays.items():
            if (case := key.split("/")[0]) in size:
                size[case] += array.size
        smallest = sorted(size, key=lambda case: size[case])[:2]
        cases = [case for case in entry["cases"] if case["id"] in smallest]
        edge = entry.get("edge", [])
        kept[loss] = {key: entry[key] for key in ABOUT if key in entry} | {
            "references": [reference["where"] for reference in entry["references"]],
            "file": f"{loss}.npz",
            "cases": [{key: case[key] for key in OF_A_CASE if key in case} for case in cases],
            "edge": [{key: case[key] for key in OF_A_CASE if key in case} for case in edge],
        }
        wanted = {case["id"] for case in [*cases, *edge]}
        np.savez_compressed(HERE / f"{loss}.npz", **{k: v for k, v in arrays.items() if k.split("/")[0] in wanted})
    path.write_text(json.dumps({"losses": kept}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

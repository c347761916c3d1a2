"""What 8 bits change of models: `python tests/speed/deploy.py STORE [--every-seed] [ROW ...]` takes cells of a store.

Of every row of the store's last matrix the cell of seed 0 is taken, or those of every seed, or of the named rows alone.
Prints a line of a table for each as the gate judges it; what has no form says why below. The store keeps how they did,
which `kdbench table --deploy` shows.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from kdbench.commands.take import Chosen, last_plan, take
from kdbench.errors import KdbenchError
from kdbench.session import runtime
from kdbench.store.records import Store

FORMS = ("model.int8.onnx", "model.int8.pte")
HEAD = "| dataset | student | method | macro-F1 | ONNX, kB | kept | lost | | ExecuTorch, kB | kept | lost | |"


def main(root: str, *asked: str) -> None:
    every, methods = "--every-seed" in asked, [each for each in asked if each != "--every-seed"]
    store, reasons, seen = Store(Path(root)), [], set()
    where = runtime(store=store.root, device="cpu", data_dir=os.environ.get("KDBENCH_DATA"))
    plan = last_plan(where, None)
    assert plan is not None, f"no matrix was run in {root}"
    print(f"{HEAD}\n| :-- | :-- | :-- | --: {'| --: | --: | --: | :-- ' * len(FORMS)}|", flush=True)
    for planned in plan.places:
        row, pair = planned.place.row, planned.place.pair
        wanted = planned.digest is not None and (every or planned.place.seed == 0)
        record = store.record(str(planned.digest)) if wanted else None
        if record is None or record.status != "done" or record.digest in seen or (methods and row not in methods):
            continue
        seen.add(record.digest)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "taken"
            try:
                quiet = {"say": lambda line: None, "warn": lambda line: None}
                take(Chosen(record.digest, "Taken by its digest."), where, folder, **quiet)
            except KdbenchError as error:
                reasons.append(f"{planned.place.name}: {error}")
                continue
            card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        whole = card["forms"][0]["macro_f1"]
        network = pair.partition(":")[0 if row == "teacher alone" else 2]
        cells = [card["data"]["name"], f"`{network}`", row, f"{100 * whole:.2f}"]
        for file in FORMS:
            cells += _form(file, card, whole)
        print(f"| {' | '.join(cells)} |", flush=True)
        reasons += [f"{network}: {each}" for each in card["left_out"] if each.startswith("model.")]
    print("\n" + "\n".join(f"- {each}" for each in dict.fromkeys(reasons)))


def _form(file: str, card: dict, whole: float) -> list[str]:
    """Size, labels kept, points of F1 lost and the verdict of a form."""
    for verdict, forms in (("in", card["forms"]), ("refused", card["refused"])):
        for form in forms:
            if form["file"] == file:
                lost = f"{100 * (whole - form['macro_f1']):+.2f}"
                return [f"{form['bytes'] / 1000:.1f}", f"{100 * form['label_agreement']:.2f} %", lost, verdict]
    return ["–", "–", "–", "none"]


if __name__ == "__main__":
    main(*sys.argv[1:])

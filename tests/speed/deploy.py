"""What 8 bits change of all networks in a store: `python tests/speed/deploy.py STORE [METHOD ...]` takes its cells.

Prints a line of a table for each, written against the gate where that refuses; what has no form says why below.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from kdbench.store.records import Store

FORMS = ("model.int8.onnx", "model.int8.pte")


def main(root: str, *methods: str) -> None:
    store, reasons = Store(Path(root)), []
    print("| dataset | method | network | macro-F1 | ONNX, kB | labels kept | lost | ExecuTorch, kB | kept | lost |")
    print("| :-- | :-- | :-- | --: | --: | --: | --: | --: | --: | --: |", flush=True)
    for digest in sorted(store.digests()):
        record = store.record(digest)
        if record is None or record.status != "done" or (methods and record.cell["method"]["name"] not in methods):
            continue
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "taken"
            command = [sys.executable, "-m", "kdbench", "take", digest, "-o", str(folder), "--store", root, "--force"]
            ended = subprocess.run(command, capture_output=True, text=True)
            if ended.returncode:
                reasons.append(f"{digest}: {ended.stderr.splitlines()[-1]}")
                continue
            card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        forms = {form["file"]: form for form in card["forms"]}
        trained = card["trained"]
        student = trained["student"]
        settings = ", ".join(f"{key}={value}" for key, value in student["settings"].items() if value is not None)
        whole = forms[""]["macro_f1"]
        cells = [
            card["data"]["name"],
            trained["method"]["name"],
            f"`{student['name']}({settings})`",
            f"{100 * whole:.2f}",
        ]
        for file in FORMS:
            form = forms.get(file)
            cells += (
                ["–"] * 3
                if form is None
                else [
                    f"{form['bytes'] / 1000:.1f}",
                    f"{100 * form['label_agreement']:.2f} %",
                    f"{100 * (whole - form['macro_f1']):+.2f}",
                ]
            )
        print(f"| {' | '.join(cells)} |", flush=True)
        reasons += [f"{student['name']}: {each}" for each in card["left_out"] if each.startswith("model.")]
    print("\n" + "\n".join(f"- {each}" for each in dict.fromkeys(reasons)))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""How long it takes to write a cell to MLflow: python tests/speed/tracking.py [FOLDER]. Trains four tiny cells first.

Prints the processor time of a cell with 40 epochs, which is what a busy machine loses, and of what comes once.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from kdbench.session import Session, runtime
from kdbench.spec.selection import Selection
from kdbench.store.entries import entries
from kdbench.store.memory import remember
from kdbench.store.records import Store
from kdbench.track.mirror import Mirror
from kdbench.track.target import Target

SEEDS, EPOCHS = 15, 40
SELECTION = Selection(
    datasets=("synthetic(people=4)",),
    pairs=("resnet_lstman(width=0.05):mlp(hidden=32)",),
    methods=("kd", "hmkd"),
    settings=("recipe.epochs=1",),
)


def main(root: Path) -> None:
    """Train, multiply the records, write them."""
    where = runtime(store=root / "one", cache=root / "cache", device="cpu")
    Session(SELECTION, where, say=lambda line: None).run(jobs=1, track=False)
    old, new = Store(root / "one"), Store(root / "many")
    plan = Session(replace(SELECTION, seeds=str(SEEDS)), where).plan()
    new.open_for_writing()
    identity = remember(new, plan)
    like = {record.cell["method"]["name"]: record for digest in old.digests() if (record := old.record(digest))}
    for digest, cell in plan.cells.items():
        known = like[cell.method.name]
        new.folder(digest).mkdir()
        shutil.copyfile(old.folder(known.digest) / "student.pt", new.folder(digest) / "student.pt")
        curve = "".join(f"{epoch},0.5,0.4,0.1,1.0\n" for epoch in range(1, EPOCHS + 1))
        (new.folder(digest) / "curve.csv").write_text(f"epoch,hard,soft,other,loss\n{curve}")
        (new.folder(digest) / "record.json").write_text(replace(known, digest=digest, cell=cell.plain).to_json())
    records = [record for digest in plan.cells if (record := new.record(digest)) is not None]
    mirror = Mirror(new, identity, plan)
    busy = time.process_time()
    from kdbench.track.tracker import Tracker

    print(f"loading MLflow: {time.process_time() - busy:.2f} s of processor time")
    for label in ("with a database that MLflow makes", "with one from the cache"):
        folder = root / label
        folder.mkdir()
        wall, busy = time.perf_counter(), time.process_time()
        Tracker(Target(folder))
        took = time.process_time() - busy, time.perf_counter() - wall
        print(f"a new store, {label}: {took[0]:.2f} s of processor time, {took[1]:.2f} s in all")
    mirror.add(records[0])
    wall, busy = time.perf_counter(), time.process_time()
    for record in records[1:]:
        mirror.add(record)
    count = len(records) - 1
    each, took = (time.process_time() - busy) / count, (time.perf_counter() - wall) / count
    print(f"a cell: {1000 * each:.0f} ms of processor time, {1000 * took:.0f} ms in all ({count} cells)")
    busy = time.process_time()
    mirror.finish(entries(plan, new))
    print(f"the end: {time.process_time() - busy:.2f} s of processor time")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))

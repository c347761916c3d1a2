"""Whether last epochs in simulated 8 bits pay: `python tests/speed/quantised_epochs.py STORE [EPOCHS] [ROW ...]`.

Of every trained student of the store's last matrix, what 8 bits change (as `take` makes them). Of those that the gate
refuses, and of the named rows, also what comes of three further epochs of the cell's own method at a tenth of the
learning rate: as they are, and with weights (by channel) and what goes into every layer but the first (by tensor)
rounded to 8 bits in the forward pass; the input and the logits have 16 bits in what is exported. Both are then exported
as `take` does. What a method trains beside its student is not in a store and starts anew.

A line of JSON for each form on standard error, then a table.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from torch import nn
from torch.ao.quantization import FakeQuantize, MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver
from torch.nn.utils.parametrize import register_parametrization, remove_parametrizations

from kdbench.catalog.build import load_data
from kdbench.catalog.find import DATASETS, METHODS, NETWORKS
from kdbench.commands.take import last_plan
from kdbench.data import protocol
from kdbench.deploy.onnx_forms import quantise, run
from kdbench.deploy.parity import judged, objection
from kdbench.deploy.subject import Subject, take
from kdbench.session import runtime
from kdbench.spec.words import Spec
from kdbench.store.artefacts import read_weights
from kdbench.store.records import Store
from kdbench.training.determinism import reproducible
from kdbench.training.work import Given, Taught, Work

RATE = 1e-4
"""Learning rate of the further epochs; recipes begin with ten times as much and end with a tenth."""
NONE, PLAIN, SIMULATED = HOW = ("none", "plain", "simulated")
"""Further epochs."""
CPU = torch.device("cpu")


def main(root: str, epochs: str = "3", *rows: str) -> None:
    store = Store(Path(root))
    where = runtime(store=store.root, device="cpu", data_dir=os.environ.get("KDBENCH_DATA"))
    plan = last_plan(where, None)
    assert plan is not None, f"no matrix was run in {root}"
    found: list[dict[str, Any]] = []
    loaded = lru_cache(maxsize=1)(load_data)
    for planned in plan.places:
        if planned.digest is None or planned.place.row == "teacher alone" or store.record(planned.digest) is None:
            continue
        part = plan.cells[planned.digest].dataset
        data = loaded(DATASETS.close(Spec(part.name, dict(part.settings))), where)
        with reproducible():
            subject = take(store, planned.digest, data)
            about = {"dataset": planned.place.dataset, "student": planned.place.network, "row": planned.place.row}
            about["seed"] = planned.place.seed
            found.append(about | {"epochs": NONE} | _in_8_bits(subject, subject))
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)
            if found[-1]["against"] or planned.place.row in rows:
                for how, simulated in ((PLAIN, False), (SIMULATED, True)):
                    longer = _trained_on(subject, store, int(epochs), simulated=simulated)
                    found.append(about | {"epochs": how} | _in_8_bits(longer, subject))
                    print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    print(_tables(found))


def _in_8_bits(subject: Subject, before: Subject) -> dict[str, Any]:
    """How a model does in float32 and in 8 bits, against itself and against the one before further epochs."""
    x = subject.windows(subject.split.evaluation)
    whole = judged(subject, subject.probabilities, name="", file="", size=0)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "model.int8.onnx"
        made = quantise(subject, path)
        said = run(path, x)
        form = judged(subject, said, name="", file=path.name, size=path.stat().st_size, bits=8)
    same = (said.argmax(axis=1) == before.probabilities.argmax(axis=1)).mean()
    return {
        "f1": 100 * whole.macro_f1,
        "f1_8": 100 * form.macro_f1,
        "kept": 100 * form.agreement,
        "as_before": 100 * float(same),
        "activations": made.activations,
        "against": objection(subject, whole, form),
    }


def _trained_on(subject: Subject, store: Store, epochs: int, *, simulated: bool) -> Subject:
    """The same student after further epochs of its method, with weights on the steps of 8 bits where simulated."""
    recipe = replace(subject.cell.recipe, epochs=epochs, learning_rate=RATE)
    cell = replace(subject.cell, recipe=recipe)
    with tempfile.TemporaryDirectory() as place:
        work = Work(cell, _given(subject, store, Path(place)))
        work.build()
        network = work.student.network
        network.load_state_dict(read_weights(store, subject.record.digest, CPU))
        layers = [each for each in network.modules() if isinstance(each, nn.Linear | nn.Conv1d)] if simulated else []
        for number, layer in enumerate(layers):
            register_parametrization(layer, "weight", _weights())
            if number:  # the input of the first keeps 16 bits
                layer.register_module("rounded", _activations())
                layer.register_forward_pre_hook(lambda layer, given: (layer.rounded(given[0]),))
        work.train(lambda training: None)
    for layer in layers:
        remove_parametrizations(layer, "weight", leave_parametrized=True)
        layer._forward_pre_hooks.clear()
        if hasattr(layer, "rounded"):
            del layer.rounded
    whole = type(subject.model)(network.eval(), subject.model.mean[:, 0].numpy(), subject.model.deviation[:, 0].numpy())
    return replace(subject, model=whole.eval().requires_grad_(False))


def _given(subject: Subject, store: Store, served: Path) -> Given:
    cell, taught = subject.cell, None
    if cell.teacher_cell is not None:
        logits = store.predictions(cell.teacher_cell)["logits"]
        taught = Taught(read_weights(store, cell.teacher_cell, CPU), logits, served)
    return Given(
        data=subject.data,
        protocol=protocol(cell.protocol),
        method=METHODS.get(cell.method.name),
        student=NETWORKS.get(cell.student.name),
        teacher=None if cell.teacher is None else NETWORKS.get(cell.teacher.name),
        taught=taught,
        device=CPU,
    )


def _weights() -> nn.Module:
    """Rounds to 127 steps at each side of 0, channel by channel, as they are at this moment."""
    observer = MovingAveragePerChannelMinMaxObserver.with_args(averaging_constant=1.0, ch_axis=0)
    scheme = {"qscheme": torch.per_channel_symmetric, "dtype": torch.qint8}
    return FakeQuantize(observer, quant_min=-127, quant_max=127, **scheme)


def _activations() -> nn.Module:
    scheme = {"qscheme": torch.per_tensor_affine, "dtype": torch.qint8}
    return FakeQuantize(MovingAverageMinMaxObserver, quant_min=-128, quant_max=127, **scheme)


def _tables(found: list[dict[str, Any]]) -> str:
    """What 8 bits change of all students; then, by network and of those refused, what further epochs do."""
    first = [each for each in found if each["epochs"] == NONE]
    lost = [each["f1"] - each["f1_8"] for each in first]
    kept, refused = [each["kept"] for each in first], sum(bool(each["against"]) for each in first)
    triple = " / ".join(HOW)
    lines = [
        f"{len(first)} students in 8 bits: {fmean(lost):+.3f} points of macro-F1 lost ({min(lost):+.2f} to "
        f"{max(lost):+.2f}), {fmean(kept):.2f} % of labels kept (at least {min(kept):.2f}); {refused} refused\n",
        f"| dataset | student | n | F1 in 8 bits: {triple} | {SIMULATED} less {PLAIN} | lost by 8 bits | passed |",
        "| :-- | :-- | --: | --: | --: | --: | --: |",
    ]
    by_cell: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for each in found:
        by_cell.setdefault(tuple(each[key] for key in ("dataset", "student", "row", "seed")), {})[each["epochs"]] = each
    groups: dict[tuple[str, str], list[dict[str, dict[str, Any]]]] = {}
    for cell, each in by_cell.items():
        if len(each) > 1:
            groups.setdefault((cell[0], f"`{cell[1]}`"), []).append(each)
    groups["both", "refused of these"] = [each for some in groups.values() for each in some if each[NONE]["against"]]
    return "\n".join([*lines, *(_line(*names, some) for names, some in groups.items() if some)])


def _line(dataset: str, student: str, some: list[dict[str, dict[str, Any]]]) -> str:
    """A line of the table for some students, each with what was found by the further epochs."""
    f1 = " / ".join(f"{fmean(each[how]['f1_8'] for each in some):.2f}" for how in HOW)
    lost = " / ".join(f"{fmean(each[how]['f1'] - each[how]['f1_8'] for each in some):+.2f}" for how in HOW)
    passed = " / ".join(str(sum(not each[how]["against"] for each in some)) for how in HOW)
    less = [each[SIMULATED]["f1_8"] - each[PLAIN]["f1_8"] for each in some]
    spread = f" ± {stdev(less):.2f}" if len(less) > 1 else ""
    return f"| {dataset} | {student} | {len(some)} | {f1} | {fmean(less):+.2f}{spread} | {lost} | {passed} |"


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What a folder says in words and in JSON: ``parity.md`` and ``card.json``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from kdbench.deploy.parity import LEAST_AGREEMENT, MOST_LOST, Form
from kdbench.deploy.subject import Subject
from kdbench.results.render import markdown_text
from kdbench.results.sheet import Cell, Column, Sheet
from kdbench.results.words.costs import shown


@dataclass(frozen=True)
class Told:
    """What both pages say beside the forms.

    Args:
        chosen: how the cell was chosen, a sentence.
        refused: forms that the gate kept out of the folder.
        left_out: what could not be made, each with the reason.
    """

    chosen: str
    refused: tuple[Form, ...] = ()
    left_out: tuple[str, ...] = ()


def parity_text(subject: Subject, forms: Sequence[Form], told: Told, *, processor: str) -> str:
    """The page on how the forms did; the first form is the trained model.

    Args:
        subject: what was taken.
        forms: the trained model, then what is in the folder.
        told: what else is to be said.
        processor: where latency was measured.
    """
    cell = subject.cell
    people = len(np.unique(subject.people))
    adds = shown("multiply_adds", subject.record.costs.get("multiply_adds"))
    lines = [
        f"# {cell.student.name} of {cell.dataset_name}, taken out of cell {subject.record.digest}",
        "",
        f"{told.chosen} Judged on all {len(subject.labels):,} {subject.split.side} windows of {people} people "
        f"(protocol {cell.protocol}, method {cell.method.name}, seed {cell.seed}).",
        "",
    ]
    forced = [form for form in forms if form.against]
    if forced:
        lines += ["**Written by --force, against the gate:**", "", *(f"- {form.against}" for form in forced), ""]
    if told.refused:
        lines += ["**Refused by the gate, so not in this folder:**", ""]
        lines += [*(f"- {form.against}" for form in told.refused), ""]
    every = [*forms, *(replace(form, name=f"{form.name}, refused") for form in told.refused)]
    lines += [
        markdown_text(_sheet(every)),
        "",
        f"Gate: at least {100 * LEAST_AGREEMENT:.0f} % of the windows keep the trained model's label, at most "
        f"{100 * MOST_LOST:.1f} points of macro-F1 are lost, and nobody who is judged is among the calibration "
        "windows. Logits are not looked at: 8 bits move them far and labels hardly. Macro-F1 in percent with a 95 % "
        "interval by drawing people again, which is too narrow for few people. Multiply-adds of every form: "
        f"{adds} a window.",
        "",
        f"Latency in ms of one window on one thread of {processor}, beside whatever else that machine did. Memory: "
        "for ONNX, ExecuTorch and LiteRT by how much loading and running the model raised that of a process that had "
        "the runtime loaded already; for C its buffers, beside the window.",
        "",
        "F1 of each class in percent, and in brackets its change in points:",
        "",
        markdown_text(_classes(subject, every)),
        "",
        *(f"- {form.file}: {form.said}." for form in every if form.said),
        f"- Calibrated on {len(subject.calibration)} training windows; the judged ones were not looked at for it.",
        *(f"- Left out: {each}" for each in told.left_out),
    ]
    return "\n".join(lines) + "\n"


def card(subject: Subject, forms: Sequence[Form], told: Told, *, folder: Path) -> dict[str, Any]:
    """Everything that whoever uses the folder has to know, as JSON has it."""
    use, record, about = subject.use, subject.record, subject.data.description
    channels = [use.channels[number] for number in subject.sees]
    return {
        "input": {
            "name": "windows",
            "shape": ["batch", len(channels), use.length],
            "channels": [{"name": name, "unit": unit} for name, unit in channels],
            "rate": use.rate,
            "length": use.length,
            "step": use.step,
            "normalisation": "folded in: raw values in these units go in",
            "mean": subject.model.mean[:, 0].tolist(),
            "deviation": subject.model.deviation[:, 0].tolist(),
        },
        "output": {"name": "probabilities", "classes": list(use.classes)},
        "trained": _trained(subject, told),
        "people": {
            "training": use.people,
            "judged": len(np.unique(subject.people)),
            "windows": {
                "training": use.windows,
                "calibration": len(subject.calibration),
                "judged": len(subject.labels),
            },
        },
        "data": {
            "name": about.name,
            "title": about.title,
            "digest": use.data,
            "licence": about.licence,
            "citation": about.citation,
            "url": about.url,
        },
        "forms": [_form(form) for form in forms],
        "refused": [_form(form) for form in told.refused],
        "left_out": list(told.left_out),
        "files": {path.name: _hash(path) for path in sorted(folder.iterdir())},
        "versions": {**record.versions, **_versions()},
    }


def _versions() -> dict[str, str]:
    """Of what the forms were made by, as far as it is here."""
    found = {"taken_by_kdbench": version("kdbench"), "onnxruntime": version("onnxruntime")}
    for name in ("executorch", "litert-torch"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _trained(subject: Subject, told: Told) -> dict[str, Any]:
    cell, record = subject.cell, subject.record
    return {
        "cell": record.digest,
        "method": cell.method.plain,
        "student": cell.student.plain,
        "teacher": None if cell.teacher is None else cell.teacher.plain,
        "teacher_cell": cell.teacher_cell,
        "teacher_weights": record.teacher_weights,
        "weights": record.files.get("student.pt"),
        "protocol": cell.protocol,
        "fold": cell.fold,
        "seed": cell.seed,
        "recipe": cell.recipe.numbers,
        "chosen": told.chosen,
        "normalisation_fitted_again": subject.fitted_again,
    }


def _form(form: Form) -> dict[str, Any]:
    timed = form.timed
    return {
        "name": form.name,
        "file": form.file,
        "bytes": form.size,
        "label_agreement": form.agreement,
        "macro_f1": form.macro_f1,
        "macro_f1_interval": list(form.interval),
        "class_f1": list(form.class_f1),
        "worst_person_f1": form.worst_person,
        "largest_difference": form.off,
        "latency_ms": None if timed is None else {"p50": timed.p50, "p90": timed.p90, "p99": timed.p99},
        "memory": None if timed is None else timed.memory,
        "how": form.said,
        "against_the_gate": form.against or None,
    }


def _sheet(forms: Sequence[Form]) -> Sheet:
    names = ("size", "labels kept", "macro-F1", "interval", "worst person", "p50", "p90", "p99", "memory")
    rows = []
    for form in forms:
        timed = form.timed
        times = [f"{value:.3g}" for value in (timed.p50, timed.p90, timed.p99)] if timed else ["–"] * 3
        memory = "–" if timed is None or timed.memory is None else shown("activation_memory", timed.memory)
        low, high = form.interval
        texts = [
            shown("file_size", form.size),
            f"{100 * form.agreement:.2f} %",
            f"{100 * form.macro_f1:.2f}",
            f"{100 * low:.1f} to {100 * high:.1f}",
            f"{100 * form.worst_person:.1f}",
            *times,
            memory,
        ]
        rows.append((Cell(form.name), *map(Cell, texts)))
    return Sheet((Column("form", numeric=False), *map(Column, names)), tuple(rows))


def _classes(subject: Subject, forms: Sequence[Form]) -> Sheet:
    trained, *others = forms
    rows = []
    for number, name in enumerate(subject.use.classes):
        before = trained.class_f1[number]
        cells = [
            Cell(f"{100 * form.class_f1[number]:.1f} ({100 * (form.class_f1[number] - before):+.2f})")
            for form in others
        ]
        rows.append((Cell(name), Cell(f"{100 * before:.1f}"), *cells))
    return Sheet((Column("class", numeric=False), *(Column(form.name) for form in forms)), tuple(rows))


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

"""A page that runs the model in a browser from one file, where ONNX Runtime Web is here to be put into it."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from importlib.resources import files
from pathlib import Path

import numpy as np

from kdbench.deploy.golden import golden
from kdbench.deploy.subject import Floats, Subject

VARIABLE = "KDBENCH_ORT_WEB"
RUNTIME, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
TOLERANCE = 1e-4
"""How far a probability may be off in a browser, which multiplies in another order."""

HOW = (
    "demo.html wants the npm package onnxruntime-web: `npm install onnxruntime-web` in the current folder, or "
    f"{VARIABLE} names the package's folder"
)


def runtime_folder() -> Path | None:
    """The package's folder of programs, if it is here."""
    named = os.environ.get(VARIABLE)
    package = Path(named) if named else Path("node_modules") / "onnxruntime-web"
    found = sorted(path.parent for path in (*package.glob(RUNTIME), *package.glob(f"*/{RUNTIME}")))
    return next((folder for folder in found if (folder / WASM).is_file()), None)


def write_demo(subject: Subject, folder: Path, runtime: Path) -> None:
    """Write ``demo.html`` beside the models of a folder.

    Args:
        subject: whose golden windows are run.
        folder: with ``model.onnx`` and, where there is one, ``model.int8.onnx``.
        runtime: the programs of ONNX Runtime Web.
    """
    rows, _ = golden(subject)
    windows = subject.windows(subject.split.evaluation[rows])
    about = {
        "windows": _floats(windows),
        "probabilities": _floats(subject.probabilities[rows]),
        "labels": subject.labels[rows].tolist(),
        "classes": list(subject.use.classes),
        "shape": list(windows.shape[1:]),
    }
    parts = {
        "TITLE": html.escape(f"{subject.cell.student.name} on {subject.cell.dataset_name}"),
        "TOLERANCE": f"{TOLERANCE:g}",
        "GOLDEN": json.dumps(about).replace("<", "\\u003c"),  # the end of the script may stand in no name
        "RUNTIME": _text(runtime / RUNTIME),
        "WASM": _text(runtime / WASM),
        "MODEL": _text(folder / "model.onnx"),
        "INT8": _text(quantised) if (quantised := folder / "model.int8.onnx").is_file() else "",
    }
    page = files("kdbench").joinpath("deploy", "files", "demo.html").read_text(encoding="utf-8")
    filled = re.sub("@([A-Z0-9]+)@", lambda found: parts[found[1]], page)
    (folder / "demo.html").write_text(filled, encoding="utf-8")


def _floats(array: Floats) -> str:
    return base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode()


def _text(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()

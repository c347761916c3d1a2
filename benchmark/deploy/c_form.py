"""A model in C: what is written, how it is compiled, and what it says."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from kdbench.deploy.chain import Layer
from kdbench.deploy.subject import Floats
from kdbench.errors import KdbenchError

STRICT = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror")
"""What the sources compile under without a word."""

SANITISED = (*STRICT, "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@dataclass(frozen=True)
class Needs:
    """What the model needs on a microcontroller.

    Args:
        ram: bytes of its two buffers.
        flash: bytes of its constants.
        code: bytes of its compiled code, at -Os on this machine; None where it could not be compiled.
    """

    ram: int
    flash: int
    code: int | None = None


def write_c(layers: Sequence[Layer], channels: Sequence[str], classes: Sequence[str], folder: Path) -> Needs:
    """Write ``model.h``, ``model.c`` and ``main.c``.

    Args:
        layers: the chain.
        channels: names, in the order of a window.
        classes: names of the labels.
        folder: where to.
    """
    calls, buffers = _calls(layers)
    needs = Needs(4 * sum(buffers), 4 * sum(array.size for _, _, array in _arrays(layers)))
    (folder / "model.h").write_text(_header(layers, len(classes), needs), encoding="utf-8")
    (folder / "model.c").write_text(_source(layers, channels, classes, calls, buffers), encoding="utf-8")
    (folder / "main.c").write_text(_file("main.c"), encoding="utf-8")
    return needs


def compiler() -> str | None:
    """The C compiler that the variable KDBENCH_CC names, or the system's, if there is one."""
    return next(filter(None, map(shutil.which, (os.environ.get("KDBENCH_CC", ""), "gcc", "clang"))), None)


def compiled(folder: Path, program: Path, options: Sequence[str] = STRICT) -> Path:
    """The sources of a folder as a program.

    Raises:
        KdbenchError: if there is no compiler, or it complains.
    """
    compiles = compiler()
    if compiles is None:
        raise KdbenchError("no C compiler here: gcc, clang, or what the variable KDBENCH_CC names")
    sources = [str(folder / name) for name in ("main.c", "model.c")]
    done = subprocess.run([compiles, *options, "-o", str(program), *sources, "-lm"], capture_output=True, text=True)
    if done.returncode:
        raise KdbenchError(f"{compiles} refuses the model in C: {(done.stderr.splitlines() or ['no reason'])[0]}")
    return program


def code_size(folder: Path) -> int | None:
    """Bytes of machine code of ``model.c`` at -Os, its constants left out; None where that cannot be told."""
    compiles, size = compiler(), shutil.which("size")
    if compiles is None or size is None:
        return None
    with tempfile.TemporaryDirectory(prefix="kdbench-") as place:
        made = Path(place) / "model.o"
        command = [compiles, "-std=c99", "-Os", "-c", "-o", str(made), str(folder / "model.c")]
        if subprocess.run(command, capture_output=True).returncode:
            return None
        told = subprocess.run([size, "-A", str(made)], capture_output=True, text=True).stdout
    found = re.findall(r"^\.text\S*\s+(\d+)", told, flags=re.MULTILINE)
    return sum(map(int, found)) if found else None


def run_c(program: Path, x: Floats, classes: int) -> Floats:
    """Probabilities (N, K) that a compiled model says of raw windows.

    Raises:
        KdbenchError: if it fails.
    """
    raw = np.ascontiguousarray(x, np.float32).tobytes()
    done = subprocess.run([str(program), "run"], input=raw, capture_output=True)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").splitlines()
        raise KdbenchError(f"the model in C failed: {(said or ['without a word'])[-1]}")
    return np.frombuffer(done.stdout, np.float32).reshape(-1, classes)


def timed_c(program: Path, window: Floats, times: int) -> tuple[float, float, float]:
    """Milliseconds of one window: median, 90th and 99th percentile."""
    with tempfile.TemporaryDirectory(prefix="kdbench-") as place:
        given = Path(place) / "window.f32"
        given.write_bytes(np.ascontiguousarray(window, np.float32).tobytes())
        done = subprocess.run([str(program), "time", str(given), str(times)], capture_output=True, text=True)
    p50, p90, p99 = map(float, re.findall(r"p\d\d ([\d.]+) ms", done.stdout))
    return p50, p90, p99


def _header(layers: Sequence[Layer], classes: int, needs: Needs) -> str:
    """The interface, and the weights for whoever asks for them."""
    weights = (_declared(f"{name}_{number}", array) for number, name, array in _arrays(layers))
    given, samples = layers[0].into
    return f"""\
/* The interface of a model that kdbench took to C: raw windows in, probabilities out; its weights are below. */
#ifndef KDBENCH_MODEL_H
#define KDBENCH_MODEL_H

#define KDBENCH_CHANNELS {given}
#define KDBENCH_SAMPLES {samples}
#define KDBENCH_CLASSES {classes}
#define KDBENCH_RAM {needs.ram}    /* bytes of buffers */
#define KDBENCH_FLASH {needs.flash} /* bytes of constants */

extern const char *const kdbench_channels[KDBENCH_CHANNELS];
extern const char *const kdbench_classes[KDBENCH_CLASSES];

/* window: (KDBENCH_CHANNELS, KDBENCH_SAMPLES) in the units of card.json; not reentrant, its buffers are static. */
void kdbench_predict(const float *window, float *probabilities);

#ifdef KDBENCH_WEIGHTS
{"".join(weights)}#endif
#endif
"""


def _source(
    layers: Sequence[Layer], channels: Sequence[str], classes: Sequence[str], calls: str, buffers: tuple[int, int]
) -> str:
    """The layers that there are, and the function that calls them."""
    return f"""\
/* A model that kdbench took to C; made by a program. */
#include <math.h>
#include <string.h>

#define KDBENCH_WEIGHTS
#include "model.h"

const char *const kdbench_channels[KDBENCH_CHANNELS] = {{{", ".join(map(_quoted, channels))}}};
const char *const kdbench_classes[KDBENCH_CLASSES] = {{{", ".join(map(_quoted, classes))}}};

static float first[{buffers[0]}], second[{buffers[1]}];

{_functions(layers)}
void kdbench_predict(const float *window, float *probabilities) {{
{calls}}}
"""


def _calls(layers: Sequence[Layer]) -> tuple[str, tuple[int, int]]:
    """The lines that run the layers, between two buffers in turn, and the sizes of these."""
    sizes, at, lines = [1, 1], "window", []
    for number, layer in enumerate(layers):
        out = math.prod(layer.out)
        if layer.in_place:
            lines.append(f"    {layer.name}({at}, {out});\n")
            continue
        turn = 0 if at != "first" else 1
        sizes[turn] = max(sizes[turn], out)
        to = ("first", "second")[turn]
        lines.append(f"    {layer.name}({to}, {at}, {', '.join(_arguments(number, layer))});\n")
        at = to
    lines.append(f"    memcpy(probabilities, {at}, sizeof *probabilities * KDBENCH_CLASSES);\n")
    return "".join(lines), (sizes[0], sizes[1])


def _arguments(number: int, layer: Layer) -> Iterator[str]:
    """What a layer's function is called with, after its two arrays."""
    into, out = layer.into, layer.out
    sizes = {
        "normalise": into,
        "convolution": (*into, *out),
        "linear": (*into, *out),
        "maximum": (*into, out[-1]),
        "mean": into,
    }[layer.name]
    yield from map(str, sizes)
    yield from map(str, layer.numbers.values())
    yield from (f"{name}_{number}" for name in layer.weights)


def _arrays(layers: Sequence[Layer]) -> Iterator[tuple[int, str, Floats]]:
    for number, layer in enumerate(layers):
        for name, array in layer.weights.items():
            yield number, name, array


def _functions(layers: Sequence[Layer]) -> str:
    """The functions of the layers that there are: others would be called unused."""
    used = {layer.name for layer in layers}
    parts = re.split(r"\n(?=static |/\* Padding)", _file("layers.c"))
    kept = [part for part in parts[1:] if re.search(rf"\b({'|'.join(used)})\(", part.split("{")[0])]
    return "\n".join([parts[0].strip(), "", *(part.strip() + "\n" for part in kept)])


def _declared(name: str, array: Floats) -> str:
    values = [_literal(value) for value in array.reshape(-1).tolist()]
    lines = (", ".join(values[first : first + 8]) for first in range(0, len(values), 8))
    return f"static const float {name}[{array.size}] = {{\n    " + ",\n    ".join(lines) + "};\n"


def _literal(value: float) -> str:
    text = f"{value:.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def _quoted(text: str) -> str:
    """A name as a string of C: what is not ASCII is written byte by byte, in octal, which ends by itself."""
    return '"' + "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in text.encode()
    ) + '"'  # fmt: skip


def _file(name: str) -> str:
    return files("kdbench").joinpath("deploy", "files", name).read_text(encoding="utf-8")

"""A model as a file of LiteRT (TensorFlow Lite), in float32 and with weights of 8 bits."""

from __future__ import annotations

import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kdbench.deploy.fewest import fewest
from kdbench.deploy.plain import plainer, recurrent
from kdbench.deploy.quiet import told
from kdbench.deploy.rounding import rounded
from kdbench.deploy.subject import Floats, Subject, Whole
from kdbench.errors import KdbenchError

HOW = "litert-torch is not installed: pip install 'kdbench[litert]'"

SIGNATURE = "serving_default"
NORMALISED, LAST = r"\.Whole;", f"^{SIGNATURE}_output"
ENDS = (
    ("INPUT", ".*"),
    ("SUB", NORMALISED),
    ("DIV", NORMALISED),
    ("MUL", NORMALISED),
    ("SOFTMAX", LAST),
    ("OUTPUT", ".*"),
)
"""What stays in float32, by operation and the names of what comes out: the normalisation, since raw channels have
ranges of their own (its division becomes a product), and the probabilities."""


def absent() -> bool:
    """Whether the converter is not here."""
    return find_spec("litert_torch") is None


def convert(subject: Subject, path: Path) -> None:
    """Write a model in float32, for one window at a time.

    Raises:
        KdbenchError: if LiteRT cannot take the network.
    """
    _write(subject, plainer(subject), path)


def quantise(subject: Subject, path: Path) -> str:
    """Write a model with weights in 8 bits, and activations in 8 bits or, where those change too many labels, in 16.

    Rounding is fitted and ranges are read on training windows, and the choice is made by other training windows.

    Returns:
        how it was made, in words.

    Raises:
        KdbenchError: if LiteRT cannot quantise the network, or it is a recurrent one.
    """
    if kinds := recurrent(subject.model):
        raise KdbenchError(
            f"LiteRT writes out each step of the {' and '.join(kinds)}, and what 8 bits add to a step makes the file "
            "larger than model.tflite, which has it"
        )
    with tempfile.TemporaryDirectory(prefix="kdbench-") as place:
        whole = Path(place) / "rounded.tflite"
        _write(subject, rounded(plainer(subject), subject.windows(subject.fit)), whole)

        def form(bits: int, windows: Floats) -> tuple[tuple[int, bytes], Floats]:
            program = _quantised(subject, whole, bits)
            path.write_bytes(program)
            return (bits, program), run(path, windows)

        (bits, program), _ = fewest(subject, (partial(form, bits) for bits in (8, 16)))
    path.write_bytes(program)
    return f"weights 8 bits by channel, activations {bits} bits; normalisation and probabilities in float32"


def run(path: Path, x: Floats) -> Floats:
    """Probabilities (N, K) of raw windows, one at a time on one thread.

    Raises:
        KdbenchError: if LiteRT's runtime cannot run the model.
    """
    with told("LiteRT's runtime cannot run it"):
        from ai_edge_litert.interpreter import Interpreter

        loaded = Interpreter(model_path=str(path), num_threads=1)
        loaded.allocate_tensors()
        (given,), (said,) = loaded.get_input_details(), loaded.get_output_details()
        found = []
        for window in x:
            loaded.set_tensor(given["index"], window[None])
            loaded.invoke()
            found.append(loaded.get_tensor(said["index"]).copy())
    return np.concatenate(found)


def _write(subject: Subject, model: Whole, path: Path) -> None:
    with told("LiteRT cannot take this network"):
        import litert_torch

        window = torch.from_numpy(subject.windows(subject.calibration[:1]))
        litert_torch.convert(model, (window,)).export(str(path))


def _quantised(subject: Subject, whole: Path, bits: int) -> bytes:
    with told("LiteRT cannot quantise this network"):
        from ai_edge_litert.interpreter import Interpreter
        from ai_edge_quantizer import quantizer, recipe
        from ai_edge_quantizer.calibrator import Calibrator
        from ai_edge_quantizer.recipe_manager import RecipeManager
        from ai_edge_quantizer.utils.qsv_utils import min_max_update

        (name,) = Interpreter(model_path=str(whole)).get_signature_list()[SIGNATURE]["inputs"]
        windows = [{name: window[None]} for window in subject.windows(subject.calibration)]
        steps, manager = _but_for_ends(getattr(recipe, f"static_wi8_ai{bits}")()), RecipeManager()
        manager.load_quantization_recipe(steps)
        ranges = Calibrator(str(whole), num_threads=1, qsv_update_func=min_max_update)  # by itself it averages them
        ranges.calibrate({SIGNATURE: windows}, manager)
        made = quantizer.Quantizer(str(whole), steps)
        quantised = made.quantize(ranges.get_model_qsvs(), enable_progress_bar=False, enable_progress_report=False)
        return bytes(quantised.quantized_model)


def _but_for_ends(recipe: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A recipe for all operations, and none of it for some."""
    return [
        *recipe,
        *({**recipe[0], "operation": each, "regex": names, "algorithm_key": "no_quantize"} for each, names in ENDS),
    ]

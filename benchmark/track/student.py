"""A deployed network as a model of MLflow: the folder that describes it, written by hand, and what loads it.

Logging a network through MLflow's torch flavour takes seconds, since it pickles it, looks for its requirements and
tries it out. The folder is known beforehand, and the weights lie in the store already.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdbench.plan.model import WindowKind
from kdbench.results.record import Record
from kdbench.track.content import Model

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

WEIGHTS, ABOUT = "student.pt", "student.json"


def model_of(record: Record, kind: WindowKind, weights: Path) -> Model:
    """The folder of a cell's deployed network.

    Args:
        record: of the cell.
        kind: what its windows are.
        weights: the file that the store has.
    """
    cell = record.cell
    about = {
        "digest": record.digest,
        **{key: cell.get(key) for key in ("method", "role", "student", "teacher")},
        "channels": list(kind.channels),
        "length": kind.length,
        "rate": kind.rate,
        "classes": list(kind.classes),
    }
    flavour = {
        "loader_module": __name__,
        "data": "data",
        "python_version": record.versions.get("python", "3.11"),
        "env": {"virtualenv": "python_env.yaml"},
    }
    described = {
        "artifact_path": "model",
        "flavors": {"python_function": flavour},
        "mlflow_version": record.versions.get("mlflow", "3.7.0"),
        "model_uuid": record.digest,
        "utc_time_created": record.finished[:19].replace("T", " "),
        "saved_input_example_info": {
            "artifact_path": "input_example.json",
            "serving_input_path": "serving_input_example.json",
            "type": "ndarray",
        },
        "signature": _signature(len(kind.channels), kind.length, len(kind.classes)),
    }
    example = _example(len(kind.channels), kind.length)
    needed = [f"kdbench=={record.versions['kdbench']}" if "kdbench" in record.versions else "kdbench"]
    needed += [f"torch=={record.versions['torch'].partition('+')[0]}"] if "torch" in record.versions else ["torch"]
    files = {
        "MLmodel": json.dumps(described, indent=1),  # YAML takes JSON
        f"data/{ABOUT}": json.dumps(about, indent=1),
        "input_example.json": example,
        "serving_input_example.json": f'{{"inputs": {example}}}',
        "requirements.txt": "\n".join([*needed, ""]),
        "python_env.yaml": json.dumps({"python": flavour["python_version"], "dependencies": ["-r requirements.txt"]}),
    }
    return Model(str(cell["student"]["name"]), files, weights)


def _signature(channels: int, length: int, classes: int) -> dict[str, Any]:
    def tensor(*shape: int) -> str:
        spec = {"dtype": "float32", "shape": [-1, *shape]}
        return json.dumps([{"type": "tensor", "tensor-spec": spec}])

    return {"inputs": tensor(channels, length), "outputs": tensor(classes), "params": None}


@cache
def _example(channels: int, length: int) -> str:
    """A window as the network takes it: normalised, so of noise; nobody's recording leaves the store."""
    drawn = random.Random(0)
    window = [[round(drawn.gauss(0, 1), 3) for _ in range(length)] for _ in range(channels)]
    return json.dumps([window])


class Student:
    """What MLflow loads: normalised windows in, logits out.

    Args:
        network: the deployed one.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network.eval()

    def predict(self, windows: npt.NDArray[np.float32], params: object = None) -> npt.NDArray[np.float32]:
        """Logits (N, K) of windows (N, C, T), each channel normalised as in training."""
        import numpy as np
        import torch

        with torch.no_grad():
            given = torch.from_numpy(np.ascontiguousarray(windows, dtype=np.float32))
            found = self._network(given)
            logits: npt.NDArray[np.float32] = getattr(found, "logits", found).numpy()
        return logits


def _load_pyfunc(path: str) -> Student:
    """The model of a folder; MLflow calls this by its name."""
    import torch

    folder = Path(path)
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    weights = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)
    network = _deployed(about, weights.keys())
    network.load_state_dict(weights)
    return Student(network)


def _deployed(about: Mapping[str, Any], keys: Any) -> nn.Module:
    """The network that has these weights: the student, or what its method makes of it."""
    import torch

    from kdbench.catalog.find import METHODS, NETWORKS

    def network(part: Mapping[str, Any]) -> Any:
        sizes = len(about["channels"]), about["length"], len(about["classes"])
        return NETWORKS.get(part["name"])(*sizes, **part["settings"])

    from kdbench.architectures import probe
    from kdbench.methods import Setup
    from kdbench.roles import Role

    student = network(about["student"])
    if student.state_dict().keys() == keys:
        found: nn.Module = student
        return found
    teacher = network(about["teacher"])
    shapes = [probe(each, len(about["channels"]), about["length"]) for each in (student, teacher)]
    labels = torch.arange(len(about["classes"]))
    setup = Setup(len(labels), labels, shapes[0], role=Role(about["role"]), teacher=shapes[1])
    method = METHODS.get(about["method"]["name"])(setup, **about["method"]["settings"])
    return method.deployed(student, teacher.head)

"""What the store keeps as torch writes it: weights of finished cells, checkpoints of running ones."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import Any

import torch

from kdbench.errors import KdbenchError
from kdbench.files import write_whole
from kdbench.results.record import WEIGHTS
from kdbench.spec.teachers import Imported
from kdbench.store.imports import import_path, keep_import
from kdbench.store.records import AGAIN, Store
from kdbench.text import first_line


def write_weights(store: Store, digest: str, weights: dict[str, torch.Tensor]) -> None:
    """Keep the weights of a cell's deployed model; before its record, which says that all is there."""
    store.folder(digest).mkdir(parents=True, exist_ok=True)
    write_whole(store.folder(digest) / WEIGHTS, _saved(weights))


def read_weights(store: Store, digest: str, device: torch.device) -> dict[str, torch.Tensor]:
    """Weights of a finished cell's deployed model.

    Raises:
        KdbenchError: if they are missing or damaged.
    """
    raw = io.BytesIO(store.content(digest, WEIGHTS))
    try:
        loaded: dict[str, torch.Tensor] = torch.load(raw, map_location=device, weights_only=True)
        return loaded
    except Exception as error:  # torch raises many kinds for a damaged file
        raise KdbenchError(f"{store.folder(digest) / WEIGHTS}: {first_line(error)}; {AGAIN}") from None


def write_checkpoint(store: Store, digest: str, state: dict[str, Any]) -> None:
    """Keep what the next epoch needs."""
    store.folder(digest).mkdir(parents=True, exist_ok=True)
    write_whole(store.folder(digest) / "checkpoint.pt", _saved(state))


def read_checkpoint(store: Store, digest: str, device: torch.device) -> dict[str, Any] | None:
    """What a killed run left, or None. A file that cannot be read is no checkpoint: the cell starts again."""
    path = store.folder(digest) / "checkpoint.pt"
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        return state
    except Exception:
        return None


def write_import(store: Store, network: str, data: str, weights: Mapping[str, torch.Tensor]) -> Imported:
    """Keep weights that a user brought along, under a hash of the tensors alone, whatever file they came in."""
    kept = {key: weights[key].detach().cpu().contiguous().clone() for key in sorted(weights)}
    found = Imported(network, data, _hash_of(kept))
    keep_import(store, found, _saved(kept))
    return found


def read_import(store: Store, weights: str) -> dict[str, torch.Tensor]:
    """Weights that were imported, by their hash.

    Raises:
        KdbenchError: if they are not here, or damaged.
    """
    path = import_path(store, weights)
    again = "`kdbench teachers import` with the original file brings it back"
    try:
        loaded: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise KdbenchError(f"the imported teacher {weights[:12]} is not in {store.root}; {again}") from None
    except Exception as error:  # torch raises many kinds for a damaged file
        raise KdbenchError(f"{path}: {first_line(error)}; {again}") from None
    if _hash_of(loaded) != weights:
        raise KdbenchError(f"{path} is damaged: not what was imported; {again}")
    return loaded


def _hash_of(weights: Mapping[str, torch.Tensor]) -> str:
    found = hashlib.sha256()
    for key in sorted(weights):
        tensor = weights[key]
        found.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _saved(state: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()

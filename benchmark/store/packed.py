"""A store made small enough to stand beside a paper: a line a cell, and predictions as probabilities. Needs no torch.

It holds what tables, figures and reports are made of. Weights, logs and checkpoints are left out, so nothing can be
taught from it.
"""

from __future__ import annotations

import csv
import io
import json
import lzma
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_LZMA, ZipFile, ZipInfo

from kdbench.errors import KdbenchError
from kdbench.files import write_whole
from kdbench.results.record import WEIGHTS, Record
from kdbench.store.deployed import Deployed, deployed, keep_deployed
from kdbench.store.memory import memory_files
from kdbench.store.records import Store, is_digest
from kdbench.text import first_line

if TYPE_CHECKING:  # numpy is loaded where predictions are read or written
    import numpy as np
    import numpy.typing as npt

    Arrays = dict[str, npt.NDArray[Any]]
    Stacks = dict[str, dict[bytes, tuple[int, npt.NDArray[Any]]]]

CELLS, PROBABILITIES = "cells.jsonl.xz", "probabilities.npz"

LOGITS = "logits"
"""How names of arrays end that are kept as probabilities."""

JOURNAL = Path("tune", "journal.log")
"""What `tune` tried, where it was kept in the store."""

XZ = ".xz"
"""How files end that are texts of the store, compressed: they repeat themselves a lot."""

UNIT = 200
"""Probabilities are kept in half percents, as bytes."""

SAID = 255
"""Stands at the class of the highest, which is the run's own, always; its probability is what the others leave."""

DIGITS = 4
"""Significant digits of what is kept of each epoch."""


def pack(store: Store, digests: Iterable[str], identities: Iterable[str], folder: Path) -> None:
    """Write cells and matrices of a store in the small form.

    Args:
        store: where they are.
        digests: of the cells; those without a record are left out.
        identities: of the matrices, as the store knows them.
        folder: where to; made if it is not there.

    Raises:
        KdbenchError: if a record or a file that belongs to one is damaged.
    """
    lines: list[str] = []
    stacks: Stacks = {}
    for digest in sorted(digests):
        record = store.record(digest)
        if record is None:
            continue
        line: dict[str, Any] = {"record": json.loads(record.to_json()), "curve": _rounded(store.curve(digest))}
        if record.status == "done":
            line["arrays"] = dict(_packed(store.predictions(digest), stacks))
        if (took := deployed(store, digest)) is not None:
            line["deployed"] = took.plain
        lines.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / PROBABILITIES, _archive(stacks))
    write_whole(folder / CELLS, lzma.compress("".join(f"{line}\n" for line in lines).encode()))
    _copy_memory(store.root, set(identities), folder)


def unpack(folder: Path, store: Store) -> None:
    """Write what was packed as an ordinary store that is empty yet.

    Raises:
        KdbenchError: if it was not packed, or is damaged.
    """
    import numpy as np

    path = folder / CELLS
    try:
        packed = path.read_bytes()
        raw = (folder / PROBABILITIES).read_bytes()
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            kept = dict(arrays)
    except OSError as error:
        raise KdbenchError(
            f"{error.filename or folder}: {error.strerror or error}; wanted what `publish` wrote"
        ) from None
    except Exception as error:  # numpy raises many kinds where a header is not what it should be
        raise KdbenchError(f"{folder / PROBABILITIES} is damaged: {first_line(error)}") from None
    for number, text in enumerate(_decompressed(path, packed).splitlines(), start=1):
        try:
            line = json.loads(text)
            record = Record.from_json(json.dumps(line["record"]))
            if not is_digest(record.digest):
                raise ValueError(f"{record.digest!r} is no digest")
            arrays = {name: kept[stack][at] for name, (stack, at) in line.get("arrays", {}).items()}
            predictions = {name: _unpacked(a) if name.endswith(LOGITS) else a for name, a in arrays.items()}
            curve = str(line["curve"])
            curve.encode()  # halves of characters are text to JSON and to no file
            took = Deployed.from_plain(line["deployed"]) if "deployed" in line else None
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise KdbenchError(f"{path}, line {number}: {first_line(error)}") from None
        weights = {name: checksum for name, checksum in record.files.items() if name == WEIGHTS}
        made = store.finish(record, curve=curve, predictions=predictions or None)
        # What taught a student is known by its hash, also where the weights themselves are not here.
        write_whole(store.folder(record.digest) / "record.json", replace(made, files=made.files | weights).to_json())
        if took is not None:
            keep_deployed(store, record.digest, took)
    for path in _memory(folder, XZ):
        _write(store.root / path.with_suffix(""), _decompressed(folder / path, (folder / path).read_bytes()))


def _decompressed(path: Path, packed: bytes) -> bytes:
    try:
        return lzma.decompress(packed)
    except lzma.LZMAError as error:
        raise KdbenchError(f"{path} is damaged: {first_line(error)}") from None


def _packed(arrays: Arrays, stacks: Stacks) -> Iterator[tuple[str, tuple[str, int]]]:
    """Keep a cell's arrays; yields the name of each, in which stack it is and at which place.

    What many cells share, such as the labels of the test windows or what their teacher says, is kept once. Arrays of
    one kind lie in one stack, since what cells say of the same windows is alike and compresses better together.
    """
    for name, array in arrays.items():
        whole = _whole_numbers(array) if name.endswith(LOGITS) else array
        shape = "x".join(map(str, whole.shape))
        stack = f"{name.removeprefix('teacher_')}-{whole.dtype.name}-{shape}"
        places = stacks.setdefault(stack, {})
        content = whole.tobytes()
        places.setdefault(content, (len(places), whole))
        yield name, (stack, places[content][0])


def _rounded(curve: str) -> str:
    """A curve of training, as CSV, with as many digits as a figure can show, a third of those that were written."""
    if not curve:
        return ""
    head, *rows = csv.reader(io.StringIO(curve))
    short = io.StringIO()
    csv.writer(short, lineterminator="\n").writerows([head, *([_digits(value) for value in row] for row in rows)])
    return short.getvalue()


def _digits(value: str) -> str:
    """Whole numbers, such as the epoch's, and what is no number stay as they are."""
    try:
        exact = float(value)
    except ValueError:
        return value
    return value if exact.is_integer() else f"{exact:.{DIGITS}g}"


def _archive(stacks: Stacks) -> bytes:
    """What ``numpy.load`` reads, compressed by LZMA, which makes it a fifth smaller than numpy's own does."""
    import numpy as np

    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_LZMA) as archive:
        for name, places in sorted(stacks.items()):
            content = io.BytesIO()
            stack = np.stack([array for _, array in places.values()])
            np.lib.format.write_array(content, stack, allow_pickle=False)
            archive.writestr(ZipInfo(f"{name}.npy"), content.getvalue(), ZIP_LZMA)  # undated
    return buffer.getvalue()


def _whole_numbers(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
    """Probabilities (N, C) of logits (N, C), in half percents, the first of the highest marked."""
    import numpy as np

    wide = logits.astype(np.float64)
    odds = np.exp(wide - wide.max(axis=1, keepdims=True))
    units: npt.NDArray[np.uint8] = np.rint(UNIT * odds / odds.sum(axis=1, keepdims=True)).astype(np.uint8)
    units[np.arange(len(units)), wide.argmax(axis=1)] = SAID
    return units


def _unpacked(units: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Logits (N, C) of probabilities, what was rounded to none taken for a quarter of a unit."""
    import numpy as np

    said = units == SAID
    others = np.where(said, 0, np.maximum(units.astype(np.float64), 0.25))
    left = np.maximum(UNIT - others.sum(axis=1), others.max(axis=1) + 0.01)  # above what rounding made its equal
    return np.log(np.where(said, left[:, np.newaxis], others) / UNIT).astype(np.float32)


def _memory(root: Path, ending: str = "") -> list[Path]:
    """Files that say what cells are for, and what a search tried, relative to the root; no imported weights.

    ``ending`` is that of packed ones.
    """
    told = [path for path in memory_files(root) if path.parts[0] != "imports"]
    journal = JOURNAL.with_name(JOURNAL.name + ending)
    return told + ([journal] if (root / journal).is_file() else [])


def _copy_memory(root: Path, identities: set[str], folder: Path) -> None:
    """Keep which matrices were run, what each was written out to, methods in files and searches; no other matrices."""
    wanted = [path for path in _memory(root) if path.parts[0] not in ("matrices", "plans") or path.stem in identities]
    for path in _memory(folder, XZ):
        if path.with_suffix("") not in wanted:
            (folder / path).unlink()
    for path in wanted:
        _write(folder / path.with_name(path.name + XZ), lzma.compress((root / path).read_bytes()))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)

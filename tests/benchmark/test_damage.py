"""Damaged files are found, named with the way out, and not used."""

from __future__ import annotations

import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdbench.results import Record
from kdbench.store.records import Store


def flipped(raw: bytes, at: float) -> bytes:
    """One bit of a file changed, at a fraction of its length."""
    place = int(len(raw) * at)
    return raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]


def inside(raw: bytes) -> bytes:
    """One bit of the largest member of an archive changed."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        member = max(archive.infolist(), key=lambda info: info.compress_size)
    names = int.from_bytes(raw[member.header_offset + 26 :][:2], "little")
    extra = int.from_bytes(raw[member.header_offset + 28 :][:2], "little")
    return flipped(raw, (member.header_offset + 30 + names + extra + member.compress_size // 2 + 0.5) / len(raw))


def permuted(raw: bytes) -> bytes:
    """Predictions with their rows in another order: a whole archive, with other numbers."""
    with np.load(io.BytesIO(raw)) as arrays:
        turned = {name: array[::-1] for name, array in arrays.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **turned)
    return buffer.getvalue()


def retrained(raw: bytes) -> bytes:
    """Weights that can be read and are others."""
    weights = torch.load(io.BytesIO(raw), weights_only=True)
    buffer = io.BytesIO()
    torch.save({name: tensor + 1 for name, tensor in weights.items()}, buffer)
    return buffer.getvalue()


def boolshape(raw: bytes) -> bytes:
    """Predictions of which a header has a shape that numpy takes and cannot use."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (True, True), }"
    member = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n" + bytes(4)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("logits.npy", member)
    return buffer.getvalue()


RESULTS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("student.pt", lambda raw: flipped(raw, 0.02)),
    ("student.pt", inside),
    ("student.pt", lambda raw: flipped(raw, 0.999)),
    ("student.pt", lambda raw: raw[: len(raw) // 2]),
    ("student.pt", lambda raw: b""),
    ("student.pt", lambda raw: raw + b"\n"),
    ("student.pt", retrained),
    ("predictions.npz", inside),
    ("predictions.npz", permuted),
    ("predictions.npz", boolshape),
    ("predictions.npz", lambda raw: raw[:-30]),
    ("record.json", lambda raw: raw.replace(b'"seconds": ', b'"seconds": 1')),
    ("record.json", lambda raw: raw.replace(b'"accuracy": ', b'"accuracy": -', 1)),
    ("record.json", lambda raw: b"[" * 100_000),
    ("record.json", lambda raw: raw[: len(raw) // 2]),
]


@pytest.fixture
def teacher(copy: Path) -> str:
    """The cell that taught, whose student is yet to be taught."""
    runs = Store(copy)
    records = [record for record in map(runs.record, runs.digests()) if record]
    (student,) = (record for record in records if record.cell["teacher_cell"])
    runs.forget(student.digest)
    return str(student.cell["teacher_cell"])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "damage"), RESULTS)
def test_a_damaged_result_is_named_is_not_used_and_is_made_again(
    name: str, damage: Callable[[bytes], bytes], copy: Path, teacher: str, call: Any, job: Any, same: Any
) -> None:
    path = copy / teacher / name
    path.write_bytes(damage(path.read_bytes()))
    run = ("run", *job, "--no-track", "-j", 1)
    ended = call(*run)
    assert ended.code == 2
    line = ended.err.splitlines()[-1]
    assert line.startswith(f"error: {path}")
    assert line.endswith("; `kdbench run --stale` with the options of its matrix makes it again")
    assert "Traceback" not in ended.err
    found = call("status", "--verify")
    assert found.code == 1
    assert re.fullmatch(rf"{re.escape(str(copy))}: 3 cells, 1 damaged\ndamaged: {teacher}: .*\n", found.out)
    again = call(*run, "--stale")
    assert again.code == 0, again.err
    assert call("status", "--verify").out == f"{copy}: 4 cells, 0 damaged\n"
    same(copy)


def test_a_missing_file_of_a_result_is_damage_too(copy: Path, teacher: str, call: Any) -> None:
    (copy / teacher / "curve.csv").unlink()
    found = call("status", "--verify")
    assert found.code == 1
    assert found.out.splitlines()[1] == f"damaged: {teacher}: {copy / teacher / 'curve.csv'}: No such file or directory"


INSTEAD: dict[str, Callable[[Path], None]] = {
    "nothing": lambda path: None,
    "a folder": lambda path: path.mkdir(),
    "a folder with a file": lambda path: (path.mkdir(), (path / "a").touch())[0],
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["student.pt", "predictions.npz"])
@pytest.mark.parametrize("instead", INSTEAD)
def test_what_stands_in_the_place_of_a_result_is_named_and_gives_way(
    instead: str, name: str, copy: Path, teacher: str, call: Any, job: Any, same: Any
) -> None:
    path = copy / teacher / name
    path.unlink()
    INSTEAD[instead](path)
    ended = call("run", *job, "--no-track", "-j", 1)
    assert ended.code == 2
    line = ended.err.splitlines()[-1]
    assert line.startswith(f"error: {path}: ")
    assert line.endswith("; `kdbench run --stale` with the options of its matrix makes it again")
    assert call("status", "--verify").code == 1
    again = call("run", *job, "--no-track", "-j", 1, "--stale")
    assert again.code == 0, again.err
    same(copy)


def without_checksums(copy: Path, digest: str) -> None:
    """A record as it was before checksums were kept."""
    content = json.loads((copy / digest / "record.json").read_text())
    for name in ("files", "teacher_weights", "check"):
        del content[name]
    (copy / digest / "record.json").write_text(json.dumps(content))


@pytest.mark.parametrize("name", ["student.pt", "predictions.npz"])
def test_files_of_an_older_record_are_held_against_the_checksums_of_their_format(
    name: str, copy: Path, teacher: str, call: Any, job: Any
) -> None:
    without_checksums(copy, teacher)
    assert call("status", "--verify").code == 0
    path = copy / teacher / name
    path.write_bytes(inside(path.read_bytes()))
    assert call("status", "--verify").code == 1
    ended = call("run", *job, "--no-track", "-j", 1)
    assert ended.code == 2
    assert f"{path} is damaged" in ended.err.splitlines()[-1]


def test_an_older_record_is_read_and_lacks_nothing(copy: Path, teacher: str, call: Any, job: Any) -> None:
    before = Store(copy).record(teacher)
    assert isinstance(before, Record)
    without_checksums(copy, teacher)
    assert Store(copy).record(teacher) == replace(before, files={}, teacher_weights=None)
    assert call("run", *job, "--no-track", "-j", 1).code == 0


def test_verify_of_no_store_is_one_line(call: Any, store: Path) -> None:
    assert call("status", "--verify").error == f"there is no store {store} (--store, KDBENCH_STORE)"


CACHED: list[Callable[[bytes], bytes]] = [
    lambda raw: flipped(raw, 0.5),
    lambda raw: flipped(raw, 0.01),
    lambda raw: raw[:-4],
    lambda raw: raw[:10],
    lambda raw: raw + bytes(4),
    lambda raw: b"",
]


@pytest.mark.parametrize("damage", CACHED)
def test_damaged_outputs_of_a_teacher_are_made_again(
    damage: Callable[[bytes], bytes],
    copy: Path,
    teacher: str,
    call: Any,
    job: Any,
    same: Any,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(cache, tmp_path / "cache")
    (path,) = (tmp_path / "cache").glob(f"teachers/{teacher}-*/small/logits.npy")
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    monkeypatch.setenv("KDBENCH_CACHE", str(tmp_path / "cache"))
    from kdbench.cli import main

    with pytest.raises(SystemExit) as end:
        main.main(args=["run", *job, "--no-track", "-j", "1", "--store", str(copy)], prog_name="kdbench")
    assert end.value.code == 0
    same(copy)
    assert path.read_bytes() == whole

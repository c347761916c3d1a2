"""An index makes a large store quick to read, and is believed in nothing that its records do not say."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from kdbench.errors import KdbenchError
from kdbench.results.record import SCHEMA, Record
from kdbench.store import index
from kdbench.store.index import NAME, records_of
from kdbench.store.records import Store

DIGESTS = [f"cell{number}" for number in range(5)]


def record_of(digest: str, accuracy: float = 0.5) -> Record:
    return Record(
        schema=SCHEMA, digest=digest, cell={}, kind="logit", status="done", reason=None, side="test",
        metrics={"student": {"accuracy": accuracy}}, facts={"beta": float("nan")}, costs={}, warnings=[], seconds=1.0,
        peak_memory=1, device="cpu", versions={}, sources={}, commit=None, finished="2026-01-02T03:04:05+00:00",
    )  # fmt: skip


def kept(store: Store, digest: str, accuracy: float = 0.5) -> None:
    """A record that was written some time ago, always at the same one."""
    store.finish(record_of(digest, accuracy), curve="")
    os.utime(store.folder(digest) / "record.json", ns=(10**18, 10**18))


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store whose records are worth an index, which is there."""
    monkeypatch.setattr(index, "WORTH", 2)
    store = Store(tmp_path / "runs")
    for digest in DIGESTS:
        kept(store, digest)
    records_of(store, DIGESTS)
    assert (store.root / NAME).exists()
    return store


def accuracies(store: Store) -> list[float | None]:
    found = records_of(store, [*DIGESTS, "never"])
    return [None if record is None else record.metrics["student"]["accuracy"] for record in found.values()]


def texts(found: dict[str, Record | None]) -> dict[str, str]:
    return {digest: record.to_json() for digest, record in found.items() if record is not None}


def test_what_the_index_has_is_not_read_again(large: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {digest: large.record(digest) for digest in DIGESTS}
    read: list[str] = []
    monkeypatch.setattr(Store, "record", lambda self, digest: read.append(digest))
    found = records_of(large, DIGESTS)
    assert read == []
    assert texts(found) == texts(plain)
    assert list(found) == DIGESTS


def test_a_record_that_was_written_again_or_removed_is_what_it_is_now(large: Store) -> None:
    kept(large, "cell1", 0.7)  # as long as before, at the same time by the file's clock
    large.forget("cell2")
    assert accuracies(large) == [0.5, 0.7, None, 0.5, 0.5, None]


def test_a_record_just_written_is_not_kept_since_it_may_be_written_again_within_a_tick(large: Store) -> None:
    before = (large.root / NAME).read_bytes()
    for digest in DIGESTS[:3]:
        large.finish(record_of(digest, 0.7), curve="")
    assert accuracies(large) == [0.7, 0.7, 0.7, 0.5, 0.5, None]
    assert (large.root / NAME).read_bytes() == before


def test_what_another_reader_wrote_meanwhile_and_records_of_other_matrices_stay(large: Store) -> None:
    for digest in ("other1", "other2"):
        kept(large, digest, 0.9)
    large.forget("cell0")
    records_of(large, ["other1", "other2"])
    assert index._read(large).keys() == {*DIGESTS[1:], "other1", "other2"}


def test_a_damaged_record_is_refused_whatever_the_index_says(large: Store) -> None:
    path = large.folder("cell3") / "record.json"
    path.write_text(path.read_text().replace("0.5", "0.9"))
    with pytest.raises(KdbenchError, match="it is damaged"):
        records_of(large, DIGESTS)


@pytest.mark.parametrize("damage", [b"", b"[]", b"x\n{}", b"\x00", "half", "altered", "checked"])
def test_a_damaged_index_is_made_again(large: Store, damage: bytes | str) -> None:
    whole = (large.root / NAME).read_bytes()
    checked = b'{"values":[],"records":{"cell0":[1,2,3,{"schema":0}]}}'  # it has its checksum and means nothing
    made = {
        "half": whole[: len(whole) // 2],
        "altered": whole.replace(b"0.5", b"0.6"),
        "checked": hashlib.sha256(checked).hexdigest().encode() + b"\n" + checked,
    }
    (large.root / NAME).write_bytes(made[damage] if isinstance(damage, str) else damage)
    assert accuracies(large) == [0.5] * 5 + [None]
    assert (large.root / NAME).read_bytes() == whole


def test_a_store_that_cannot_be_written_is_read_all_the_same(large: Store) -> None:
    (large.root / NAME).unlink()
    (large.root / NAME).mkdir()  # nothing can be renamed onto a folder, whoever one is
    assert accuracies(large) == [0.5] * 5 + [None]
    assert not list(large.root.glob(f".{NAME}-*"))


def test_a_small_store_has_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    kept(store, "cell0")
    assert records_of(store, ["cell0"])["cell0"] is not None
    assert not (tmp_path / NAME).exists()

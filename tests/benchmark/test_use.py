"""What the use of a model needs lies beside its record, says what training did, and old records say what they lack."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdbench.catalog.build import load_data
from kdbench.data import Normalisation, split
from kdbench.errors import KdbenchError
from kdbench.results.record import Record
from kdbench.session import runtime
from kdbench.spec.cell import Cell
from kdbench.store.merge import difference
from kdbench.store.records import USE, Store
from kdbench.store.use import read_use


def test_every_finished_cell_says_what_its_weights_are_used_with(
    done: Path, cache: Path, cells: Callable[[Path], list[Path]]
) -> None:
    store = Store(done)
    assert len(cells(done)) == 4
    for folder in cells(done):
        record = store.record(folder.name)
        assert record is not None
        cell = Cell.from_plain(record.cell)
        data = load_data(cell.dataset, runtime(store=done, cache=cache, device="cpu"))
        rows = split(cell.protocol, data.windows, dataset=cell.dataset_name, seed=cell.seed)
        fitted = Normalisation.fit(data.windows.x[rows.train])
        use = read_use(store, folder.name)
        assert use is not None
        assert USE in record.files
        assert (use.data, use.dataset) == (cell.data, cell.dataset_name)
        assert use.channels == tuple((each.name, each.unit) for each in data.description.channels)
        assert (use.rate, use.length) == (data.description.rate, data.description.length)
        assert use.classes == data.description.classes
        assert (use.windows, use.people) == (len(rows.train), len(set(data.windows.person[rows.train].tolist())))
        given = data.windows.x[rows.evaluation]
        mean, deviation = (np.float32(each)[:, None] for each in (use.mean, use.deviation))
        np.testing.assert_array_equal((given - mean) / deviation, fitted.apply(given))


def test_a_record_that_lacks_it_is_read_as_before_and_is_not_another_result(
    copy: Path, cells: Callable[[Path], list[Path]]
) -> None:
    store, digest = Store(copy), cells(copy)[0].name
    record = store.record(digest)
    assert record is not None
    old = replace(record, files={name: kept for name, kept in record.files.items() if name != USE})
    (store.folder(digest) / USE).unlink()
    (store.folder(digest) / "record.json").write_text(old.to_json(), encoding="utf-8")
    assert read_use(store, digest) is None
    assert store.damage(digest) is None
    assert Record.from_json(old.to_json()) == old
    assert difference(old, record) == ""


@pytest.mark.parametrize("raw", ["", "{", "[]", '{"data": 1}'])
def test_a_damaged_file_is_named_in_a_line(raw: str, copy: Path, cells: Callable[[Path], list[Path]]) -> None:
    store, digest = Store(copy), cells(copy)[0].name
    (store.folder(digest) / USE).write_text(raw, encoding="utf-8")
    assert USE in str(store.damage(digest))
    with pytest.raises(KdbenchError, match=r"use\.json is damaged"):
        read_use(store, digest)


def test_status_says_how_many_records_lack_it(call: Any, copy: Path, cells: Callable[[Path], list[Path]]) -> None:
    assert "use" not in call("status").out
    store, digest = Store(copy), cells(copy)[0].name
    record = json.loads((store.folder(digest) / "record.json").read_text())
    del record["files"][USE], record["check"]
    (store.folder(digest) / "record.json").write_text(json.dumps(record), encoding="utf-8")
    said = call("status").out
    assert "1 of 4 records is of an older kdbench and lacks what its use needs" in said
    assert "normalisation" in said

"""A published folder: its records are enough for every page of it, without the store, the data or the weights."""

from __future__ import annotations

import csv
import json
import lzma
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kdbench.commands.publish import PAGES as PUBLISHED
from kdbench.store.deployed import Deployed, keep_deployed, weights_of
from kdbench.store.packed import SAID, UNIT, _rounded, _unpacked, _whole_numbers, unpack
from kdbench.store.records import DEPLOY, Store

PAGES = ["gain.png", "report.html", "runs.csv", "stats-accuracy.md", "stats.md", "summary.csv"]
PAGES += ["table.bib", "table.md", "table.tex"]


@pytest.fixture(scope="module")
def folder(server: Any, done: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was published of a store that is gone. Not to be written."""
    place = tmp_path_factory.mktemp("published")
    shutil.copytree(done, place / "runs")
    ended = server("publish", place / "paper", "--store", place / "runs")
    assert ended.code == 0, ended.err
    shutil.rmtree(place / "runs")
    return place / "paper"


@pytest.fixture
def paper(folder: Path, tmp_path: Path) -> Path:
    """A copy of it, to be written."""
    shutil.copytree(folder, tmp_path / "paper")
    return tmp_path / "paper"


def packed_lines(folder: Path) -> list[dict[str, Any]]:
    text = lzma.decompress((folder / "records" / "cells.jsonl.xz").read_bytes())
    return [json.loads(line) for line in text.splitlines()]


def test_a_folder_has_every_page_and_the_table_is_that_of_the_store(folder: Path, call: Any, copy: Path) -> None:
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == PAGES
    assert (folder / "table.md").read_text() == call("table").out
    assert (folder / "summary.csv").read_text().splitlines()[0] == call("table", "--format", "csv-summary").out.split(
        "\n"
    )[0]


def test_every_page_is_made_again_from_the_records_byte_for_byte(paper: Path, call: Any) -> None:
    before = {name: (paper / name).read_bytes() for name in PAGES}
    assert call("publish", paper, "--check").out == "all as their records say\n"
    for name in PAGES:
        (paper / name).unlink()
    ended = call("publish", paper, "--again")
    assert ended.out.splitlines() == [f"wrote {paper / name}" for name in PAGES]
    assert {name: (paper / name).read_bytes() for name in PAGES} == before


def test_what_went_to_a_device_is_published_as_the_store_shows_it(copy: Path, call: Any, tmp_path: Path) -> None:
    store, paper = Store(copy), tmp_path / "paper"
    for number, digest in enumerate(store.digests()):
        record = store.record(digest)
        if record is not None and record.status == "done":
            scores = record.metrics["student"]
            form = (("ONNX, 8 bits", 20_000), ("ONNX, 32 bits", 70_000))[number % 2]
            how = (*form, 0.999, scores["macro_f1"], scores["macro_f1"] - 0.001, 0.05, "by hand", ())
            keep_deployed(store, digest, Deployed(weights_of(store, digest), *how, people=scores["by_person"]))
    shown = call("table", "--deploy").out
    assert "On the device, each row and student alone in the form above." in shown
    assert call("publish", paper).code == 0
    assert (paper / "deploy.md").read_text() == shown
    table = list(csv.DictReader((paper / "deploy.csv").read_text().splitlines()))
    counts = [(int(row["cells_in_8_bits"]), int(row["cells"])) for row in table]
    assert 0 < sum(eight for eight, _ in counts) < sum(cells for _, cells in counts)
    for (eight, cells), row in zip(counts, table, strict=True):
        assert float(row["size_bytes"]) * cells == pytest.approx(eight * 20_000 + (cells - eight) * 70_000)
        assert (row["size_8_bits_bytes"], row["size_32_bits_bytes"]) == (
            "20000.0" * (eight > 0),
            "70000.0" * (eight < cells),
        )
        sizes = ", else ".join(["20 kB"] * (eight > 0) + ["70 kB"] * (eight < cells))
        assert f"{eight} of {cells} | {sizes} |" in " ".join(shown.split())
    assert call("plot", "--deploy", "-o", tmp_path / "deploy.png").code == 0
    assert (paper / "deploy.png").read_bytes() == (tmp_path / "deploy.png").read_bytes()
    shutil.rmtree(copy)
    assert call("publish", paper, "--check").out == "all as their records say\n"


@pytest.mark.slow
def test_a_page_that_the_records_do_not_give_any_more_is_named_and_removed_and_no_other_file(
    paper: Path, call: Any
) -> None:
    stale = sorted(set(PUBLISHED) - set(PAGES))
    assert {"beside-default.csv", "capacity.png", "costs.md", "deploy.md", "search.csv"} <= set(stale)
    others = ["README.md", "extra.png", "matrix.toml", "preset.toml", "readings.py"]
    for name in stale + others:
        (paper / name).write_text("of somebody's")
    ended = call("publish", paper, "--check")
    assert ended.code == 1
    assert ended.out.splitlines() == [f"{paper / name} is not what its records give" for name in stale]
    ended = call("publish", paper, "--again")
    assert ended.out.splitlines() == [f"wrote {paper / name}" for name in PAGES] + [
        f"removed {paper / name}" for name in stale
    ]
    assert sorted(path.name for path in paper.iterdir() if path.is_file()) == sorted(PAGES + others)
    assert call("publish", paper, "--check").out == "all as their records say\n"


def test_what_went_to_a_device_and_is_gone_leaves_the_folder_when_it_is_published_again(
    copy: Path, call: Any, tmp_path: Path
) -> None:
    store, paper = Store(copy), tmp_path / "paper"
    record = next(filter(None, map(store.record, store.digests())))
    took = Deployed(weights_of(store, record.digest), "ONNX, 8 bits", 20_000, 1.0, 0.5, 0.5, 0.05, "by hand", ())
    keep_deployed(store, record.digest, took)
    assert call("publish", paper).code == 0
    pages = {paper / f"deploy.{ending}" for ending in ("csv", "md", "png")}
    assert pages <= set(paper.iterdir())
    store.folder(record.digest).joinpath(DEPLOY).unlink()
    assert [line for line in call("publish", paper).out.splitlines() if line.startswith("removed")] == [
        f"removed {page}" for page in sorted(pages)
    ]
    assert not pages & set(paper.iterdir())


@pytest.mark.slow
def test_networks_beside_a_reference_and_no_method_have_the_pages_of_networks(
    copy: Path, call: Any, sizes: tuple[str, ...], tmp_path: Path
) -> None:
    assert call("run", *sizes, "-m", "forest", "--name", "networks").code == 0
    assert call("publish", tmp_path / "paper", *sizes, "-m", "forest", "--name", "networks").code == 0
    names = {path.name for path in (tmp_path / "paper").iterdir() if path.is_file()}
    assert {"costs.md", "costs.png", "report.html", "table.md"} <= names
    assert not {"gain.png", "stats.md"} & names
    assert "| forest" in (tmp_path / "paper" / "table.md").read_text()


def test_a_page_that_was_edited_is_named(paper: Path, call: Any) -> None:
    (paper / "table.md").write_text((paper / "table.md").read_text().replace("kd", "best"))
    (paper / "runs.csv").unlink()
    ended = call("publish", paper, "--check")
    assert ended.code == 1
    assert ended.out.splitlines() == [
        f"{paper / name} is not what its records give" for name in ("runs.csv", "table.md")
    ]
    assert not (paper / "runs.csv").exists()


def test_probabilities_are_those_of_the_store_and_say_the_same_classes(
    folder: Path, done: Path, cells: Callable[[Path], list[Path]], tmp_path: Path
) -> None:
    lines = packed_lines(folder)
    assert [line["record"]["digest"] for line in lines] == sorted(path.name for path in cells(done))
    with np.load(folder / "records" / "probabilities.npz") as stacks:
        kept = dict(stacks)
    unpack(folder / "records", Store(tmp_path / "again"))
    for line in lines:
        there = Store(done).predictions(line["record"]["digest"])
        again = Store(tmp_path / "again").predictions(line["record"]["digest"])
        assert line["arrays"].keys() == there.keys() == again.keys()
        stack, at = line["arrays"]["logits"]
        units, said = kept[stack][at], there["logits"].argmax(axis=1)
        odds = np.exp(there["logits"] - there["logits"].max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        assert (units.argmax(axis=1) == said).all()
        assert (again["logits"].argmax(axis=1) == said).all()
        assert ((units == SAID).sum(axis=1) == 1).all()
        others = units != SAID
        np.testing.assert_allclose(units[others] / UNIT, odds[others], atol=0.51 / UNIT)
        np.testing.assert_allclose(np.exp(again["logits"]), odds, atol=odds.shape[1] / 2 / UNIT)
        for name in ("y", "person"):
            stack, at = line["arrays"][name]
            np.testing.assert_array_equal(kept[stack][at], there[name], strict=True)
            np.testing.assert_array_equal(again[name], there[name], strict=True)


@pytest.mark.parametrize(
    "logits",
    [
        [[0.0, 0.0, -9.0], [-9.0, 1e-4, 0.0], [0.0] * 3, [-1e9, 0.0, -1e9], [5.0, 5.0, 5.0 + 1e-6]],
        [[0.0], [3.0]],
        [[0.0] * 11 + [1e-3], [1e-3] + [0.0] * 11],
        np.zeros((0, 4)),
    ],
)
def test_the_class_of_the_highest_is_kept_where_rounding_makes_it_an_equal(logits: npt.ArrayLike) -> None:
    exact = np.asarray(logits, dtype=np.float64)
    units = _whole_numbers(exact)
    again = _unpacked(units)
    assert again.shape == exact.shape
    assert (units.argmax(axis=1) == exact.argmax(axis=1)).all()
    assert (again.argmax(axis=1) == exact.argmax(axis=1)).all()
    np.testing.assert_array_equal(_whole_numbers(again), units)
    odds = np.exp(exact - exact.max(axis=1, keepdims=True))
    np.testing.assert_allclose(np.exp(again), odds / odds.sum(axis=1, keepdims=True), atol=exact.shape[1] / 2 / UNIT)


def test_what_was_written_of_each_epoch_is_kept_in_four_digits(folder: Path, done: Path) -> None:
    lines = packed_lines(folder)
    shorter = 0
    for line in lines:
        there = Store(done).curve(line["record"]["digest"])
        written, kept = (list(csv.reader(text.splitlines())) for text in (there, line["curve"]))
        assert kept[0] == written[0]
        for short, value in zip(chain(*kept[1:]), chain(*written[1:]), strict=True):
            assert short == value or short == f"{float(value):.4g}"
        shorter += len(there) - len(line["curve"])
        assert _rounded(line["curve"]) == line["curve"]
    assert shorter > 0


def test_whole_numbers_epochs_without_a_value_and_cells_without_epochs_are_kept_as_they_are() -> None:
    assert _rounded('epoch,loss,"a,b",gate\n10001.0,0.123456,1234567,\n10002.0,nan,2.0,none\n') == (
        'epoch,loss,"a,b",gate\n10001.0,0.1235,1234567,\n10002.0,nan,2.0,none\n'
    )
    assert _rounded("") == ""


def test_a_store_is_made_of_a_published_folder_and_prints_its_very_pages(
    paper: Path, call: Any, tmp_path: Path
) -> None:
    ended = call("table", "--store", paper)
    assert ended.code == 2
    assert ended.error.startswith(f"no matrix was run in {paper}; {paper} was published: ")
    assert ended.error.endswith(f"`kdbench publish {paper} --unpack STORE` makes a store of it")
    store = tmp_path / "again"
    ended = call("publish", paper, "--unpack", store)
    assert ended.code == 0
    assert f"unpacked; `kdbench table --store {store}` prints their table" in ended.out
    shown = ("--metric", "macro_f1,accuracy", "--store", store)
    for form, page in (("markdown", "table.md"), ("latex", "table.tex")):
        assert call("table", *shown, "--format", form).out == (paper / page).read_text()
    assert call("report", "--store", store, "-o", tmp_path / "report.html").code == 0
    assert (tmp_path / "report.html").read_bytes() == (paper / "report.html").read_bytes()


def test_what_is_there_is_not_unpacked_into_and_damage_leaves_no_store(paper: Path, call: Any, tmp_path: Path) -> None:
    there = {path: path.read_bytes() for path in paper.rglob("*") if path.is_file()}
    ended = call("publish", paper, "--unpack", paper)
    assert ended.code == 2
    assert ended.error == f"{paper} is there already; wanted the name of a new store"
    assert {path: path.read_bytes() for path in paper.rglob("*") if path.is_file()} == there
    path = paper / "records" / "cells.jsonl.xz"
    path.write_bytes(path.read_bytes()[:-400])
    before = sorted(tmp_path.iterdir())
    assert call("publish", paper, "--unpack", tmp_path / "new").code == 2
    assert sorted(tmp_path.iterdir()) == before


def test_a_store_of_published_records_is_whole_and_is_only_read(
    paper: Path, call: Any, job: Any, tmp_path: Path
) -> None:
    store = tmp_path / "again"
    assert call("publish", paper, "--unpack", store).code == 0
    assert ", 0 damaged" in call("status", "--verify", "--store", store).out
    assert "made of published records: no weights are here" in call("status", "--store", store).out
    kept = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    for given in (
        ("run", *job, "--seeds", 3, "--store", store),
        ("tune", *job, "--store", store, "-o", tmp_path / "preset.toml"),
        ("take", "kd", "--store", store),
        ("merge", store, "--store", tmp_path / "other"),
        ("merge", tmp_path, "--store", store),
        ("verify", "--sample", 1, "--store", store),
        ("publish", tmp_path / "twice", "--store", store),
    ):
        ended = call(*given)
        assert ended.code == 2, given
        assert ended.error.startswith(f"{store} was made of published records, which have no weights"), given
    for given in (("run", *job, "--store", paper), ("merge", paper, "--store", tmp_path / "other")):
        ended = call(*given)
        assert (ended.code, ended.error) == (2, f"{paper} is a published folder; wanted a store of runs (--store)")
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == kept


@pytest.mark.parametrize("harm", ["digest", "nested", "surrogate", "plan", "no matrix"])
def test_records_that_publish_did_not_write_leave_no_store(harm: str, paper: Path, call: Any, tmp_path: Path) -> None:
    records = paper / "records"
    lines = packed_lines(paper)
    if harm == "digest":
        lines[0]["record"]["digest"] = "../../escaped"
        lines[0]["record"].pop("check")
    if harm == "surrogate":
        lines[0]["curve"] = "\ud800"
    text = "[" * 200_000 if harm == "nested" else "\n".join(map(json.dumps, lines))
    (records / "cells.jsonl.xz").write_bytes(lzma.compress(text.encode()))
    for path in (records / "plans").iterdir():
        path.write_bytes(lzma.compress(b"{}") if harm == "plan" else path.read_bytes())
    if harm == "no matrix":
        shutil.rmtree(records / "matrices")
    before = sorted(tmp_path.rglob("*"))
    ended = call("publish", paper, "--unpack", tmp_path / "new" / "store")
    assert ended.code == 2
    assert "\n" not in ended.error
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_while_a_store_is_made_leaves_none(name: str, code: int, paper: Path, tmp_path: Path) -> None:
    program = (
        "import os, signal; from kdbench.cli import main; from kdbench.store import packed\n"
        "unpacked = packed._unpacked\n"
        f"signal.signal(signal.{name}, signal.default_int_handler)  # it may have been ignored where the tests run\n"
        f"def stopped(units): os.kill(os.getpid(), signal.{name}); return unpacked(units)\n"
        "packed._unpacked = stopped; main()"
    )
    store = tmp_path / "here" / "store"
    store.parent.mkdir()
    command = [sys.executable, "-c", program, "publish", str(paper), "--unpack", str(store)]
    where = {**os.environ, "TMPDIR": str(store.parent)}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, env=where)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(store.parent.iterdir()) == []


def test_what_was_not_run_and_what_was_not_published_are_refused_in_a_line(
    call: Any, job: Any, copy: Path, tmp_path: Path
) -> None:
    ended = call("publish", tmp_path / "new", *job, "--seeds", 3)
    assert ended.code == 2
    assert ended.error == f"quick was not run in {copy}; what is published was run (`kdbench list runs`)"
    assert not (tmp_path / "new").exists()
    for option in ("--again", "--check"):
        ended = call("publish", tmp_path / "new", option)
        assert ended.code == 2
        missing = tmp_path / "new" / "records" / "cells.jsonl.xz"
        assert ended.error == f"{missing}: No such file or directory; wanted what `publish` wrote"
    for given in (("--again", "--check"), ("--check", "--unpack", "store"), ("--unpack", "store", "-m", "kd")):
        assert call("publish", tmp_path / "new", *given).code == 2


@pytest.mark.parametrize("name", ["cells.jsonl.xz", "probabilities.npz", "plans/*.xz"])
def test_damaged_records_are_named_and_no_page_is_written(name: str, paper: Path, call: Any) -> None:
    path = next((paper / "records").glob(name))
    path.write_bytes(path.read_bytes()[:-400])
    before = {each: (paper / each).read_bytes() for each in PAGES}
    ended = call("publish", paper, "--again")
    assert ended.code == 2
    assert path.name in ended.error
    assert "\n" not in ended.error
    assert {each: (paper / each).read_bytes() for each in PAGES} == before

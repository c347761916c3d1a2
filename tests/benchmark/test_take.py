"""A folder that `take` writes says what the trained model says, needs no kdbench, and is whole or not there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdbench.catalog.build import load_data
from kdbench.data import split
from kdbench.deploy import executorch_forms
from kdbench.deploy.c_form import SANITISED, compiled, compiler, run_c
from kdbench.deploy.demo import runtime_folder
from kdbench.deploy.fewest import fewest
from kdbench.deploy.onnx_forms import quantise
from kdbench.deploy.subject import Subject, probabilities
from kdbench.deploy.subject import take as subject_of
from kdbench.errors import KdbenchError
from kdbench.session import runtime
from kdbench.spec.cell import Cell
from kdbench.store.artefacts import read_weights, write_weights
from kdbench.store.deployed import deployed
from kdbench.store.plugins import look_in
from kdbench.store.records import Store
from kdbench.store.use import read_use

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

pytestmark = pytest.mark.slow

JOB = ("-d", "synthetic(people=6, windows=6, length=32)", "-p", "fcn(width=0.1):mlp(hidden=16)")
JOB += ("-S", "recipe.epochs=6", "-S", "recipe.batch_size=16", "-m", "simkd")
FLAGS = "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync --window-size=1100,900"
SHOTS = os.environ.get("KDBENCH_SHOTS")
"""A folder for pictures of the page."""
FORMS = {"model.onnx", "model.int8.onnx", "model.c", "model.h", "main.c"}
CHECKS = {"golden.npz", "golden.f32", "golden-probabilities.f32", "card.json", "parity.md", "phone.sh"}


@pytest.fixture(scope="module")
def trained(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a teacher, a student and one that deploys more than the student. Not to be written."""
    store = tmp_path_factory.mktemp("trained") / "runs"
    ended = server("run", *JOB, "--store", store, "--no-track", "-j", 1)
    assert ended.code == 0, ended.err
    return store


@pytest.fixture(scope="module")
def folder(server: Any, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was taken of the method's row. Not to be written."""
    place = tmp_path_factory.mktemp("taken") / "phone"
    ended = server("take", "simkd", "-o", place, "--store", trained, "--force")
    assert ended.code == 0, ended.err
    return place


@pytest.fixture(scope="module")
def judged(trained: Path, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """Raw windows that are judged, and their labels."""
    cell = Cell.from_plain(
        next(record.cell for record in map(Store(trained).record, Store(trained).digests()) if record)
    )
    data = load_data(cell.dataset, runtime(store=trained, cache=cache, device="cpu"))
    rows = split(cell.protocol, data.windows, dataset=cell.dataset_name, seed=cell.seed).evaluation
    return np.ascontiguousarray(data.windows.x[rows]), data.windows.y[rows]


def cell_of(store: Path, method: str, student: str) -> str:
    records = [Store(store).record(digest) for digest in Store(store).digests()]
    (found,) = [
        record.digest
        for record in records
        if record and record.cell["method"]["name"] == method and record.cell["student"]["name"] == student
    ]
    return found


def say(model: Path, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {"windows": x})
    return np.asarray(found)


def test_raw_windows_go_in_and_the_probabilities_of_the_record_come_out(
    folder: Path, trained: Path, judged: tuple[np.ndarray, np.ndarray]
) -> None:
    logits = Store(trained).predictions(cell_of(trained, "simkd", "mlp"))["logits"]
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    said = say(folder / "model.onnx", judged[0])
    np.testing.assert_allclose(said, odds / odds.sum(axis=1, keepdims=True), atol=1e-5)
    kept = (say(folder / "model.int8.onnx", judged[0]).argmax(axis=1) == said.argmax(axis=1)).mean()
    assert kept >= 0.9
    assert np.abs(say(folder / "model.onnx", judged[0][:1]) - said[:1]).max() < 1e-5  # at any batch size


def test_weights_are_in_eight_bits_and_padding_is_written_out(folder: Path) -> None:
    onnx = pytest.importorskip("onnx")
    stored: dict[str, int] = {}
    for name in ("model.onnx", "model.int8.onnx"):
        graph = onnx.load(folder / name).graph
        for node in graph.node:
            for attribute in node.attribute:
                assert attribute.name != "auto_pad" or attribute.s in (b"", b"NOTSET")
        stored[name] = sum(np.prod(each.dims) for each in graph.initializer if each.data_type == onnx.TensorProto.FLOAT)
    assert stored["model.int8.onnx"] < 0.2 * stored["model.onnx"]


def test_a_folder_has_every_form_and_says_what_it_is(
    folder: Path, trained: Path, judged: tuple[np.ndarray, np.ndarray]
) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names >= CHECKS
    assert names >= FORMS or compiler() is None
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    use = read_use(Store(trained), cell_of(trained, "simkd", "mlp"))
    assert use is not None
    assert [(each["name"], each["unit"]) for each in card["input"]["channels"]] == list(use.channels)
    assert (card["input"]["rate"], card["input"]["length"]) == (use.rate, use.length)
    assert card["output"]["classes"] == list(use.classes)
    assert card["data"]["digest"] == use.data
    assert card["trained"]["method"]["name"] == "simkd"
    assert card["people"]["windows"]["judged"] == len(judged[1])
    assert "by its digest" not in card["trained"]["chosen"]
    assert "the only seed, 0" in card["trained"]["chosen"]
    page = (folder / "parity.md").read_text(encoding="utf-8")
    if executorch_forms.absent():
        assert f"model.pte and model.int8.pte: {executorch_forms.HOW}" in card["left_out"]
        assert executorch_forms.HOW in page
    for word in ("ONNX, 8 bits", "labels kept", "worst person", "Multiply-adds", *use.classes):
        assert word in page


def test_golden_windows_have_every_class_and_the_probabilities_of_torch(
    folder: Path, judged: tuple[np.ndarray, np.ndarray]
) -> None:
    with np.load(folder / "golden.npz") as kept:
        assert set(kept["labels"].tolist()) == set(judged[1].tolist())
        assert len(kept["labels"]) == min(32, len(judged[1]))
        np.testing.assert_allclose(say(folder / "model.onnx", kept["windows"]), kept["probabilities"], atol=1e-5)
        assert {"class", "worst person"} <= set(kept["why"].tolist())


@pytest.mark.skipif(compiler() is None, reason="no C compiler here")
def test_the_model_in_c_is_clean_and_says_the_same(
    folder: Path, judged: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    program = compiled(folder, tmp_path / "model", SANITISED)
    wanted = say(folder / "model.onnx", judged[0])
    said = run_c(program, judged[0], wanted.shape[1])
    np.testing.assert_array_equal(said.argmax(axis=1), wanted.argmax(axis=1))
    np.testing.assert_allclose(said, wanted, atol=1e-5)
    command = [program, "check", folder / "golden.f32", folder / "golden-probabilities.f32"]
    good = subprocess.run(command, capture_output=True, text=True, check=True)
    assert good.stdout.splitlines()[-1].startswith("PASS")
    assert "RAM" in good.stderr
    assert "flash" in good.stderr
    altered = np.fromfile(folder / "golden.f32", "<f4")
    altered[: altered.size // 2] *= -3
    altered.tofile(tmp_path / "altered.f32")
    bad = subprocess.run([program, "check", tmp_path / "altered.f32", command[3]], capture_output=True, text=True)
    assert bad.returncode == 1
    assert bad.stdout.splitlines()[-1].startswith("FAIL")
    half = subprocess.run([program, "run"], input=b"\0\0\0\0", capture_output=True)
    assert half.returncode == 2


def test_without_a_phone_the_script_says_so(folder: Path, tmp_path: Path) -> None:
    for name in ("sh", "dirname"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    ended = subprocess.run(
        [str(folder / "phone.sh")], capture_output=True, text=True, env={"PATH": str(tmp_path)}, check=False
    )
    assert ended.returncode == 3
    assert ended.stderr.startswith("no adb here")


def test_the_store_keeps_how_the_form_did_until_the_cell_is_trained_again(
    folder: Path, trained: Path, tmp_path: Path
) -> None:
    digest = cell_of(trained, "simkd", "mlp")
    found = deployed(Store(trained), digest)
    assert found is not None
    assert found.size == (folder / "model.int8.onnx").stat().st_size
    shutil.copytree(trained, tmp_path / "runs")
    store = Store(tmp_path / "runs")
    record = json.loads((store.folder(digest) / "record.json").read_text())
    record["files"]["student.pt"] = "0" * 64
    del record["check"]
    (store.folder(digest) / "record.json").write_text(json.dumps(record))
    assert deployed(store, digest) is None


def test_weights_that_today_s_code_makes_another_model_of_are_refused(call: Any, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "runs")
    store, digest = Store(tmp_path / "runs"), cell_of(trained, "simkd", "mlp")
    weights = read_weights(store, digest, torch.device("cpu"))
    write_weights(store, digest, {key: -value if key.endswith("weight") else value for key, value in weights.items()})
    record = json.loads((store.folder(digest) / "record.json").read_text())
    del record["check"], record["files"]["student.pt"]
    (store.folder(digest) / "record.json").write_text(json.dumps(record))
    ended = call("take", digest[:8], "-o", tmp_path / "new")
    assert ended.code == 2
    assert "another label than its record has" in ended.error
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(runtime_folder() is None, reason="onnxruntime-web is not here (KDBENCH_ORT_WEB names its folder)")
@pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")), reason="no chromium and chromedriver here"
)
def test_the_page_passes_in_a_browser_without_a_network_and_fails_where_a_window_is_altered(
    folder: Path, tmp_path: Path
) -> None:
    page = (folder / "demo.html").read_text(encoding="utf-8")
    start = page.index('"windows": "') + len('"windows": "')
    altered = tmp_path / "altered.html"
    altered.write_text(page[:start] + "AADIQgAAyEIAAMhC" + page[start + 16 :], encoding="utf-8")
    good, bad = said_in_a_browser(folder / "demo.html"), said_in_a_browser(altered)
    assert good.startswith("PASS: "), good
    assert "FAIL" not in good
    assert bad.startswith("FAIL: "), bad
    assert bad.count("FAIL") == 2  # the verdict and one window


def said_in_a_browser(path: Path) -> str:
    """The verdict of the page, and the words of its table; opened from disk, offline."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in FLAGS.split():
        options.add_argument(flag)
    with Chrome(options=options, service=ChromeService(shutil.which("chromedriver"))) as driver:
        driver.set_network_conditions(offline=True, latency=0, throughput=0)
        driver.get(path.as_uri())
        end = time.monotonic() + 200
        while (verdict := driver.find_element("id", "verdict").text) == "running":
            assert time.monotonic() < end, "the page goes on running"
            time.sleep(0.3)
        if SHOTS:
            driver.save_screenshot(str(Path(SHOTS) / f"{path.stem}.png"))
        return f"{verdict}\n{driver.find_element('id', 'windows').text}"


@pytest.mark.parametrize("name", ["lstm", "conv_mixer"])  # tests/speed/deploy.py takes every one
def test_a_network_is_taken_or_the_folder_says_why_not(name: str, server: Any, tmp_path: Path) -> None:
    store, place = tmp_path / "runs", tmp_path / "new"
    job = ("-d", JOB[1], "-p", f"{name}(width=0.2):mlp(hidden=8)", *JOB[4:8], "-m", "kd")
    assert server("run", *job, "--store", store, "--no-track", "-j", 1).code == 0
    ended = server("take", "teacher alone", "-o", place, "--store", store, "--force")
    assert ended.code == 0, ended.err
    card = json.loads((place / "card.json").read_text(encoding="utf-8"))
    forms = {form["file"]: form for form in card["forms"]}
    assert forms["model.onnx"]["label_agreement"] == 1
    assert forms["model.onnx"]["largest_difference"] < 1e-4
    for file in ("model.int8.onnx", "model.pte", "model.int8.pte", "model.c"):
        assert file in forms or any(file in each for each in card["left_out"])
    assert "model.c" not in forms
    assert f"model.c: the inference in C has no {'LSTM' if name == 'lstm' else 'Erf'}" in card["left_out"]


def test_every_method_s_model_says_what_its_record_says_and_so_does_a_network_in_a_file(
    server: Any, cache: Path, tmp_path: Path
) -> None:
    source = (Path(__file__).parents[2] / "architectures" / "mlp.py").read_text(encoding="utf-8")
    (tmp_path / "my_net.py").write_text(source, encoding="utf-8")
    methods = ("kd", "dist", "rkd", "simkd", "hmkd")
    pair = f"{tmp_path / 'my_net.py'}(hidden=24):mlp(hidden=16)"
    asked = [word for method in methods for word in ("-m", method)]
    ended = server("run", *JOB[:2], "-p", pair, *JOB[4:8], *asked, "--store", tmp_path / "runs", "--no-track", "-j", 1)
    assert ended.code == 0, ended.err
    store, seen = Store(tmp_path / "runs"), set()
    look_in(store)
    for digest in store.digests():
        record = store.record(digest)
        assert record is not None
        cell = Cell.from_plain(record.cell)
        data = load_data(cell.dataset, runtime(store=store.root, cache=cache, device="cpu"))
        subject = subject_of(store, digest, data)
        logits = torch.from_numpy(store.predictions(digest)["logits"])
        np.testing.assert_allclose(subject.probabilities, logits.softmax(dim=1).numpy(), atol=1e-5)
        seen.add(cell.method.name)
    assert seen >= set(methods)
    ended = server("take", "teacher alone", "-o", tmp_path / "new", "--store", tmp_path / "runs", "--force")
    assert ended.code == 0, ended.err
    assert json.loads((tmp_path / "new" / "card.json").read_text())["trained"]["student"]["name"].startswith("my_net")
    assert (tmp_path / "new" / "model.c").exists() == (compiler() is not None)


def subject_in(trained: Path, cache: Path) -> Subject:
    digest = cell_of(trained, "simkd", "mlp")
    record = Store(trained).record(digest)
    assert record is not None
    part = Cell.from_plain(record.cell).dataset
    return subject_of(Store(trained), digest, load_data(part, runtime(store=trained, cache=cache, device="cpu")))


@pytest.mark.parametrize(
    ("kept", "taken"), [([1.0, 1.0], 0), ([0.5, 1.0, 1.0], 1), ([0.5, 0.9, 0.9], 1), ([0.9, None], 0), ([None, 0.5], 1)]
)
def test_the_first_form_that_keeps_enough_labels_is_taken_and_else_the_first_of_the_best(
    kept: list[float | None], taken: int, trained: Path, cache: Path
) -> None:
    subject, made = subject_in(trained, cache), list[int]()

    def form(number: int, windows: Any) -> tuple[int, Any]:
        made.append(number)
        if (share := kept[number]) is None:
            raise KdbenchError("this form cannot be made")
        said = probabilities(subject.model, windows)
        lost = np.arange(len(said)) >= share * len(said)
        return number, np.where(lost[:, None], -said, said)  # a minus turns the order of the classes round

    forms = [partial(form, number) for number in range(len(kept))]
    assert fewest(subject, forms) == (taken, pytest.approx(kept[taken], abs=0.05))
    assert made == list(range(taken + 1 if kept[taken] == 1 else len(kept)))
    kept[:] = [None] * len(kept)
    with pytest.raises(KdbenchError, match=r"^this form cannot be made$"):
        fewest(subject, forms)


def test_quantising_looks_at_no_window_that_is_judged(trained: Path, cache: Path, tmp_path: Path) -> None:
    subject = subject_in(trained, cache)
    data, rows, person = subject.data, subject.split, subject.data.windows.person
    for some in (subject.calibration, subject.check, subject.fit):
        assert set(some.tolist()) <= set(rows.train.tolist())
        assert not set(person[some].tolist()) & set(person[rows.evaluation].tolist())
    first = quantise(subject, tmp_path / "one.onnx")
    x = data.windows.x.copy()
    x[rows.evaluation] = np.nan  # a single look would spoil the ranges, or the choice
    blind = replace(subject, data=replace(data, windows=replace(data.windows, x=x)))
    assert quantise(blind, tmp_path / "two.onnx") == first
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_needs_only_numpy_and_onnxruntime_where_it_is_used(folder: Path) -> None:
    code = f"""
import sys
sys.path[:] = [path for path in sys.path if "site-packages" in path or "lib" in path]
for name in ("torch", "kdbench", "onnx"):
    sys.modules[name] = None
import numpy, onnxruntime
kept = numpy.load({str(folder / "golden.npz")!r})
(said,) = onnxruntime.InferenceSession({str(folder / "model.onnx")!r}).run(None, {{"windows": kept["windows"]}})
assert abs(said - kept["probabilities"]).max() < 1e-5
"""
    subprocess.run([sys.executable, "-c", code], check=True)

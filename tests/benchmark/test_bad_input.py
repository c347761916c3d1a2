"""Whatever is wrong with a request is said in one line, with exit code 2, before anything is written."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdbench.spec.matrix import Matrix
from kdbench.store.records import Store

PLAIN = 'datasets = ["synthetic"]\npairs = ["mlp(hidden=8):mlp(hidden=4)"]\n'


def untouched(store: Path) -> bool:
    """Whether a store has neither cells nor matrices nor anything half written."""
    return not store.exists() or not any(store.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-m", "fitnets"], "no 'fitnets' in methods"),
        (["-m", "hmdk"], "no 'hmdk' in methods (did you mean 'hmkd'?); known: "),
        (["-m", "kd("], "'kd(' is not of the form name or name(key=value, ...)"),
        (["-m", ""], "'' is not of the form"),
        (["-m", "kd(temperature)"], "'temperature' in 'kd(temperature)' is not of the form key=value"),
        (["-m", "kd(temperature=)"], "is not of the form key=value"),
        (["-m", "kd(alpha=0.1, alpha=0.2)"], "'alpha' stands twice in"),
        (["-m", "kd(temprature=3)"], "no 'temprature' in settings of kd (did you mean 'temperature'?)"),
        (["-m", "kd(temperature=0)"], "kd: temperature=0.0 is outside [0.1, 100]"),
        (["-m", "kd(temperature=nan)"], "kd: temperature=nan is outside"),
        (["-m", "kd(temperature=1e999)"], "kd: temperature=inf is outside"),
        (["-m", f"kd(temperature={10**400})"], "kd: temperature=inf is outside"),
        (["-m", "kd(temperature=hot)"], "kd: temperature='hot' is not a number"),
        (["-m", "kd(temperature=true)"], "kd: temperature=True is not a number"),
        (["-m", "kd(role=pear)"], "no 'pear' in roles of kd"),
        (["-m", "kd(role=1)"], "no '1' in roles of kd"),
        (["-m", "hmkd(preset=secret)"], "no 'secret' in presets of hmkd"),
        (["-m", "kd", "-m", "kd"], "the row 'kd' stands twice; give each a label of its own"),
        (["-m", "kd", "-m", "kd(temperature=4)"], "the row 'kd' stands twice"),
        (["-p", "mlpp:mlp"], "no 'mlpp' in architectures (did you mean 'mlp'?)"),
        (["-p", "mlp"], "pair 'mlp' is not of the form teacher:student"),
        (["-p", "mlp:mlp:mlp"], "is not of the form teacher:student"),
        (["-p", ":mlp"], "pair ':mlp' has no teacher"),
        (["-p", "mlp(hidden=0):mlp"], "mlp: hidden=0 is outside [1, 8192]"),
        (["-p", "mlp(hidden=1.5):mlp"], "mlp: hidden=1.5 is not a whole number"),
        (["-p", "resnet_lstman(lstm_axis=tim):mlp"], "no 'tim' in lstm_axis (did you mean 'time'?)"),
        (["-p", "mlp:mlp", "-p", "mlp(hidden=500):mlp"], "the pair 'mlp:mlp' stands twice"),
        (["-d", "uci_hr"], "no 'uci_hr' in datasets (did you mean 'uci_har'?)"),
        (["-d", "synthetic(persons=3)"], "no 'persons' in settings of synthetic"),
        (["-d", "synthetic(people=2)"], "synthetic: people=2 is outside [3, 1000]"),
        (["-d", "synthetic", "-d", "synthetic(people=20)"], "the dataset 'synthetic' stands twice"),
        (["--recipe", "hard"], "no 'hard' in recipes (did you mean 'har'?)"),
        (["--protocol", "subject"], "no 'subject' in protocols (did you mean 'subject-v1'?)"),
        (["-S", "temperature=3"], "-S 'temperature=3' is not of the form method.key=value or recipe.key=value"),
        (["-S", "kd.temperature"], "is not of the form"),
        (["-S", "kd.=3"], "is not of the form"),
        (["-S", ".temperature=3"], "is not of the form"),
        (["-S", "kd.temperature= "], "is not of the form"),
        (["-S", "kdd.temperature=3"], "no 'kdd' in the methods selected, nor 'recipe' (did you mean 'kd'?)"),
        (["-S", "kd.temp=3"], "no 'temp' in settings of kd"),
        (["-S", "recipe.epoch=3"], "no 'epoch' in settings of a recipe (did you mean 'epochs'?)"),
        (["-S", "recipe.epochs=0"], "recipe: epochs=0 is outside [1, 100000]"),
        (["-S", "recipe.epochs=2.5"], "recipe: epochs=2.5 is not a whole number"),
        (["-S", "recipe.epochs=many"], "recipe: epochs='many' is not a whole number"),
        (["-S", "recipe.learning_rate=nan"], "recipe: learning_rate=nan is outside"),
        (["-S", "recipe.learning_rate=true"], "recipe: learning_rate=True is not a number"),
        (["-S", "recipe.name=mine"], "no 'name' in settings of a recipe"),
        (["--device", "gpu0"], "no device 'gpu0' here; cpu always works"),
        (["--device", "cuda:99"], "no device 'cuda:99' here"),
        (["--device", "meta"], "no device 'meta' here"),
        (["--device", ""], "no device '' here"),
        (["-c", "papr"], "no 'papr' in shipped matrices, nor such a file (did you mean 'paper'?)"),
        *[(["--seeds", text], f"seeds {text!r} are not of the form 5 (0 to 4), 0-4 or 0,3") for text in
          ("", " ", "five", "-1", "1.5", "1e3", "0-", "-4", "0--4", "0:4", ",", "0,,3", "0;3", "9" * 10, "0x3", "[0]")],
        *[(["--seeds", text], f"seeds {text!r} came: {fault}; write 1 or 0-0 (seed 0 alone), 5 or 0-4 (0 to 4), or 0,3")
          for text, fault in (
            ("0", "no seed at all (one number is a count, two are a range that goes up)"),
            ("4-0", "no seed at all (one number is a count, two are a range that goes up)"),
            ("1,1", "seed 1 stands there twice"), ("0-3,2", "seed 2 stands there twice"),
            *[(many, "over a million") for many in ("0-9999999", "1000001", "0-999999999,0-999999999")])],
    ],
)  # fmt: skip
def test_a_wrong_option_is_named_in_one_line(
    options: list[str], message: str, call: Callable[..., Any], store: Path
) -> None:
    ended = call("run", "-d", "synthetic", *options) if "-d" not in options else call("run", *options)
    assert ended.code == 2
    assert message in ended.error
    assert ended.out == ""
    assert untouched(store)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("datasets = [", "not valid TOML"),
        ("", "'datasets' is missing or empty"),
        ('datasets = ["synthetic"]', "'pairs' is missing or empty"),
        ('datasets = []\npairs = ["mlp:mlp"]', "'datasets' is missing or empty"),
        ('datasets = "synthetic"\npairs = ["mlp:mlp"]', "'datasets' is 'synthetic', wanted a list of texts"),
        ('datasets = [3]\npairs = ["mlp:mlp"]', "'datasets' is [3], wanted a list of texts"),
        (PLAIN + "epochs = 3", "no 'epochs' in keys of a matrix"),
        (PLAIN + "name = 3", "'name' is 3, wanted a text"),
        (PLAIN + "description = []", "'description' is [], wanted a text"),
        (PLAIN + 'methods = "kd"', "'methods' is 'kd', wanted a list of texts"),
        (PLAIN + 'methods = [["kd"]]', "'methods' is [['kd']], wanted a list of texts"),
        (PLAIN + "method = 5", "'method' is 5, wanted tables, each under [[method]]"),
        (PLAIN + '[method]\nname = "kd"', "wanted tables, each under [[method]]"),
        (PLAIN + 'method = ["kd"]', "a list of names is called 'methods'"),
        (PLAIN + '[[method]]\nlabel = "a"', "a [[method]] needs a name"),
        (PLAIN + "[[method]]\nname = 1", "'name' is 1, wanted a text"),
        (PLAIN + '[[method]]\nname = "kd"\nlabel = 1', "'label' is 1, wanted a text"),
        (PLAIN + '[[method]]\nname = "kd"\nteacher = "x"', "no 'teacher' in keys of a [[method]]"),
        (PLAIN + '[[method]]\nname = "kd"\nrole = ["peer"]', "'role' is ['peer'], wanted a text"),
        (PLAIN + '[[method]]\nname = "kd"\npreset = [1]', "'preset' is [1], wanted a text"),
        (PLAIN + '[[method]]\nname = "kd"\nsettings = 3', "settings of method 'kd' are not a table"),
        (PLAIN + '[[method]]\nname = "kd"\nsettings = {temperature = [1]}', "temperature=[1], wanted a text, a number"),
        (PLAIN + '[[method]]\nname = "kd"\nsettings = {preset = [1]}', "preset=[1], wanted a text, a number"),
        (PLAIN + '[[method]]\nname = "kd"\nsettings = {temperature = 1979-05-27}', "wanted a text, a number"),
        (PLAIN + '[[method]]\nname = "kd"\nlabel = "student alone"', "the row 'student alone' stands twice"),
        (PLAIN + '[[method]]\nname = "kd"\nlabel = "a"\n[[method]]\nname = "hmkd"\nlabel = "a"', "'a' stands twice"),
        (PLAIN + "seeds = true", "seeds True are not of the form"),
        (PLAIN + "seeds = 1.5", "seeds 1.5 are not of the form"),
        (PLAIN + "seeds = -1", "seeds -1 came: no seed at all"),
        (PLAIN + "seeds = []", "seeds [] are not of the form"),
        (PLAIN + "seeds = [0, true]", "seeds [0, True] are not of the form"),
        (PLAIN + "seeds = [0, 0]", "seed 0 stands there twice"),
        (PLAIN + "seeds = 1000000000000", "over a million"),
        (PLAIN + "protocol = 1", "'protocol' is 1, wanted a text"),
        (PLAIN + 'protocol = "loso"', "no 'loso' in protocols"),
        (PLAIN + "fallback = 1", "'fallback' is 1, wanted a text"),
        (PLAIN + "recipe = 3", "recipe is neither a name nor a table with a name"),
        (PLAIN + "recipe = {epochs = 3}", "recipe is neither a name nor a table with a name"),
        (PLAIN + 'recipe = {name = "har", epochs = 3}', "the recipe name 'har' is taken"),
        (PLAIN + 'recipe = {name = "mine", base = "hr"}', "no 'hr' in recipes (did you mean 'har'?)"),
        (PLAIN + 'recipe = {name = "mine", epochs = [3]}', "recipe: epochs=[3] is not a whole number"),
        (PLAIN + 'recipe = {name = "mine", optimiser = "sgd"}', "no 'optimiser' in settings of a recipe"),
    ],
)
def test_what_is_wrong_in_a_matrix_file_is_named_in_one_line(
    text: str, message: str, call: Callable[..., Any], store: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    ended = call("run", "-c", path)
    assert ended.code == 2
    assert message in ended.error
    assert untouched(store)


def test_a_matrix_file_that_is_no_text_is_named(call: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    ended = call("plan", "-c", path)
    assert ended.code == 2
    assert ended.error.startswith(f"{path} is not UTF-8 text: byte 0 is ")


@pytest.mark.parametrize("content", [b"garbage", b"PK\x03\x04 torn", b""])
def test_a_damaged_archive_ends_the_run_without_a_look_at_the_network(
    content: bytes, call: Callable[..., Any], store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: pytest.fail("it asked the network"))
    cache = tmp_path / "fresh"
    monkeypatch.setenv("KDBENCH_CACHE", str(cache))
    archive = tmp_path / "archives" / "UCI HAR Dataset.zip"
    archive.parent.mkdir()
    archive.write_bytes(content)
    ended = call("run", "-d", "uci_har", "--data-dir", archive.parent)
    assert ended.code == 2
    assert str(archive) in ended.error
    assert "fetch it again" in ended.error
    assert untouched(store)
    assert [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_a_data_folder_that_is_not_there_is_named(
    call: Callable[..., Any], store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KDBENCH_CACHE", str(tmp_path / "fresh"))
    ended = call("run", "-d", "uci_har", "--data-dir", tmp_path / "nowhere")
    assert ended.code == 2
    assert ended.error.startswith(f"data folder {tmp_path / 'nowhere'} does not exist")
    assert untouched(store)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that refuses every connection."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_network")
def test_a_dataset_asked_for_by_name_is_never_replaced(call: Callable[..., Any], store: Path) -> None:
    began = time.monotonic()
    ended = call("run", "-d", "uci_har", "-m", "kd")
    assert ended.code == 2
    assert ended.error.startswith("uci_har is not here: put 'UCI HAR Dataset.zip' into a folder and pass --data-dir")
    assert "download failed: https://" in ended.error
    assert time.monotonic() - began < 60
    assert untouched(store)


@pytest.mark.usefixtures("no_network")
def test_a_matrix_asked_for_by_name_is_never_run_on_other_data(call: Callable[..., Any], store: Path) -> None:
    ended = call("run", "-c", "quick")
    assert ended.code == 2
    assert ended.error.startswith("uci_har is not here")
    assert untouched(store)


@pytest.mark.usefixtures("no_network")
def test_without_data_a_first_look_falls_back_loudly_on_generated_ones(call: Callable[..., Any]) -> None:
    ended = call("plan")
    assert ended.code == 0
    lines = ended.err.splitlines()
    assert lines[0] == lines[-1] == "!" * 78
    assert all(line.startswith("!") for line in lines)
    assert "! Running on 'synthetic' instead: GENERATED data, good for a look at kdbench, not for any claim." in lines
    assert ended.out.startswith("quick-synthetic: 4 cells, 0 done, 4 to run\n")


@pytest.mark.usefixtures("no_network")
def test_what_ran_on_generated_data_is_remembered_as_such(
    call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = (
        'datasets = ["uci_har"]\nfallback = "synthetic(people=4, windows=1, length=16)"\n'
        'pairs = ["mlp(hidden=8):mlp(hidden=4)"]\nrecipe = {name = "one", epochs = 1, batch_size = 8}\n'
    )
    monkeypatch.setattr(Matrix, "load", lambda name: Matrix.from_toml(tiny, name, name))
    ended = call("run", "--no-track", "-j", 1)
    assert ended.code == 0, ended.err
    assert "GENERATED" in ended.err
    again = call("table")
    assert again.code == 0
    assert again.err == ""
    assert "synthetic(people=4, windows=1, length=16)" in again.out
    assert "uci_har" not in again.out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["table", "--metric", "f1"], "no 'f1' in metrics"),
        (["table", "--metric", "macro_f2", "--format", "csv"], "no 'macro_f2' in metrics (did you mean 'macro_f1'?)"),
        (["table", "--metric", "macro_f2", "--format", "csv-wide"], "no 'macro_f2' in metrics"),
        (["plot", "--metric", "macro_f2"], "no 'macro_f2' in metrics"),
        (["plot", "-o", "gain.gif"], "'gain.gif'"),
        (["plot", "--deploy"], "no cell of this matrix was taken to a device yet; `kdbench take ROW` does"),
        (["list", "method"], "no 'method' in kinds of things to list (did you mean 'methods'?)"),
        (["show", "hmdk"], "no 'hmdk' in anything that kdbench knows (did you mean 'hmkd'?)"),
    ],
)
def test_a_wrong_question_about_results_is_answered_in_one_line(
    command: list[str], message: str, call: Callable[..., Any], copy: Path, job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy.parent)
    before = sorted(copy.parent.rglob("*"))
    ended = call(*command, *(job if command[0] in ("table", "plot") else ()))
    assert ended.code == 2
    assert message in ended.error
    assert ended.out == ""
    assert sorted(copy.parent.rglob("*")) == before


@pytest.mark.parametrize(
    "command",
    [
        ["run", "--jobs", "0"],
        ["run", "--colour"],
        ["tabel"],
        ["table", "--format", "docx"],
        ["ui", "--port", "0"],
        ["show"],
        ["run", "--store", __file__],
    ],
)
def test_what_click_refuses_ends_with_two_as_well(command: list[str], call: Callable[..., Any], store: Path) -> None:
    ended = call(*command)
    assert ended.code == 2
    assert ended.err.splitlines()[-1].startswith("Error: ")
    assert untouched(store)


@pytest.mark.parametrize(
    ("command", "unused"),
    [
        ("plot all --deploy -o figures", "FIGURE"),
        ("plot --deploy --metric nonsense", "--metric"),
        ("plot --deploy --metric macro_f1 --row nonsense", "--metric and --row"),
        ("plot capacity --deploy latency", "FIGURE"),
        ("plot gain --costs", "FIGURE"),
        ("plot --costs --row kd --width one", "--row and --width"),
        ("plot --list --metric accuracy", "--metric"),
        ("table --deploy --metric accuracy", "--metric"),
        ("table --deploy --sort kind", "--sort"),
        ("table --costs --sort name", "--sort"),
        ("table --beside-default --sort name", "--sort"),
        ("table --format csv --sort name", "--sort"),
        ("table -o t.csv --sort name", "--sort"),
        ("view --row kd", "--row"),
        ("status --verify --state done", "--state"),
        ("status --json --watch", "--watch"),
        ("stats --aa --equivalent 1", "--equivalent"),
        ("publish paper --check --seeds 2", "--seeds"),
        ("publish paper --again -d hapt", "--dataset"),
    ],
)
def test_an_option_that_the_form_that_is_asked_for_does_not_use_is_refused(
    command: str, unused: str, call: Callable[..., Any], copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy.parent)
    before = sorted(copy.parent.rglob("*"))
    ended = call(*command.split())
    assert ended.code == 2
    assert ended.err.splitlines()[-1].startswith("Error: ")
    assert ended.err.splitlines()[-1].endswith(f" does not use {unused}")
    assert ended.out == ""
    assert sorted(copy.parent.rglob("*")) == before


@pytest.mark.parametrize("command", [["table"], ["status"], ["plot"], ["track", "rebuild"]])
def test_where_nothing_was_run_there_is_nothing_to_show(command: list[str], forks: Any, store: Path) -> None:
    ended = forks(*command)
    assert ended.code == 2
    assert ended.error.startswith(f"no matrix was run in {store}")
    assert not store.exists()


def test_pages_of_a_store_without_a_database_are_refused(forks: Any, store: Path) -> None:
    ended = forks("ui")
    assert ended.code == 2
    assert ended.error.startswith(f"nothing is tracked in {store} yet")


def test_a_damaged_record_is_named(call: Callable[..., Any], copy: Path, cells: Any, job: Any) -> None:
    path = cells(copy)[0] / "record.json"
    for content in ("{", "[]", '{"schema": 99}', path.read_text()[:-200], ""):
        path.write_text(content)
        ended = call("run", *job, "--no-track")
        assert ended.code == 2
        assert ended.error.startswith(f"{path}: ")
        assert ended.error.endswith("; `kdbench run --stale` with the options of its matrix makes it again")


def test_a_damaged_matrix_of_the_store_is_named(call: Callable[..., Any], copy: Path) -> None:
    (path,) = (copy / "matrices").iterdir()
    for content in ("{", "[]", '{"datasets": 1}', "[" * 100_000):
        path.write_text(content)
        ended = call("table")
        assert ended.code == 2
        assert ended.error.startswith(f"{path}: ")


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 torn"])
def test_a_teacher_whose_weights_are_damaged_is_named(
    content: bytes, call: Callable[..., Any], copy: Path, cells: Any, job: Any
) -> None:
    taught = next(c for c in cells(copy) if (r := Store(copy).record(c.name)) and r.cell["teacher_cell"])
    record = Store(copy).record(taught.name)
    assert record is not None
    Store(copy).forget(taught.name)
    path = copy / record.cell["teacher_cell"] / "student.pt"
    path.write_bytes(content)
    ended = call("run", *job, "--no-track", "-j", 1)
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 2, ended.err  # the first says what is to be run
    assert ended.err.splitlines()[1].startswith(f"error: {path} is damaged: ")
    assert ended.err.endswith("; `kdbench run --stale` with the options of its matrix makes it again\n")


@pytest.mark.parametrize(("command", "name"), [("table", "t.md"), ("plot", "p.png"), ("report", "r.html")])
def test_a_file_cannot_be_written_where_there_is_no_folder(
    command: str, name: str, call: Callable[..., Any], copy: Path, job: Any, tmp_path: Path
) -> None:
    ended = call(command, *job, "-o", tmp_path / "nowhere" / name)
    assert ended.code == 2
    assert ended.error == f"-o {tmp_path / 'nowhere' / name}: {tmp_path / 'nowhere'} is no folder"


def test_a_reader_who_leaves_early_is_no_error() -> None:
    console = Path(sys.executable).with_name("kdbench")
    shown = subprocess.run(
        f"{console} show uci_har | head -n 1",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "uci_har (dataset)\n"
    assert shown.stderr == ""

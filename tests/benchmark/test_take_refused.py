"""What `take` cannot take is refused in one line, before anything is written."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kdbench.cli._signals import stoppable

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (("kdd",), "no 'kdd' in rows (did you mean 'kd'?)"),
        (("0123456789",), "begins with '0123456789'"),
        (("kd", "-d", "hapt"), "no 'hapt' in datasets"),
        (("kd", "--matrix", "other"), "in the matrices run in"),
    ],
)
def test_a_name_that_is_no_cell_and_no_row_is_refused(
    asked: tuple[str, ...], wanted: str, call: Any, copy: Path, tmp_path: Path
) -> None:
    ended = call("take", *asked, "-o", tmp_path / "new")
    assert ended.code == 2
    assert wanted in ended.error
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_there_is_left_as_it_is(call: Any, copy: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    ended = call("take", "kd", "-o", tmp_path / "new")
    assert ended.code == 2
    assert ended.error == f"{tmp_path / 'new'} is there already; -o names another folder"
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_neither_a_folder_nor_the_beginning_of_one(
    number: signal.Signals, code: int, forks: Any, until: Any, copy: Path, tmp_path: Path
) -> None:
    place = tmp_path / "phone"
    process = forks.begin("take", "kd", "-o", place / "new", "--force")
    until(lambda: list(place.glob(".new-*/*")), "a folder that is begun")
    process.kill(number)
    ended = process.wait()
    assert list(place.iterdir()) == []
    assert ended.code == code
    # Nothing is said where it came just while a converter was led nowhere.
    assert ended.err in ("", "\nstopped; a folder that was not whole is not there\n")


def test_a_signal_that_a_library_swallows_is_raised_again_at_the_next_check() -> None:
    class Swallows:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    with stoppable() as stop:
        stop.check()
        Swallows()
        assert stop.came
        with pytest.raises(KeyboardInterrupt):
            stop.check()
    with stoppable() as stop:
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            stop.check()
        assert stop.exit_code == 143


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder here in which nobody can write")
def test_a_folder_that_the_machine_cannot_write_is_its_failure_and_not_the_request_s(call: Any, copy: Path) -> None:
    ended = call("take", "kd", "-o", "/proc/new")
    assert ended.code == 1
    assert ended.error.startswith("/proc/new: ")
    said = " ".join(call("take", "--help").out.split())
    assert "1 where one was refused, or where there is no folder since the machine failed" in said
    docs = Path(__file__).resolve().parents[2] / "docs" / "deploy.md"
    assert "or no folder, since the machine failed" in docs.read_text(encoding="utf-8").partition("\n| 1 |")[2][:200]


@pytest.mark.slow
def test_a_reference_is_refused_since_it_is_no_network(
    call: Any, copy: Path, job: tuple[str, ...], tmp_path: Path
) -> None:
    assert call("run", *job, "-m", "forest(trees=5)", "-j", 1).code == 0
    ended = call("take", "forest(trees=5)", "-o", tmp_path / "new")
    assert ended.code == 2
    assert ended.error == "forest is a reference and no network: it keeps no weights that a device could be given"
    assert not (tmp_path / "new").exists()

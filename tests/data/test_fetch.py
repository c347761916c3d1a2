from __future__ import annotations

import io
import socket
import sys
import time
from pathlib import Path

import pytest

from kdbench.data import Source, _fetch
from kdbench.data._fetch import Progress, download
from kdbench.errors import DataUnavailable, KdbenchError, MachineError

Served = tuple[str, dict[str, bytes], list[str]]


def test_the_first_mirror_that_gives_an_archive_serves(tmp_path: Path, served: Served, uci_zip: bytes) -> None:
    address, content, asked = served
    content |= {"/login.zip": b"<html>log in first</html>", "/short.zip": uci_zip, "/good.zip": uci_zip}
    names = ["/missing.zip", "/login.zip", "/short.zip", "/good.zip", "/never.zip"]
    download([address + name for name in names], tmp_path / "data.zip")
    assert (tmp_path / "data.zip").read_bytes() == uci_zip
    assert [path.name for path in tmp_path.iterdir()] == ["data.zip"]
    assert asked == names[:-1]


def test_an_archive_that_the_check_refuses_is_a_failed_mirror(tmp_path: Path, served: Served, uci_zip: bytes) -> None:
    address, content, asked = served
    content |= {"/bad.zip": uci_zip, "/good.zip": uci_zip}

    def check(source: Source) -> None:
        assert source.names()
        if len(asked) == 1:
            raise KdbenchError("is another")

    download([f"{address}/bad.zip", f"{address}/good.zip"], tmp_path / "data.zip", check=check)
    assert asked == ["/bad.zip", "/good.zip"]
    asked.clear()
    with pytest.raises(DataUnavailable, match=r"/bad\.zip: is another$"):
        download([f"{address}/bad.zip"], tmp_path / "more.zip", check=check)
    assert [path.name for path in tmp_path.iterdir()] == ["data.zip"]


def test_every_failure_is_told_and_only_a_beginning_is_left(tmp_path: Path, served: Served, uci_zip: bytes) -> None:
    address, content, _ = served
    content |= {"/login.zip": b"<html>log in first</html>", "/short.zip": uci_zip}
    with pytest.raises(DataUnavailable) as caught:
        download([address + name for name in ("/missing.zip", "/login.zip", "/short.zip")], tmp_path / "data.zip")
    for part in ("/missing.zip: HTTP 404", "/login.zip: ", "not a zip", "/short.zip: "):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    (beginning,) = tmp_path.glob("*.part")
    assert len(list(tmp_path.iterdir())) == 2, "the beginning, and what the server knew it by"
    assert 0 < beginning.stat().st_size <= len(uci_zip) // 2
    assert uci_zip.startswith(beginning.read_bytes())


@pytest.mark.parametrize("name", ["/flaky.zip", "/flaky-whole.zip"])
def test_a_broken_download_goes_on_where_it_was_even_if_the_server_sends_it_all_again(
    tmp_path: Path, served: Served, uci_zip: bytes, name: str
) -> None:
    address, content, asked = served
    content[name] = uci_zip
    with pytest.raises(DataUnavailable):
        download([address + name], tmp_path / "data.zip")
    (beginning,) = tmp_path.glob("*.part")
    size = beginning.stat().st_size
    download([address + name], tmp_path / "data.zip")
    assert asked == [name, f"{name} from {size}"]
    assert (tmp_path / "data.zip").read_bytes() == uci_zip
    assert [path.name for path in tmp_path.iterdir()] == ["data.zip"]


def test_a_server_that_cannot_tell_whether_the_file_is_the_same_is_asked_for_all_of_it(
    tmp_path: Path, served: Served, uci_zip: bytes
) -> None:
    address, content, asked = served
    content["/flaky-untold.zip"] = uci_zip
    with pytest.raises(DataUnavailable):
        download([f"{address}/flaky-untold.zip"], tmp_path / "data.zip")
    download([f"{address}/flaky-untold.zip"], tmp_path / "data.zip")
    assert asked == ["/flaky-untold.zip"] * 2
    assert (tmp_path / "data.zip").read_bytes() == uci_zip


def test_a_beginning_that_another_server_s_file_does_not_continue_is_left_alone(
    tmp_path: Path, served: Served, uci_zip: bytes
) -> None:
    address, content, asked = served
    content |= {"/short.zip": uci_zip, "/good.zip": uci_zip}
    download([f"{address}/short.zip", f"{address}/good.zip"], tmp_path / "data.zip")
    assert asked == ["/short.zip", "/good.zip"]
    assert (tmp_path / "data.zip").read_bytes() == uci_zip


@pytest.mark.parametrize("before", [bytes(200_000), bytes(2_000_000)], ids=["of-a-part", "of-more-than-there-is-now"])
def test_a_file_that_changed_between_two_attempts_is_fetched_anew(
    tmp_path: Path, served: Served, uci_zip: bytes, before: bytes
) -> None:
    address, content, asked = served
    content["/flaky.zip"] = before
    with pytest.raises(DataUnavailable):
        download([f"{address}/flaky.zip"], tmp_path / "data.zip")
    (beginning,) = tmp_path.glob("*.part")
    size = beginning.stat().st_size
    content["/flaky.zip"] = uci_zip
    download([f"{address}/flaky.zip"], tmp_path / "data.zip")
    assert (tmp_path / "data.zip").read_bytes() == uci_zip
    assert asked == ["/flaky.zip", f"/flaky.zip from {size}"]
    assert [path.name for path in tmp_path.iterdir()] == ["data.zip"]


def test_without_a_network_it_fails_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as taken:  # bound, but not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        began = time.monotonic()
        with pytest.raises(DataUnavailable, match="ConnectionError"):
            download([f"http://127.0.0.1:{taken.getsockname()[1]}/data.zip"], tmp_path / "data.zip")
    assert time.monotonic() - began < _fetch.CONNECT_SECONDS + 1


def test_an_endless_answer_is_cut_off(
    tmp_path: Path, served: Served, uci_zip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_fetch, "SIZE_LIMIT", 1000)
    address, content, _ = served
    content["/data.zip"] = uci_zip
    with pytest.raises(DataUnavailable, match="more than 1000 bytes"):
        download([f"{address}/data.zip"], tmp_path / "data.zip")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_the_machine_s_fault(tmp_path: Path, served: Served) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="cannot be written"):
        download([f"{served[0]}/data.zip"], tmp_path / "file" / "data.zip")


def test_a_missing_pooch_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DataUnavailable, match="pip install pooch"):
        download(["http://127.0.0.1/data.zip"], tmp_path / "data.zip")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(progress: Progress, clock: list[float], *, total: int) -> None:
    """Forty updates a second apart, then the calls that pooch makes at the end."""
    progress.total = total
    for _ in range(40):
        clock[0] += 1
        progress.update(2**16)
    progress.reset()
    progress.update(total)
    progress.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_terminal_gets_one_line_redrawn(clock: list[float]) -> None:
    stream = Terminal()
    run(Progress("downloading a.zip", stream), clock, total=40 * 2**16 - 5)
    lines = stream.getvalue().split("\r")
    assert lines[20] == "downloading a.zip: 1.3 of 2.6 MB, 50 %, 20 s left\x1b[K"
    assert lines[-1] == "downloading a.zip: 2.6 of 2.6 MB, 100 %, 40 s\x1b[K\n"
    assert stream.getvalue().count("\n") == 1


def test_a_log_gets_a_line_now_and_then(clock: list[float]) -> None:
    stream = io.StringIO()
    run(Progress("downloading a.zip", stream), clock, total=40 * 2**16)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "downloading a.zip: 0.7 of 2.6 MB, 25 %, 30 s left"
    assert len(lines) == 5


def test_a_resumed_download_counts_what_was_there(clock: list[float]) -> None:
    stream = io.StringIO()
    run(Progress("downloading a.zip", stream, before=120 * 2**16), clock, total=40 * 2**16)
    assert stream.getvalue().splitlines()[0] == "downloading a.zip: 8.5 of 10.5 MB, 81 %, 30 s left"


def test_an_unknown_length_shows_bytes_only(clock: list[float]) -> None:
    stream = io.StringIO()
    run(Progress("downloading a.zip", stream), clock, total=0)
    assert stream.getvalue().splitlines()[-1] == "downloading a.zip: 2.6 MB"


def test_an_announced_size_over_the_limit_is_refused_at_once() -> None:
    progress = Progress("downloading a.zip", io.StringIO())
    progress.total = _fetch.SIZE_LIMIT + 1
    with pytest.raises(KdbenchError):
        progress.update(1)

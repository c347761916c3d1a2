"""A stand-in for UCI HAR's archive, in its exact format but with fewer people and windows."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from kdbench.data.uci_har import SIGNALS, Side, UciHar

PEOPLE = {"train": (1, 3), "test": (2,)}
PER_CLASS = 3
TOP = "UCI HAR Dataset/"

Members = dict[str, bytes]


def _number(value: float) -> str:
    """16 characters with a three-digit exponent, as in ``  1.8085150e-004``."""
    mantissa, exponent = f"{value: .7e}".split("e")
    return f" {mantissa}e{int(exponent):+04d}"


def _line(values: npt.NDArray[np.float64]) -> str:
    return "".join(map(_number, values)) + "\r\n"


@pytest.fixture(scope="session")
def uci_members() -> Members:
    """Member to content. Every person does every class once, in three windows that overlap by half."""
    rng = np.random.default_rng(0)
    members = {f"{TOP}README.txt": b"a stand-in\n"}
    for side, people in PEOPLE.items():
        lines: dict[str, list[str]] = {signal: [] for signal in SIGNALS}
        labels, subjects = [], []
        for person in people:
            for label in range(1, 7):
                stretch = rng.normal(size=(len(SIGNALS), 64 * (PER_CLASS + 1)))
                for window in range(PER_CLASS):
                    labels.append(f"{label}\n")
                    subjects.append(f"{person}\n")
                    for signal, values in zip(SIGNALS, stretch, strict=True):
                        lines[signal].append(_line(values[64 * window :][:128]))
        members[f"{TOP}{side}/y_{side}.txt"] = "".join(labels).encode()
        members[f"{TOP}{side}/subject_{side}.txt"] = "".join(subjects).encode()
        for signal in SIGNALS:
            members[f"{TOP}{side}/Inertial Signals/{signal}_{side}.txt"] = "".join(lines[signal]).encode()
    return members


@pytest.fixture(scope="session")
def stand_in(uci_members: Members) -> UciHar:
    """UCI HAR's class that expects the stand-in instead of the original."""

    def digest(member: str, dtype: str) -> str:
        values = np.array(uci_members[TOP + member].split(), np.float64)
        return hashlib.sha256(values.astype(dtype).tobytes()).hexdigest()

    sides = {}
    for side, people in PEOPLE.items():
        digests = {"y": digest(f"{side}/y_{side}.txt", "<i8"), "subject": digest(f"{side}/subject_{side}.txt", "<i8")}
        for signal in SIGNALS:
            digests[signal] = digest(f"{side}/Inertial Signals/{signal}_{side}.txt", "<f4")
        each = PER_CLASS * len(people)
        sides[side] = Side(windows=6 * each, people=people, counts=(each,) * 6, digests=digests)

    class StandIn(UciHar):
        known: ClassVar[Mapping[str, Side]] = sides
        urls: ClassVar[tuple[str, ...]] = ()

    return StandIn()


@pytest.fixture(scope="session")
def zipped() -> Callable[[Mapping[str, bytes]], bytes]:
    """Members to the bytes of a zip."""

    def pack(members: Mapping[str, bytes]) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return file.getvalue()

    return pack


@pytest.fixture(scope="session")
def uci_zip(uci_members: Members, zipped: Callable[[Mapping[str, bytes]], bytes]) -> bytes:
    return zipped(uci_members)


@pytest.fixture
def data_folder(tmp_path: Path, uci_zip: bytes) -> Path:
    """A folder with the stand-in's archive under the original's name."""
    folder = tmp_path / "archives"
    folder.mkdir()
    (folder / "UCI HAR Dataset.zip").write_bytes(uci_zip)
    return folder


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, bytes], list[str]]]:
    """A server on this machine: its address, what it serves (to be filled in), and the paths asked for.

    A path that begins with ``/short`` is cut off in the middle.
    """
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    content: dict[str, bytes] = {}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = content.get(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if self.path.startswith("/short") else body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", content, asked
        server.shutdown()
        thread.join()

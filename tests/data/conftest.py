"""Stand-ins for the original archives, in their exact formats but with fewer people and windows."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from kdbench.data import hapt, motionsense, wisdm
from kdbench.data.hapt import Hapt
from kdbench.data.motionsense import MotionSense
from kdbench.data.uci_har import SIGNALS, Side, UciHar
from kdbench.data.wisdm import Wisdm

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


HAPT_OWNERS = {1: 1, 2: 2, 3: 1}  # experiment to person; person 2 is on the test side


@pytest.fixture(scope="session")
def hapt_members() -> Members:
    """Member to content. In every experiment every class has one segment, some of them too short for a window."""
    rng = np.random.default_rng(1)
    members: Members = {"README.txt": b"a stand-in\n"}
    labels: list[tuple[int, ...]] = []
    rows: dict[str, list[tuple[int, int]]] = {"Train": [], "Test": []}  # person, label of every window
    for experiment, person in HAPT_OWNERS.items():
        end = 0
        for label in range(1, 13):
            start = end + int(rng.integers(1, 20))
            samples = int(rng.choice([90, 127, 128, 191, 192, 260]))
            end = start + samples - 1
            labels.append((experiment, person, label, start, end))
            windows = len([first for first in range(0, samples, 64) if first + 128 <= samples])
            rows["Test" if person == 2 else "Train"] += [(person, label)] * windows
        for kind in ("acc", "gyro"):
            lines = [" ".join(map(repr, row)) + "\n" for row in rng.normal(size=(end + 5, 3)).tolist()]
            members[f"RawData/{kind}_exp{experiment:02}_user{person:02}.txt"] = "".join(lines).encode()
    members["RawData/labels.txt"] = "".join(" ".join(map(str, row)) + "\n" for row in labels).encode()
    for side, pairs in rows.items():
        members[f"{side}/y_{side.lower()}.txt"] = "".join(f"{label}\n" for _, label in pairs).encode()
        members[f"{side}/subject_id_{side.lower()}.txt"] = "".join(f"{person}\n" for person, _ in pairs).encode()
    return members


@pytest.fixture(scope="session")
def hapt_stand_in(hapt_members: Members) -> type[Hapt]:
    """HAPT's class that expects the stand-in instead of the original."""

    def values(member: str) -> npt.NDArray[np.float64]:
        return np.array([line.split() for line in hapt_members[member].splitlines()], np.float64)

    experiments = []
    for experiment, person in HAPT_OWNERS.items():
        both = [values(f"RawData/{kind}_exp{experiment:02}_user{person:02}.txt") for kind in ("acc", "gyro")]
        experiments.append(hashlib.sha256(np.hstack(both).T.astype("<f4").tobytes()).hexdigest()[:16])
    labels = hashlib.sha256(values("RawData/labels.txt").astype("<i8").tobytes()).hexdigest()

    class StandIn(Hapt):
        known: ClassVar[hapt.Original] = hapt.Original((1, 2), labels, tuple(experiments))
        urls: ClassVar[tuple[str, ...]] = ()

    return StandIn


MOTION_PEOPLE = (1, 2, 18)
MOTION_TRIALS = ("dws_1", "ups_3", "sit_5", "sit_13", "std_6", "wlk_7", "jog_9")


@pytest.fixture(scope="session")
def motion_members() -> Members:
    """Member to content; ``sit_13/sub_1.csv`` is ``sit_5/sub_1.csv``."""
    rng = np.random.default_rng(2)
    members: Members = {}
    for trial in MOTION_TRIALS:
        for person in MOTION_PEOPLE:
            table = np.round(rng.normal(size=(int(rng.choice([128, 191, 192, 260])), 12)), 6).tolist()
            lines = [",".join(map(repr, [number, *row])) + "\n" for number, row in enumerate(table)]
            content = ",".join(motionsense.COLUMNS) + "\n" + "".join(lines)
            members[f"A_DeviceMotion_data/{trial}/sub_{person}.csv"] = content.encode()
    members["A_DeviceMotion_data/sit_13/sub_1.csv"] = members["A_DeviceMotion_data/sit_5/sub_1.csv"]
    return members


@pytest.fixture(scope="session")
def motion_stand_in(motion_members: Members) -> MotionSense:
    """MotionSense's class that expects the stand-in instead of the original."""
    trials = {}
    for trial in MOTION_TRIALS:
        rows, digest = 0, hashlib.sha256()
        for person in MOTION_PEOPLE:
            lines = motion_members[f"A_DeviceMotion_data/{trial}/sub_{person}.csv"].splitlines()[1:]
            table = np.array([line.split(b",") for line in lines], np.float64)
            rows += len(table)
            signals = np.hstack([table[:, 10:] + table[:, 4:7], table[:, 7:10]])
            digest.update(signals.T.astype("<f4").tobytes())
        trials[trial] = motionsense.Trial(rows, digest.hexdigest())

    class StandIn(MotionSense):
        known: ClassVar[motionsense.Original] = motionsense.Original(MOTION_PEOPLE, trials)
        urls: ClassVar[tuple[str, ...]] = ()

    return StandIn()


@dataclass(frozen=True)
class RawText:
    """Text in the format of WISDM's raw file, the good records in it and how often each kind of flaw is in it."""

    content: bytes
    records: list[tuple[int, str, float, float, float]]
    counts: dict[str, int]


@pytest.fixture(scope="session")
def wisdm_text() -> RawText:
    """Three people, each with a run of every activity, with every kind of malformed line strewn in."""
    rng = np.random.default_rng(3)
    kinds = ("records", "run together", "stray comma", "missing value", "too many fields", "garbled")
    counts = dict.fromkeys((*kinds, "empty line", "CRLF line"), 0)
    records, text, clock = [], "\ufeff", 49105962326000
    for person in (1, 2, 27):
        for activity in ("Walking", "Jogging", "Upstairs", "Downstairs", "Sitting", "Standing"):
            for _ in range(int(rng.integers(80, 200))):
                clock += 50_000_000
                x, y, z = np.round(rng.normal(0, 5, 3), 8).tolist()
                record = f"{person},{activity},{clock},{x!r},{y!r},{z!r}"
                records.append((person, activity, x, y, z))
                counts["records"] += 1
                flaw = rng.choice([*counts, "none"], p=[0, *[0.02] * 7, 0.86])
                if flaw != "none":
                    counts[flaw] += 1
                end = "\r\n" if flaw == "CRLF line" else "\n"
                joint = rng.choice([";", ",", ""])
                text += {
                    "run together": f"{record}{joint}{person},{activity},{clock + 1},{z!r},{y!r},{x!r};",
                    "stray comma": str(rng.choice([f"{record},;", f"{record},,;", f",{record};"])),
                    "missing value": f"{record};\n{person},{activity},{clock},{x!r},{y!r},;",
                    "too many fields": f"{record};\n{record},{x!r};",
                    "garbled": f"{record};\n{person},{activity},{clock},{x!r},{y!r},0.1.2;",
                    "empty line": f"{record};\n",
                }.get(flaw, f"{record};") + end
                if flaw == "run together":
                    records.append((person, activity, z, y, x))
                    counts["records"] += 1
    return RawText(text.encode(), records, counts)


@pytest.fixture(scope="session")
def wisdm_stand_in(wisdm_text: RawText) -> type[Wisdm]:
    """WISDM's class that expects the stand-in instead of the original."""
    found = {name: sum(record[1].lower() == name for record in wisdm_text.records) for name in wisdm.CLASSES}

    class StandIn(Wisdm):
        known: ClassVar[wisdm.Original] = wisdm.Original((1, 2, 27), found, ())
        urls: ClassVar[tuple[str, ...]] = ()

    return StandIn


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

    A path that begins with ``/short`` is cut off in the middle, ``/flaky`` only in its first answer. ``/flaky`` knows
    ranges, which are noted as ``/flaky.zip from 100``, ``/flaky-whole`` does not, and ``/flaky-untold`` has no tags.
    """
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    content: dict[str, bytes] = {}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
            cut = self.path.startswith("/short") or (self.path.startswith("/flaky") and self.path not in asked)
            asked.append(f"{self.path} from {first}" if first else self.path)
            body = content.get(self.path)
            if body is None:
                self.send_error(404)
                return
            tag = f'"{zlib.crc32(body)}"'
            same = self.headers.get("If-Range") == tag
            ranges = first > 0 and same and not self.path.startswith("/flaky-whole")
            if ranges and first >= len(body):
                self.send_error(416)
                return
            body = body[first:] if ranges else body
            self.send_response(206 if ranges else 200)
            self.send_header("Content-Length", str(len(body)))
            if not self.path.startswith("/flaky-untold"):
                self.send_header("ETag", tag)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", content, asked
        server.shutdown()
        thread.join()

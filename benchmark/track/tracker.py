"""Records mirrored into MLflow by one writer, the parent process. The only file that imports mlflow.

Workers know nothing of it, and nothing is read back: the database is an index that `rebuild` makes again from records.
"""

from __future__ import annotations

import csv
import io
import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from kdbench.errors import KdbenchError, MachineError
from kdbench.results.record import Record
from kdbench.store.records import Store
from kdbench.text import first_line

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "1")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # else it tells of every table that it makes
logging.getLogger("alembic").setLevel(logging.WARNING)

try:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError
except ImportError:
    raise KdbenchError("mlflow is not installed (pip install mlflow); runs work without it, with --no-track") from None

EXPERIMENT = "kdbench"
BATCH = 1000  # metrics that one call may log


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Be the only process that writes a store's database.

    Raises:
        MachineError: if it cannot be written.
    """
    try:
        with FileLock(root / ".mlflow.lock"):
            yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        advice = "the results themselves are kept, `kdbench track rebuild` writes it again from them"
        raise MachineError(f"MLflow's database in {root} cannot be written: {first_line(error)}; {advice}") from error


class Tracker:
    """Writes one matrix's records: a parent run for the matrix, a child for each cell.

    Args:
        store: whose ``mlflow.db`` and ``mlartifacts`` are written.
        identity: of the matrix in the store; names the parent run.
    """

    def __init__(self, store: Store, identity: str) -> None:
        self.store = store
        self.client = MlflowClient(tracking_uri=_database(store.root))
        self.experiment = _experiment(self.client, store.root)
        self.parent = self._parent(identity)
        self.identity = identity

    def add(self, records: Sequence[Record], rows: Mapping[str, str]) -> None:
        """Write cells' records, each once; a newer one takes the place of an older one.

        Other processes may write too, each while it holds the lock, so what is there is asked for each time.

        Args:
            records: to be written.
            rows: what each is called, by digest.
        """
        written = f"tags.`mlflow.parentRunId` = '{self.parent}'"
        if len(records) == 1:
            written += f" and tags.`kdbench.cell` = '{records[0].digest}'"
        there = {(record.digest, record.finished) for record in records}
        meant = {record.digest for record in records}
        for run in self._search(written):
            known = run.data.tags["kdbench.cell"], run.data.tags.get("kdbench.finished")
            if known in there and run.info.status != "RUNNING":
                there.remove(known)
            elif run.info.status == "RUNNING" or known[0] in meant:
                self.client.delete_run(run.info.run_id)  # its writer was killed, or its cell ran again since
        for record in records:
            if (record.digest, record.finished) in there:
                self._write(record, rows[record.digest])

    def _write(self, record: Record, row: str) -> None:
        cell = record.cell
        tags = {
            "mlflow.parentRunId": self.parent,
            "kdbench.matrix": self.identity,
            "kdbench.level": "cell",
            "kdbench.cell": record.digest,
            "kdbench.finished": record.finished,
            "kdbench.status": record.status,
            "method": row,
            "dataset": cell["dataset"]["name"],
            **({"reason": record.reason} if record.reason else {}),
        }
        started = int(1000 * (datetime.fromisoformat(record.finished).timestamp() - record.seconds))
        fold = f" fold {cell['fold']}" if cell["fold"] else ""
        name = f"{row} {cell['dataset']['name']} seed {cell['seed']}{fold}"
        run = self.client.create_run(self.experiment, start_time=started, tags=tags, run_name=name).info.run_id
        metrics = _metrics(record, self.store.curve(record.digest), started)
        params = [Param(key, str(value)[:6000]) for key, value in _flat(cell).items()]
        self.client.log_batch(run, params=params[:100], metrics=metrics[:800])
        for at in range(800, len(metrics), BATCH):
            self.client.log_batch(run, metrics=metrics[at : at + BATCH])
        status = "FINISHED" if record.status == "done" else "FAILED"
        self.client.set_terminated(run, status, end_time=started + int(1000 * record.seconds))

    def finish(self, report: Mapping[str, str], *, complete: bool) -> None:
        """Attach the table to the parent run and end it.

        Args:
            report: texts by file name.
            complete: whether every cell has its record.
        """
        with tempfile.TemporaryDirectory() as folder:
            for name, text in report.items():
                path = Path(folder, name)
                path.write_text(text, encoding="utf-8")
                self.client.log_artifact(self.parent, str(path), "table")
        self.client.log_batch(self.parent, tags=[RunTag("kdbench.complete", str(complete).lower())])
        self.client.set_terminated(self.parent, "FINISHED" if complete else "FAILED")

    def _parent(self, identity: str) -> str:
        """The matrix's run, made if there is none."""
        found = self._search(f"tags.`kdbench.matrix` = '{identity}' and tags.`kdbench.level` = 'matrix'")
        tags = {"kdbench.matrix": identity, "kdbench.level": "matrix"}
        run = found[0] if found else self.client.create_run(self.experiment, run_name=identity, tags=tags)
        return str(run.info.run_id)

    def _search(self, condition: str) -> list[Any]:
        runs: list[Any] = []
        token: str | None = None
        while True:
            page = self.client.search_runs([self.experiment], condition, max_results=1000, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs


def forget(root: Path) -> None:
    """Remove the database and the artifacts of a store, to be written again."""
    with writing(root):
        for name in ("mlflow.db", "mlflow.db-wal", "mlflow.db-shm"):
            (root / name).unlink(missing_ok=True)
        shutil.rmtree(root / "mlartifacts", ignore_errors=True)


def ui_command(root: Path, port: int) -> tuple[list[str], dict[str, str], str]:
    """The command that serves a store's runs on the loopback interface, its environment, and the page to open.

    Raises:
        KdbenchError: if nothing was tracked in the store.
    """
    if not (root / "mlflow.db").exists():
        raise KdbenchError(f"nothing is tracked in {root} yet: run something first, or `kdbench track rebuild`")
    client = MlflowClient(tracking_uri=_database(root))
    experiment = _experiment(client, root)
    command = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", _database(root), "--default-artifact-root", _artifacts(root)]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    # The plain link opens an empty page of traces; this one opens the table of runs.
    page = f"http://127.0.0.1:{port}/#/experiments/{experiment}?workflowType=machine_learning"
    return command, quiet, page


def _database(root: Path) -> str:
    return f"sqlite:///{(root / 'mlflow.db').resolve()}"


def _artifacts(root: Path) -> str:
    return (root / "mlartifacts").resolve().as_uri()


def _experiment(client: MlflowClient, root: Path) -> str:
    """The experiment's number; the database is made, once, where there is none."""
    fresh = not (root / "mlflow.db").exists()
    found = client.get_experiment_by_name(EXPERIMENT)
    if fresh:
        with sqlite3.connect(root / "mlflow.db") as database:
            database.execute("PRAGMA journal_mode=WAL")  # readers and the one writer do not wait for each other
        database.close()
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(EXPERIMENT, artifact_location=_artifacts(root)))


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted parameters."""
    if not isinstance(value, Mapping):
        return {prefix.removesuffix("."): value}
    return {k: v for key, inner in value.items() for k, v in _flat(inner, f"{prefix}{key}.").items()}


def _metrics(record: Record, curve: str, started: int) -> list[Metric]:
    """Last metrics under their names, then losses and facts of every epoch."""
    metrics = []
    end = started + int(1000 * record.seconds)
    for side, values in record.metrics.items():
        prefix = "" if side == "student" else f"{side}_"
        for key, value in values.items():
            if isinstance(value, int | float):
                metrics.append(Metric(prefix + key, float(value), end, 0))
    rows = list(csv.DictReader(io.StringIO(curve)))
    for row in rows:
        epoch = int(float(row.pop("epoch")))
        when = started + int(1000 * record.seconds * epoch / len(rows))
        metrics += [Metric(key, float(value), when, epoch) for key, value in row.items() if value]
    return metrics

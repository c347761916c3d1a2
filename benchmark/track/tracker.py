"""Records mirrored into MLflow by one writer, the parent process. The only file that imports mlflow.

Workers know nothing of it, and nothing is read back: the database is an index that `rebuild` makes again from records.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from kdbench.errors import KdbenchError, MachineError, absent
from kdbench.files import write_whole
from kdbench.results.record import Record
from kdbench.store.records import Store
from kdbench.text import first_line
from kdbench.track import database
from kdbench.track.database import EXPERIMENT, Living, address, artifacts
from kdbench.track.names import allowed, text

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "1")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # else it tells of every table that it makes
logging.getLogger("alembic").setLevel(logging.WARNING)

try:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag
except Exception as error:  # its own code runs on import, which may fail for any reason, as where memory is short
    without = "; runs work without it, with --no-track"
    if absent(error, "mlflow"):
        raise KdbenchError(f"mlflow is not installed (pip install mlflow){without}") from None
    reason = f"{type(error).__name__}: {first_line(error)}"
    raise MachineError(f"mlflow is installed and cannot be loaded: {reason}{without}") from error

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
    except KdbenchError:
        raise
    except Exception as error:  # mlflow's, SQLAlchemy's, SQLite's, or what one of them does not foresee
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
        self._living = Living(store.root, identity)
        self.client = _opened(store.root)
        self.experiment = _experiment(self.client, store.root)
        end_the_dead(store.root)
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
        started = int(1000 * (datetime.fromisoformat(record.finished).timestamp() - record.seconds))
        metrics, names = _metrics(record, self.store.curve(record.digest), started)
        params = _flat(cell)
        keys = allowed(params)
        names |= {plain: own for own, plain in keys.items() if plain != own}
        tags = {
            "mlflow.parentRunId": self.parent,
            "kdbench.matrix": self.identity,
            "kdbench.level": "cell",
            "kdbench.cell": record.digest,
            "kdbench.finished": record.finished,
            "kdbench.status": record.status,
            "method": text(row),
            "dataset": text(cell["dataset"]["name"]),
            **({"reason": text(record.reason)} if record.reason else {}),
            **({"kdbench.names": text(json.dumps(names))} if names else {}),  # MLflow's name: that of the record
        }
        fold = f" fold {cell['fold']}" if cell["fold"] else ""
        name = text(f"{row} {cell['dataset']['name']} seed {cell['seed']}{fold}", 240)
        run = self.client.create_run(self.experiment, start_time=started, tags=tags, run_name=name).info.run_id
        logged = [Param(keys[key], text(value)) for key, value in params.items()]
        self.client.log_batch(run, params=logged[:100], metrics=metrics[:800])
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
        folder = self.store.root / "mlartifacts" / self.parent / "artifacts" / "table"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in report.items():
            write_whole(folder / name, content)
        self.client.log_batch(self.parent, tags=[RunTag("kdbench.complete", str(complete).lower())])
        self.end("FINISHED" if complete else "FAILED")

    def end(self, status: str) -> None:
        """End the parent run, as FINISHED, FAILED or, where someone stopped it, KILLED."""
        self.client.set_terminated(self.parent, status)
        self._living.end()

    def _parent(self, identity: str) -> str:
        """The matrix's run, made if there is none."""
        found = self._search(f"tags.`kdbench.matrix` = '{identity}' and tags.`kdbench.level` = 'matrix'")
        tags = {"kdbench.matrix": identity, "kdbench.level": "matrix"}
        if not found:
            return str(self.client.create_run(self.experiment, run_name=identity, tags=tags).info.run_id)
        self.client.update_run(found[0].info.run_id, status="RUNNING")
        return str(found[0].info.run_id)

    def _search(self, condition: str) -> list[Any]:
        return _search(self.client, self.experiment, condition)


def mend(root: Path) -> bool:
    """Remove a database that was left before it was whole, as on a disk that filled; whether there was one."""
    broken = database.half_made(root)
    if broken:
        _remove(root)
    return broken


def end_the_dead(root: Path) -> None:
    """End the runs of matrices whose process was killed, and drop what it had begun to write of a cell."""
    client = _opened(root)
    for run in _search(client, _experiment(client, root), "attributes.status = 'RUNNING'"):
        if run.data.tags.get("kdbench.level") == "cell":  # whoever writes holds the lock, and that is we
            client.delete_run(run.info.run_id)
        elif not database.lives(root, run.data.tags.get("kdbench.matrix", "")):
            client.set_terminated(run.info.run_id, "KILLED")


def _search(client: MlflowClient, experiment: str, condition: str) -> list[Any]:
    runs: list[Any] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment], condition, max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def forget(root: Path) -> None:
    """Remove the database and the artifacts of a store, to be written again."""
    with writing(root):
        _remove(root)
        shutil.rmtree(root / "mlartifacts", ignore_errors=True)


def _remove(root: Path) -> None:
    """Remove the database; what this process has open of it would else be written to in its place."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    opened = SqlAlchemyStore._engine_map.get(address(root))
    if opened is not None:
        opened.dispose()
    database.remove(root)


def ui_command(root: Path, port: int) -> tuple[list[str], dict[str, str], str]:
    """The command that serves a store's runs on the loopback interface, its environment, and the page to open.

    Raises:
        KdbenchError: if nothing was tracked in the store.
    """
    if not (root / "mlflow.db").exists():
        raise KdbenchError(f"nothing is tracked in {root} yet: run something first, or `kdbench track rebuild`")
    with writing(root):
        client = _opened(root)
        experiment = _experiment(client, root)
        end_the_dead(root)
    command = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", address(root), "--default-artifact-root", artifacts(root)]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    # The plain link opens an empty page of traces; this one opens the table of runs.
    page = f"http://127.0.0.1:{port}/#/experiments/{experiment}?workflowType=machine_learning"
    return command, quiet, page


def _opened(root: Path) -> MlflowClient:
    """A client of the database, which is made, once, where there is none."""
    if (root / database.NAME).exists():
        database.settle(root)
    else:
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        with database.begun(root) as place:
            made = SqlAlchemyStore(place, artifacts(root))  # type: ignore[no-untyped-call]
            made.create_experiment(EXPERIMENT, artifact_location=artifacts(root))  # type: ignore[no-untyped-call]
            made.engine.dispose()
    return MlflowClient(tracking_uri=address(root))


def _experiment(client: MlflowClient, root: Path) -> str:
    """The experiment's number; it is made in a database of somebody else's."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(EXPERIMENT, artifact_location=artifacts(root)))


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted parameters."""
    if not isinstance(value, Mapping):
        return {prefix.removesuffix("."): value}
    return {k: v for key, inner in value.items() for k, v in _flat(inner, f"{prefix}{key}.").items()}


def _metrics(record: Record, curve: str, started: int) -> tuple[list[Metric], dict[str, str]]:
    """Last metrics under their names, then losses and facts of every epoch; and the names that MLflow has otherwise."""
    end = started + int(1000 * record.seconds)
    values: list[tuple[str, object, int, int]] = []  # name, value, when, epoch
    for side, scores in record.metrics.items():
        prefix = "" if side == "student" else f"{side}_"
        values += [(prefix + key, value, end, 0) for key, value in scores.items() if isinstance(value, int | float)]
    rows = list(csv.DictReader(io.StringIO(curve)))
    for row in rows:
        epoch = int(float(row.pop("epoch")))
        when = started + int(1000 * record.seconds * epoch / len(rows))
        values += [(key, value, when, epoch) for key, value in row.items() if value]
    names = allowed(name for name, *_ in values)
    metrics = [
        Metric(names[name], number, when, epoch)
        for name, value, when, epoch in values
        if (number := _number(value)) is not None
    ]
    return metrics, {plain: name for name, plain in names.items() if plain != name}


def _number(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None

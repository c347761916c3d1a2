"""Runs written into MLflow. The only file that imports mlflow.

Nothing is read back but what is there already: what MLflow has is an index that `rebuild` makes again from records.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from kdbench.errors import KdbenchError, MachineError, absent
from kdbench.text import first_line
from kdbench.track import blank, database
from kdbench.track.content import Input, Known, Model, Point, Run, fill, metric_names, model_link, parameters
from kdbench.track.names import FEW, allowed, text
from kdbench.track.target import Target

for name, value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "1",
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # else it tells of every table that it makes
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # what a server does not take is written later
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}.items():
    os.environ.setdefault(name, value)
logging.getLogger("alembic").setLevel(logging.WARNING)

try:
    from mlflow import MlflowClient
    from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param, RunTag
except Exception as error:  # its own code runs on import, which may fail for any reason, as where memory is short
    without = "; runs work without it, with --no-track"
    if absent(error, "mlflow"):
        raise KdbenchError(f"mlflow is not installed (pip install mlflow){without}") from None
    reason = f"{type(error).__name__}: {first_line(error)}"
    raise MachineError(f"mlflow is installed and cannot be loaded: {reason}{without}") from error

WAIT = 0.02
"""Seconds that the lock is left alone between two runs."""
BATCH = 800  # metrics that go with one call; the server takes 1000 things at most, parameters and tags among them

KEY, STAMP, LEVEL = "kdbench.key", "kdbench.stamp", "kdbench.level"
PARENT, NOTE = "mlflow.parentRunId", "mlflow.note.content"


@contextmanager
def writing(target: Target) -> Iterator[None]:
    """Be the only process of this machine that writes a store's runs.

    Raises:
        MachineError: if they cannot be written.
    """
    try:
        with FileLock(target.lock, poll_interval=WAIT / 2):
            yield
        time.sleep(WAIT)  # whoever waits looks now and then only, and would look in vain where much is written
    except KdbenchError:
        raise
    except Exception as error:  # mlflow's, SQLAlchemy's, SQLite's, or what one of them does not foresee
        kept, said = "the results themselves are kept", _said(error)
        if target.server is None:
            where = f"MLflow's database in {target.root} cannot be written"
            raise MachineError(f"{where}: {said}; {kept}, `kdbench track rebuild` writes it again from them") from error
        again = "the next run writes what is missing, and so does `kdbench track sync`"
        raise MachineError(f"the tracking server {target.server} cannot be used: {said}; {kept}, {again}") from error


class Tracker:
    """Writes runs to a target. To be used while `writing`.

    Args:
        target: a store's own database, which is made where there is none, or a server.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        if target.server is None:
            _make(target.root)
        self.client = MlflowClient(tracking_uri=target.uri)
        self._store = target.store

    def experiment(self, name: str, tags: Mapping[str, str]) -> str:
        """The number of the experiment of that name, made if there is none."""
        if self._store:
            name = f"{name} ({self._store})"
        found = self.client.get_experiment_by_name(name)
        if found is None:
            place = database.artifacts(self.target.root) if self.target.server is None else None
            kind = {"mlflow.experimentKind": "custom_model_development"}  # else its page looks for traces
            return str(self.client.create_experiment(name, artifact_location=place, tags={**kind, **tags}))
        if found.lifecycle_stage != "active":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def describe(self, experiment: str, note: str) -> None:
        """Give an experiment its description."""
        self.client.set_experiment_tag(experiment, NOTE, text(note))

    def parent(self, experiment: str, run: Run, given: Input | None) -> str:
        """The number of a parent run, which is running now; made if there is none."""
        for found in self.known(experiment, None, run.key):
            self.client.update_run(found.run, status="RUNNING")
            return found.run
        tags = {KEY: run.key, LEVEL: "parent", **{key: text(value) for key, value in run.tags.items()}}
        begun = self.client.create_run(experiment, start_time=run.started, tags=tags, run_name=text(run.name, 240))
        made = str(begun.info.run_id)
        self.client.log_batch(made, params=[Param(*each) for each in parameters(run).items()])
        if given is not None:
            known = Dataset(text(given.name, 500), given.digest, "kdbench", given.source, given.schema, given.profile)
            tag = InputTag("mlflow.data.context", "training and test")
            self.client.log_inputs(made, datasets=[DatasetInput(known, [tag])])
        return made

    def known(self, experiment: str, parent: str | None, key: str | None = None) -> list[Known]:
        """The children of a parent that are there, all or those of one key; without a parent, the parents."""
        asked = f"tags.`{PARENT}` = '{parent}'" if parent else f"tags.`{LEVEL}` = 'parent'"
        asked += f" and tags.`{KEY}` = '{key}'" if key else ""
        return [
            Known(run.info.run_id, tags.get(KEY, ""), tags.get(STAMP, ""), run.info.status != "RUNNING")
            for run in self._search(experiment, asked)
            for tags in [run.data.tags]
        ]

    def write(self, experiment: str, parent: str, run: Run) -> None:
        """Write a child; until it is whole it is running, and whoever writes next takes it away."""
        shown, names = metric_names(run.points)
        keys = allowed(run.params)
        names |= {plain: own for own, plain in keys.items() if plain != own}
        tags = {
            PARENT: parent,
            KEY: run.key,
            STAMP: run.stamp,
            LEVEL: "child",
            **{key: text(value) for key, value in run.tags.items()},
            **({"kdbench.names": text(json.dumps(names))} if names else {}),  # MLflow's name: that of the record
        }
        made = self.client.create_run(experiment, start_time=run.started, tags=tags, run_name=text(run.name, 240))
        number = str(made.info.run_id)
        model = None if run.model is None else self._begin_model(experiment, number, run.model)
        params = [Param(keys[key], text(value)) for key, value in run.params.items()][:FEW]
        noted = [] if model is None else [RunTag(NOTE, model_link(experiment, model, run.model))]
        last = [_metric(shown[point.name], point, model) for point in run.points if point.last]
        self.client.log_batch(number, metrics=last[:BATCH], params=params, tags=noted)
        self._log_epochs(number, shown, [point for point in run.points if not point.last])
        self._keep(number, run.files)
        if run.model is not None and model is not None:
            self._end_model(number, run.model, model)
        self.client.set_terminated(number, run.status, end_time=run.ended)

    def end(self, parent: str, status: str, run: Run | None = None) -> None:
        """End a parent run, with what is to be said of it if it came to its end."""
        if run is not None:
            shown, _ = metric_names(run.points)
            metrics = [_metric(shown[point.name], point, None) for point in run.points]
            tags = [RunTag(key, text(value)) for key, value in run.tags.items()]
            parent = self._renewed(parent, {each.key: str(float(each.value)) for each in metrics}, parameters(run))
            self.client.log_batch(parent, metrics=metrics[:BATCH], tags=tags)
            self._keep(parent, run.files)
        self.client.set_terminated(parent, status, end_time=None if run is None else run.ended or None)

    def _renewed(self, parent: str, values: Mapping[str, str], params: Mapping[str, str]) -> str:
        """The number of a parent run that has nothing else yet; another one where it was ended with other values.

        MLflow changes no parameter and forgets no value of a metric, so what was ended before, as with a cell that
        failed or with fewer trials, is made anew and gets the children. Without ``params`` it keeps those that it has.
        """
        known = self.client.get_run(parent)
        asked, told = known.data.params, {key: str(float(value)) for key, value in known.data.metrics.items()}
        if told in ({}, values) and params in ({}, asked):
            return parent
        experiment, begun = known.info.experiment_id, known.info.start_time
        made = self.client.create_run(experiment, start_time=begun, tags=known.data.tags).info.run_id
        self.client.log_batch(made, params=[Param(*each) for each in (params or asked).items()])
        if known.inputs and known.inputs.dataset_inputs:
            self.client.log_inputs(made, datasets=known.inputs.dataset_inputs)
        for child in self.known(experiment, parent):
            self.client.set_tag(child.run, PARENT, made)
        self.drop(experiment, parent)
        return str(made)

    def drop(self, experiment: str, run: str) -> None:
        """Take a run away, and the model that belongs to it."""
        models = [each.model_id for each in self.client.search_logged_models([experiment], f"source_run_id = '{run}'")]
        for model in models:
            self.client.delete_logged_model(model)
        self.client.delete_run(run)
        if self.target.server is None:
            for folder in (Path(run), *(Path("models") / model for model in models)):
                shutil.rmtree(self.target.root / "mlartifacts" / folder, ignore_errors=True)

    def end_the_dead(self) -> None:
        """End the runs of matrices whose process was killed, and drop what it had begun to write of a cell."""
        for experiment in self._experiments():
            matrix = experiment.tags[database.MATRIX]
            for run in self._search(experiment.experiment_id, "attributes.status = 'RUNNING'"):
                if run.data.tags.get(LEVEL) == "child":  # whoever writes holds the lock, and that is we
                    self.drop(experiment.experiment_id, run.info.run_id)
                elif not database.lives(self.target.root, matrix):
                    self.client.set_terminated(run.info.run_id, "KILLED")

    def forget(self) -> None:
        """Take away all that this store wrote to a server."""
        for experiment in self._experiments():
            for run in self._search(experiment.experiment_id, ""):
                self.drop(experiment.experiment_id, run.info.run_id)

    def latest(self) -> str:
        """The number of the experiment that was made last, of matrices before trials; empty where there is none."""

        def order(each: Any) -> tuple[bool, int]:
            return each.tags[database.MATRIX] != database.TRIALS, int(each.experiment_id)

        found = sorted(self._experiments(), key=order)
        return str(found[-1].experiment_id) if found else ""

    def _experiments(self) -> list[Any]:
        """Those of this store."""
        found: list[Any] = []
        token: str | None = None
        while True:
            page = self.client.search_experiments(max_results=1000, page_token=token)
            found += page
            token = page.token
            if not token:
                break
        ending = f" ({self._store})" if self._store else ""
        return [each for each in found if database.MATRIX in each.tags and each.name.endswith(ending)]

    def _search(self, experiment: str, condition: str) -> list[Any]:
        runs: list[Any] = []
        token: str | None = None
        while True:
            page = self.client.search_runs([experiment], condition, max_results=1000, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

    def _log_epochs(self, run: str, shown: Mapping[str, str], points: Sequence[Point]) -> None:
        rows = [(shown[point.name], point.value, point.when, point.step) for point in points]
        if self.target.server is None and database.add_epochs(self.target.root, run, rows):
            return
        for at in range(0, len(rows), BATCH):
            self.client.log_batch(run, metrics=[Metric(*row) for row in rows[at : at + BATCH]])

    def _begin_model(self, experiment: str, run: str, model: Model) -> str:
        made = self.client._create_logged_model(
            experiment, name=model.name, source_run_id=run, model_type="classifier", flavor="pyfunc"
        )
        return str(made.model_id)

    def _end_model(self, run: str, model: Model, number: str) -> None:
        described = {**json.loads(model.files["MLmodel"]), "model_id": number, "run_id": run}
        files = {**model.files, "MLmodel": json.dumps(described, indent=1)}
        if self.target.server is None:
            folder = self.target.root / "mlartifacts" / "models" / number / "artifacts"
            fill(folder, files, model.weights)
        else:
            with tempfile.TemporaryDirectory(prefix="kdbench-") as name:
                fill(Path(name), files, model.weights)
                self.client.log_model_artifacts(number, name)
        self.client.finalize_logged_model(number, "READY")
        self.client.log_outputs(run, [LoggedModelOutput(number, 0)])

    def _keep(self, run: str, files: Mapping[str, str]) -> None:
        """Keep artifacts of a run."""
        if self.target.server is None:
            fill(self.target.root / "mlartifacts" / run / "artifacts", files)
        elif files:
            with tempfile.TemporaryDirectory(prefix="kdbench-") as name:
                fill(Path(name), files)
                self.client.log_artifacts(run, name)


def mend(root: Path) -> bool:
    """Remove a database that was left before it was whole, as on a disk that filled; whether there was one."""
    broken = database.half_made(root)
    if broken:
        _remove(root)
    return broken


def forget(target: Target) -> None:
    """Take away what is tracked of a store, to be written again."""
    with writing(target):
        if target.server is not None:
            Tracker(target).forget()
            return
        _remove(target.root)
        shutil.rmtree(target.root / "mlartifacts", ignore_errors=True)


def _make(root: Path) -> None:
    """Make the database, once, where there is none."""
    if (root / database.NAME).exists():
        database.settle(root)
        return
    with database.begun(root) as place:
        path, folder = root / database.BEGUN, database.artifacts(root)
        if blank.put(path, folder):
            return
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        made = SqlAlchemyStore(place, folder)  # type: ignore[no-untyped-call]
        made.engine.dispose()
        client = MlflowClient(tracking_uri=place)
        client.set_experiment_tag("0", database.WHOLE, "true")
        client.delete_experiment("0")  # "Default", which nobody uses
        _close(place)
        blank.keep(path)


def _remove(root: Path) -> None:
    """Remove the database; what this process has open of it would else be written to in its place."""
    _close(database.address(root))
    database.remove(root)


def _close(place: str) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    opened = SqlAlchemyStore._engine_map.get(place)
    if opened is not None:
        opened.dispose()


def _said(error: Exception) -> str:
    """What went wrong; of what the network did in a few words, where the libraries take hundreds."""
    text = str(error)
    if "timed out" in text:
        return "it takes too long"
    if "Max retries exceeded" in text:
        return "it does not answer"
    return first_line(error)


def _metric(name: str, point: Point, model: str | None) -> Metric:
    return Metric(name, point.value, point.when, point.step, model_id=model if point.model else None)

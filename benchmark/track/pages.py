"""The server of MLflow's pages for a store."""

from __future__ import annotations

from pathlib import Path

from kdbench.errors import KdbenchError
from kdbench.track import database
from kdbench.track.target import Target
from kdbench.track.tracker import Tracker, writing


def ui_command(root: Path, port: int) -> tuple[list[str], dict[str, str], str]:
    """The command that serves a store's runs on the loopback interface, its environment, and the page to open.

    Raises:
        KdbenchError: if nothing was tracked in the store.
    """
    if not (root / database.NAME).exists():
        raise KdbenchError(f"nothing is tracked in {root} yet: run something first, or `kdbench track rebuild`")
    target = Target(root)
    with writing(target):
        tracker = Tracker(target)
        tracker.end_the_dead()
        experiment = tracker.latest()
    command = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", database.address(root), "--default-artifact-root", database.artifacts(root)]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    page = f"http://127.0.0.1:{port}/#/experiments"
    # A link that does not say so opens an empty page of traces, whatever the experiment's kind.
    return command, quiet, f"{page}/{experiment}/runs?workflowType=machine_learning" if experiment else page

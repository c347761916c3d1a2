"""Commands around MLflow: its pages, and its database written again."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import click

from kdbench.cli._main import main
from kdbench.cli._options import in_mlflow, in_store, runtime
from kdbench.cli._output import echo


@main.command()
@in_store
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
def ui(store: Path, port: int) -> None:
    """Open the tracked runs in MLflow's pages, on this machine only. Stop it with Ctrl-C."""
    from kdbench.errors import MachineError

    taken = MachineError(f"port {port} of this machine is taken; another is chosen with --port")
    if not free(port):
        raise taken
    from kdbench.track.pages import ui_command

    command, environment, page = ui_command(store, port)
    echo(f"open {page}\n(starting takes some seconds; Ctrl-C stops it)")
    code = serve([sys.executable, *command], {**os.environ, **environment})
    if code is None:
        sys.exit(0)
    if not free(port):  # by another server, while this one was starting
        raise taken
    raise MachineError(f"MLflow's server ended by itself, with exit code {code}")


@main.group()
def track() -> None:
    """Manage the MLflow index of the results."""


@track.command(name="rebuild")
@in_store
@in_mlflow
def track_rebuild(store: Path, tracking_uri: str | None) -> None:
    """Write all that is tracked of a store again from its records."""
    from kdbench.text import counted
    from kdbench.track.mirror import rebuild

    count = rebuild(runtime(store=store), tracking_uri)
    echo(f"wrote {counted(count, 'run')} to {tracking_uri or store / 'mlflow.db'}")


@track.command(name="sync")
@in_store
@in_mlflow
def track_sync(store: Path, tracking_uri: str | None) -> None:
    """Write what is not tracked yet of a store, as where a tracking server was down."""
    from kdbench.text import counted
    from kdbench.track.mirror import sync

    count = sync(runtime(store=store), tracking_uri)
    echo(f"{counted(count, 'run')} in {tracking_uri or store / 'mlflow.db'}")


def free(port: int) -> bool:
    """Whether a server may listen there."""
    import socket

    with socket.socket() as asked:
        if os.name == "posix":  # what is left of a server that has just ended does not count; elsewhere it means more
            asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asked.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def serve(command: list[str], environment: dict[str, str]) -> int | None:
    """Run a server until it ends by itself, and give its exit code.

    None where this process is stopped: then the server ends, with all processes that it started.
    """
    import signal
    import subprocess

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        return server.wait()
    except KeyboardInterrupt:
        echo("stopped")
        return None
    finally:
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
        else:  # Windows
            server.terminate()
        server.wait()

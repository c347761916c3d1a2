"""Commands around MLflow: its pages, and its database written again."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import click

from kdbench.cli._main import main
from kdbench.cli._options import in_store, runtime


@main.command()
@in_store
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
def ui(store: Path, port: int) -> None:
    """Open the tracked runs in MLflow's pages, on this machine only. Stop it with Ctrl-C."""
    from kdbench.track.tracker import ui_command

    command, environment, page = ui_command(store, port)
    click.echo(f"open {page}\n(starting takes some seconds; Ctrl-C stops it)")
    sys.exit(serve([sys.executable, *command], {**os.environ, **environment}))


@main.group()
def track() -> None:
    """Manage the MLflow index of the results."""


@track.command(name="rebuild")
@in_store
def track_rebuild(store: Path) -> None:
    """Write the MLflow database again from the records."""
    from kdbench.track.mirror import rebuild

    count = rebuild(runtime(store=store))
    click.echo(f"wrote {count} runs to {store / 'mlflow.db'}")


def serve(command: list[str], environment: dict[str, str]) -> int:
    """Run a server until it ends, or until this process is stopped: then it ends with all processes that it started."""
    import signal
    import subprocess

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        return server.wait()
    except KeyboardInterrupt:
        click.echo("stopped")
        return 0
    finally:
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
        else:  # Windows
            server.terminate()
        server.wait()

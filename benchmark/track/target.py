"""Where runs are tracked: in the store's own database, or on a tracking server. Needs no mlflow."""

from __future__ import annotations

import json
import re
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock

from kdbench.errors import KdbenchError
from kdbench.files import write_whole
from kdbench.track.database import address

SERVERS = ".mlflow-servers.json"

GRACE = 5.0
"""Seconds for which the end of a run waits for a tracking server; what is not written then is written later."""


@dataclass(frozen=True)
class Target:
    """Where the runs of a store are tracked.

    Args:
        root: of the store.
        server: address of a tracking server; None for the store's own database.
    """

    root: Path
    server: str | None = None

    def __post_init__(self) -> None:
        if self.server is not None:
            check_server(self.server)

    @property
    def uri(self) -> str:
        """What MLflow calls it."""
        return self.server or address(self.root)

    @property
    def lock(self) -> Path:
        """Held by the one process of this machine that writes there."""
        return self.root / (".mlflow.lock" if self.server is None else ".mlflow-servers.lock")

    @property
    def store(self) -> str:
        """What tells this store from others on the same server; empty in its own database.

        Kept in the store, so a copy of it writes to the same runs.
        """
        if self.server is None:
            return ""
        with self._alone():
            return str(_servers(self.root)["store"])

    @property
    def behind(self) -> list[str]:
        """Matrices of which a server lacks something that was tracked there; what else it lacks is not known."""
        return [] if self.server is None else list(_servers(self.root)["behind"].get(self.server, []))

    def owe(self, identity: str) -> None:
        """Keep that a matrix is tracked on the server and is not written to its end yet."""
        if self.server is not None:
            with self._alone():
                self._note([*self.behind, identity])

    def settle(self, identity: str) -> None:
        """Keep that all of a matrix is written."""
        if self.server is not None:
            with self._alone():
                self._note([each for each in self.behind if each != identity])

    def _alone(self) -> FileLock:
        """Held for a moment by who writes what the store knows of servers; not the lock that is held while writing."""
        return FileLock(self.root / f"{SERVERS}.lock")

    def _note(self, behind: list[str]) -> None:
        known = _servers(self.root)
        known["behind"] = {**known["behind"], self.server: list(dict.fromkeys(behind))}
        write_whole(self.root / SERVERS, json.dumps(known, indent=1))


def check_server(uri: str) -> None:
    """Whether runs may be tracked there.

    Raises:
        KdbenchError: if it is no address of a tracking server.
    """
    wanted = "wanted http://HOST:PORT or https://HOST of an MLflow tracking server; without it the store's own database"
    try:
        parts = urlsplit(uri)
        if parts.username is not None or parts.password is not None:
            where = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            raise KdbenchError(f"--tracking-uri has a name or a password in it, which would be kept: wanted in {where}")
        well = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        well = False
    if not well:
        raise KdbenchError(f"--tracking-uri {uri!r}, {wanted}")


def _servers(root: Path) -> dict[str, Any]:
    """What a store knows of servers; made where it knows nothing yet."""
    path = root / SERVERS
    with suppress(OSError, ValueError, AttributeError):
        known = json.loads(path.read_text(encoding="utf-8"))
        behind = {uri: list(map(str, each)) for uri, each in known["behind"].items()}
        if re.fullmatch(r"[0-9a-f]{8}", known["store"]):
            return {"store": known["store"], "behind": behind}
    made = {"store": uuid.uuid4().hex[:8], "behind": {}}
    write_whole(path, json.dumps(made, indent=1))
    return made

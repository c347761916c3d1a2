"""The matrices that were run in a store, in which order, and what each was written out to."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kdbench.errors import KdbenchError, nearest
from kdbench.files import write_whole
from kdbench.plan.model import Plan
from kdbench.spec.matrix import BEGUN_AT, RUN_AT, Matrix
from kdbench.store.long_json import from_long_json
from kdbench.store.records import Store, published

MEMORY = ("matrices", "plans", "plugins", "imports")
"""Folders of a store that say what its cells are for."""

_LATEST = datetime(9999, 12, 1, tzinfo=UTC)  # there is a time after it, in every time zone


@dataclass(frozen=True)
class Kept:
    """A matrix that was run in a store.

    Args:
        identity: its name and a hash of what it asks for.
        matrix: as it was asked for.
        at: when it was run last; None where an older kdbench ran it, which did not write that down.
        begun: when it was run first; None likewise.
    """

    identity: str
    matrix: Matrix
    at: datetime | None
    begun: datetime | None = None


def memory_files(root: Path) -> list[Path]:
    """Files of those folders, relative to the root; those half written are left out."""
    found = sorted(path for kind in MEMORY for path in (root / kind).rglob("*"))
    return [path.relative_to(root) for path in found if path.is_file() and not path.name.startswith(".")]


def remember(store: Store, plan: Plan) -> str:
    """Keep a matrix that is run here, as the last one, and its plan; returns its identity, name and hash.

    When it was run stands in its file, since a file's own time is lost where a store is copied, cloned or unpacked. It
    is later than that of every other matrix here, whatever this machine's clock says.
    """
    identity, plain = _identified(plan.matrix)
    known = matrices(store)
    others = [kept.at for kept in known if kept.at is not None]
    now = max([datetime.now(UTC), *(at + timedelta(microseconds=1) for at in others)])
    begun = next((kept.begun for kept in known if kept.identity == identity and kept.begun), now)
    told = {name: at.isoformat(timespec="microseconds") for name, at in ((RUN_AT, now), (BEGUN_AT, begun))}
    text = json.dumps({**plain, **told}, indent=1)
    for folder, content in (("plans", json.dumps(plan.plain())), ("matrices", text)):
        (store.root / folder).mkdir(parents=True, exist_ok=True)
        write_whole(store.root / folder / f"{identity}.json", content)
    return identity


def remembered(store: Store, matrix: Matrix) -> Plan | None:
    """A matrix as it was written out when it was last run here; None where it was not.

    Raises:
        KdbenchError: if the file cannot be read as a plan.
    """
    path = store.root / "plans" / f"{_identified(matrix)[0]}.json"
    try:
        return Plan.from_plain(matrix, from_long_json(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, KdbenchError) as error:
        raise KdbenchError(f"{path}: {error!r}; remove the file") from None


def matrices(store: Store) -> list[Kept]:
    """The matrices that were run here, the one run last first.

    Those of an older kdbench come after the others, by the newest record of their cells.

    Raises:
        KdbenchError: if a file cannot be read as one.
    """
    found = [_kept(path) for path in sorted((store.root / "matrices").glob("*.json"))]
    told = sorted((kept for kept in found if kept.at), key=lambda kept: (kept.at, kept.identity), reverse=True)
    silent = [kept for kept in found if kept.at is None]
    if len(silent) > 1 or (silent and not told):
        silent.sort(key=lambda kept: (_newest_record(store, kept.identity), kept.identity), reverse=True)
    return [*told, *silent]


def identity_of(matrix: Matrix) -> str:
    """What a matrix is known by in a store: its name and a hash of what it asks for."""
    return _identified(matrix)[0]


def chosen(store: Store, named: str) -> Kept:
    """The matrix of a name, of an identity, or of the beginning of one.

    Raises:
        KdbenchError: if there is none, or there are several.
    """
    found = matrices(store)
    for fits in (
        [kept for kept in found if kept.identity == named],
        [kept for kept in found if kept.matrix.name == named],
        [kept for kept in found if kept.identity.startswith(named)],
    ):
        if len(fits) == 1:
            return fits[0]
        if fits:
            several = ", ".join(kept.identity for kept in fits)
            raise KdbenchError(f"{named!r} may be {several}; `kdbench list runs` shows them, and --matrix takes any")
    if not found:
        raise none_run(store)
    raise KdbenchError(nearest(f"the matrices run in {store.root}", named, [kept.identity for kept in found]))


def none_run(store: Store) -> KdbenchError:
    """What to raise where a matrix is wanted of a store that has none."""
    for folder in (store.root, store.root.parent):
        if published(folder):
            command = f"`kdbench publish {shlex.quote(str(folder))} --unpack STORE` makes a store of it"
            return KdbenchError(f"no matrix was run in {store.root}; {folder} was published: {command}")
    return KdbenchError(f"no matrix was run in {store.root} yet (--store, KDBENCH_STORE)")


def _kept(path: Path) -> Kept:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        times = {key: datetime.fromisoformat(plain[key]).astimezone(UTC) for key in (RUN_AT, BEGUN_AT) if key in plain}
        matrix = Matrix.from_plain({key: value for key, value in plain.items() if key not in times})
        at = times.get(RUN_AT)
        return Kept(path.stem, matrix, at and min(at, _LATEST), times.get(BEGUN_AT))
    except (ValueError, OverflowError, TypeError, AttributeError, RecursionError, KdbenchError) as error:
        raise KdbenchError(f"{path}: {error}; remove the file") from None


def _newest_record(store: Store, identity: str) -> str:
    """When the last of a matrix's cells was finished, ISO 8601; empty where that cannot be told."""
    try:
        cells: Mapping[str, Any] = json.loads((store.root / "plans" / f"{identity}.json").read_bytes())["cells"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return max((record.finished for digest in cells if (record := store.record(digest))), default="")


def _identified(matrix: Matrix) -> tuple[str, dict[str, Any]]:
    """Name and hash of a matrix, and its plain form, without what might have stood in for its data."""
    plain = replace(matrix, fallback=None).plain()
    # Where seeds are added as they are needed, it is the same matrix with however many.
    asked = {key: value for key, value in plain.items() if not (matrix.max_seeds and key == "seeds")}
    return f"{matrix.name}-{hashlib.sha256(json.dumps(asked, indent=1).encode()).hexdigest()[:8]}", plain

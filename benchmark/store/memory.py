"""The matrices that were run in a store, and what each was written out to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace

from kdbench.errors import KdbenchError
from kdbench.files import write_whole
from kdbench.plan.model import Plan
from kdbench.spec.matrix import Matrix
from kdbench.store.records import Store


def remember(store: Store, plan: Plan) -> str:
    """Keep a matrix that is run here, as the last one, and its plan; returns its identity, name and hash."""
    identity, text = _identified(plan.matrix)
    for folder, content in (("plans", json.dumps(plan.plain())), ("matrices", text)):
        (store.root / folder).mkdir(parents=True, exist_ok=True)
        write_whole(store.root / folder / f"{identity}.json", content)  # also makes it the newest
    return identity


def remembered(store: Store, matrix: Matrix) -> Plan | None:
    """A matrix as it was written out when it was last run here; None where it was not.

    Raises:
        KdbenchError: if the file cannot be read as a plan.
    """
    path = store.root / "plans" / f"{_identified(matrix)[0]}.json"
    try:
        return Plan.from_plain(matrix, json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError, KdbenchError) as error:
        raise KdbenchError(f"{path}: {error!r}; remove the file") from None


def matrices(store: Store) -> Iterator[tuple[str, Matrix]]:
    """Identities and matrices that were run here, the one run last first.

    Raises:
        KdbenchError: if a file cannot be read as one.
    """
    paths = (store.root / "matrices").glob("*.json")
    for path in sorted(paths, key=lambda p: (p.stat().st_mtime_ns, p.name), reverse=True):
        try:
            matrix = Matrix.from_plain(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KdbenchError) as error:
            raise KdbenchError(f"{path}: {error}; remove the file") from None
        yield path.stem, matrix


def _identified(matrix: Matrix) -> tuple[str, str]:
    """Name and hash of a matrix, and its JSON. What might have stood in for its data is not part of what was run."""
    text = json.dumps(replace(matrix, fallback=None).plain(), indent=1)
    return f"{matrix.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}", text

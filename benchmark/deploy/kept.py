"""How a cell's forms did, kept in the cell's folder so that a table of them needs neither torch nor the data."""

from __future__ import annotations

from contextlib import suppress

from kdbench.deploy.folder import INT8, WHOLE, Made
from kdbench.files import Refused
from kdbench.store.deployed import Deployed, keep_deployed, weights_of
from kdbench.store.records import Store


def keep(store: Store, digest: str, made: Made) -> None:
    """Keep what a table shows of the forms; a store that cannot be written keeps nothing."""
    trained, whole, int8 = made.forms[0], made.form(WHOLE), made.form(INT8)
    instead = next((form.against for form in made.refused if form.file == INT8), "")
    best = int8 or whole
    if best is None or best.timed is None:
        return
    kept = Deployed(
        weights=weights_of(store, digest),
        form=best.name,
        size=best.size,
        agreement=best.agreement,
        trained_f1=trained.macro_f1,
        macro_f1=best.macro_f1,
        latency_ms=best.timed.p50,
        how=best.said,
        refused=(best.against,) if best.against else (),
        instead=instead,
        people=best.people,
    )
    with suppress(Refused):
        keep_deployed(store, digest, kept)

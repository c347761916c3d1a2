"""What `view` gives."""

from __future__ import annotations

from kdbench.commands.refusals import refusals
from kdbench.commands.seen import seen
from kdbench.plan.model import Plan
from kdbench.results.render import page_text
from kdbench.results.views import view_page, views
from kdbench.store.records import Store


def view_text(plan: Plan, store: Store, name: str, form: str, metric: str, rows: tuple[str, ...]) -> str:
    """A view in a format for readers.

    Raises:
        KdbenchError: if the view, the metric, a row or the format is unknown, or the view has nothing to show.
    """
    looked = seen(plan, store, metric, rows)
    with refusals():
        return page_text(view_page(name, looked), form)


def views_text() -> str:
    """Which views there are, a line each."""
    width = max(map(len, views()))
    return "\n".join(f"{name.ljust(width)}  {said}" for name, said in views().items())

"""kdbench: which knowledge-distillation method for this teacher, this student and this sensor dataset?

The command line is ``kdbench``; from Python::

    from kdbench import Selection, Session, runtime

    if __name__ == "__main__":  # workers import this file
        session = Session(Selection(seeds="3"), runtime(store="runs"))
        session.run(jobs=2, track=False)
        print(session.table("markdown", ("macro_f1",)))

Nothing heavy is imported before it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdbench.session import Session as Session
    from kdbench.session import runtime as runtime
    from kdbench.spec.cell import Cell as Cell
    from kdbench.spec.matrix import Matrix as Matrix
    from kdbench.spec.recipe import Recipe as Recipe
    from kdbench.spec.selection import Selection as Selection

_HOMES = {
    "Selection": "kdbench.spec.selection",
    "Session": "kdbench.session",
    "runtime": "kdbench.session",
    "Cell": "kdbench.spec.cell",
    "Matrix": "kdbench.spec.matrix",
    "Recipe": "kdbench.spec.recipe",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("kdbench")
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'kdbench' has no attribute {name!r}")

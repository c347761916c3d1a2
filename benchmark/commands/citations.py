"""What a table names and a paper must cite."""

from __future__ import annotations

from kdbench.catalog.citations import Citation, dataset_citation, method_citation
from kdbench.plan.model import Plan
from kdbench.results.render import bibtex


def citations(plan: Plan) -> str:
    """BibTeX of the methods and datasets of a plan, each under its name; those whose source is not known are named."""
    methods = dict.fromkeys(cell.student.name if cell.fitted else cell.method.name for cell in plan.cells.values())
    datasets = dict.fromkeys(cell.dataset.name for cell in plan.cells.values())
    found: dict[str, Citation | None] = {name: method_citation(name) for name in methods}
    found |= {name: dataset_citation(name) for name in datasets}
    unknown = [f"% {name}: its file names no publication\n" for name, each in found.items() if each is None]
    return "".join(unknown) + bibtex([each for each in found.values() if each is not None])

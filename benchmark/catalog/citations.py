"""What is to be cited of a method or a dataset, read off its file without importing it, so that no torch is needed."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from kdbench.catalog.names import DATASET_NAMES, METHOD_NAMES, REFERENCE_NAMES, Names
from kdbench.errors import KdbenchError


@dataclass(frozen=True)
class Citation:
    """A publication.

    Args:
        key: what a document cites it by.
        authors: their names, as far as they are written out.
        title: of it; empty where the source gives none.
        venue: where it appeared; maybe empty.
        year: of it; empty where the source gives none.
        url: of it; maybe empty.
        said: all that the source says, in its words.
    """

    key: str
    authors: tuple[str, ...]
    title: str
    venue: str
    year: str
    url: str
    said: str


def method_citation(name: str) -> Citation | None:
    """The first publication that the docstring of a method or a reference names after ``Source:``; else None."""
    for node in _nodes(REFERENCE_NAMES if name in REFERENCE_NAMES.built_in else METHOD_NAMES, name):
        text = (ast.get_docstring(node) or "") if isinstance(node, ast.ClassDef) else ""
        found = re.search(r"Source: (.*?)(?:\n\n|\Z)", text, re.DOTALL)
        if found:
            said = re.split(r"\.? (?:Defaults?|Presets?)\b", " ".join(found[1].split()))[0]
            return _of_method(name.partition("@")[0], said)
    return None


def dataset_citation(name: str) -> Citation | None:
    """The publication that a dataset's description names; None where its file does not say."""
    for node in _nodes(DATASET_NAMES, name):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Description":
            given = {each.arg: each.value.value for each in node.keywords if isinstance(each.value, ast.Constant)}
            if given.get("citation") and given.get("url"):
                return _of_dataset(name.partition("@")[0], str(given["citation"]), str(given["url"]))
    return None


def _nodes(names: Names, name: str) -> list[ast.AST]:
    """The syntax of the file that a name is defined in; empty where it is not here."""
    try:
        defined = names.find(name)
        path = defined.file or _file(defined.module)
        return [] if path is None else list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    except (KdbenchError, OSError, SyntaxError, ValueError):
        return []


def _file(module: str) -> Path | None:
    """Of a module; its top package alone is looked for by Python, since finding a module imports its parents."""
    top, *inside = module.split(".")
    package = ".".join([top, *inside[:1]]) if top == "kdbench" else top
    found = find_spec(package)
    if found is None:
        return None
    rest = module.removeprefix(package).strip(".").split(".")
    folders = found.submodule_search_locations or []
    files = (
        [Path(folder, *rest).with_suffix(".py") for folder in folders] if rest != [""] else [Path(str(found.origin))]
    )
    return next((file for file in files if file.is_file()), None)


def _of_method(key: str, said: str) -> Citation:
    """Read ``Hinton, Vinyals, Dean, "Distilling the knowledge", 2015, https://arxiv.org/abs/1503.02531``."""
    before, quoted, after = said.partition('"')
    title, _, rest = after.partition('"')
    rest = rest if quoted else before
    names = before if quoted else before.partition(" et al.,")[0] + " et al."
    year = re.search(r"\b(?:19|20)\d\d\b", rest)
    url = re.search(r"https?://[^\s,;)]+", rest)
    venue = (rest[: year.start()] if year else "").removeprefix(names.removesuffix(".")).strip(" ,.")
    return Citation(key, _people(names), title, venue, year[0] if year else "", url[0].rstrip(".") if url else "", said)


def _of_dataset(key: str, said: str, url: str) -> Citation:
    """Read ``D. Anguita, A. Ghio. A Public Domain Dataset. ESANN 2013.``; a sentence ends after two small letters."""
    parts = [part.strip(" .") for part in re.split(r"(?<=[^\W\d_A-Z]{2})[.] ", said)]
    if len(parts) < 2:
        return Citation(key, (), "", "", "", url, said)
    rest = " ".join(parts[2:])
    year = re.search(r"\b(?:19|20)\d\d\b", rest)
    venue = rest.replace(year[0], "").strip(" ,.") if year else rest
    return Citation(key, _people(parts[0]), parts[1], venue, year[0] if year else "", url, said)


def _people(names: str) -> tuple[str, ...]:
    """Authors; ``others`` for those not written out. Words that begin small are none."""
    listed = [name.strip() for name in re.split(r", | and ", names.strip(" ,"))]
    people = [name.removesuffix(" et al.") for name in listed if name[:1].isupper()]
    return tuple([*people, "others"] if " et al." in names else people)

"""What a LaTeX table names goes into a second file, as BibTeX."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from kdbench.catalog.citations import Citation, dataset_citation, method_citation
from kdbench.catalog.names import METHOD_NAMES
from kdbench.results.render import bibtex


def test_a_methods_source_becomes_an_entry() -> None:
    cited = method_citation("kd")
    assert cited is not None
    assert bibtex([cited]) == (
        "@misc{kd,\n"
        "  author = {Hinton and Vinyals and Dean},\n"
        "  title = {{Distilling the knowledge in a neural network}},\n"
        "  year = {2015},\n"
        "  url = {https://arxiv.org/abs/1503.02531},\n"
        "}\n"
    )


def test_a_datasets_citation_becomes_an_entry() -> None:
    cited = dataset_citation("uci_har")
    assert cited is not None
    assert cited.title == "A Public Domain Dataset for Human Activity Recognition Using Smartphones"
    assert cited.authors[::4] == ("D. Anguita", "J. L. Reyes-Ortiz")
    assert (cited.venue, cited.year) == ("ESANN", "2013")
    assert dataset_citation("synthetic") is None
    assert dataset_citation("own") is None


@pytest.mark.parametrize("name", METHOD_NAMES.built_in)
def test_every_method_that_names_a_source_has_a_year_and_is_whole(name: str) -> None:
    cited = method_citation(name)
    if name == "supervised":
        assert cited is None
        return
    assert cited is not None
    assert re.fullmatch(r"(19|20)\d\d", cited.year)
    assert cited.authors
    assert cited.title or cited.said
    assert '"' not in cited.title


def test_a_source_without_a_title_is_a_note_with_every_sign_escaped() -> None:
    text = bibtex([Citation("x", ("A", "others"), "", "J & K", "2025", "", "A et al., J & K 5%")])
    assert text == "@misc{x,\n  author = {A and others},\n  howpublished = {J \\& K},\n  year = {2025},\n" + (
        "  note = {A et al., J \\& K 5\\%},\n}\n"
    )


def test_a_latex_file_has_its_bibliography_beside_it(call: Any, copy: Path, tmp_path: Path) -> None:
    ended = call("table", "-o", tmp_path / "t.tex")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines() == [f"wrote {tmp_path / 't.tex'}", f"wrote {tmp_path / 't.bib'}"]
    assert "@misc{kd," in (tmp_path / "t.bib").read_text(encoding="utf-8")

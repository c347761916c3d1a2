"""Several of a kind in one text, and files whose ending says what is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kdbench.errors import KdbenchError
from kdbench.spec.selection import Selection
from kdbench.spec.words import listed


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("kd", ["kd"]),
        ("kd,hmkd", ["kd", "hmkd"]),
        (" kd , hmkd, ", ["kd", "hmkd"]),
        ("kd(alpha=0.5, temperature=2),sp", ["kd(alpha=0.5, temperature=2)", "sp"]),
        ("own(path='a,b)c'),uci_har", ["own(path='a,b)c')", "uci_har"]),
        ('own(path="it\'s,one"),x', ['own(path="it\'s,one")', "x"]),
        ("fcn(width=0.5):mlp(hidden=64, layers=2),cnn:mlp", ["fcn(width=0.5):mlp(hidden=64, layers=2)", "cnn:mlp"]),
        ("kd(alpha=1,sp", ["kd(alpha=1,sp"]),
        ("", [""]),
        (",", [","]),
    ],
)
def test_commas_part_what_is_not_in_parentheses_or_quotes(text: str, parts: list[str]) -> None:
    assert listed(text) == parts


def test_a_text_in_place_of_a_list_is_one_and_not_its_letters() -> None:
    texts: Any = {
        "datasets": "synthetic",
        "pairs": "cnn:mlp,fcn:mlp",
        "methods": "kd,sp",
        "settings": "recipe.epochs=1",
    }
    lists: Any = {key: text.split(",") for key, text in texts.items()}
    assert Selection(**texts) == Selection(**lists)
    assert Selection(**texts).methods == ("kd", "sp")


@pytest.mark.parametrize("key", ["datasets", "pairs", "methods", "settings"])
@pytest.mark.parametrize("given", [3, None, [3], b"kd", {"kd": 1}, Path("kd")])
def test_what_is_no_text_is_refused_by_name(key: str, given: Any) -> None:
    with pytest.raises(KdbenchError, match=f"{key} is .*, wanted a text, or a list of texts"):
        Selection(**{key: given})


def test_the_command_line_takes_lists_with_commas(call: Any) -> None:
    datasets, pairs, methods = ["synthetic(people=4)", "synthetic"], ["cnn:mlp", "mlp:mlp(hidden=16)"], ["kd", "sp"]
    ended = call("plan", "-d", ",".join(datasets), "-p", ",".join(pairs), "-m", ",".join(methods), "--cells")
    options = (
        [("-d", each) for each in datasets] + [("-p", each) for each in pairs] + [("-m", each) for each in methods]
    )
    apart = call("plan", *(word for option in options for word in option), "--cells")
    assert ended.code == 0, ended.err
    assert ended.out == apart.out
    assert "1 cells" not in ended.out


@pytest.mark.parametrize(
    ("name", "options", "begins"),
    [
        ("t.md", [], "# "),
        ("t.MD", [], "# "),
        ("t.markdown", [], "# "),
        ("t.csv", [], "dataset,"),
        ("t.CSV", [], "dataset,"),
        ("t.csv", ["--format", "csv-wide"], "metric,"),
        ("t.csv", ["--format", "csv-summary"], "metric,"),
        ("t.csv", ["--costs"], "dataset,"),
        ("t.html", [], "<!DOCTYPE html>"),
        ("t.json", [], "{"),
        (".tex", [], "\\documentclass"),
        ("t.tex", [], "\\documentclass"),
        ("t.tex", ["--format", "latex-input"], "% In the preamble"),
        ("t", ["--format", "csv"], "dataset,"),
        ("t.dat", ["--format", "csv"], "dataset,"),
    ],
)
def test_a_table_is_written_as_its_ending_says(
    name: str, options: list[str], begins: str, call: Any, copy: Path, tmp_path: Path
) -> None:
    ended = call("table", "-o", tmp_path / name, *options)
    assert ended.code == 0, ended.err
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)


@pytest.mark.parametrize(
    ("command", "name", "options", "message"),
    [
        ("table", "t.docx", [], "-o t.docx came; its ending may be .csv, "),
        ("table", "t", [], "-o t came; its ending may be .csv, "),
        ("table", "t.xlsx", ["--costs"], "-o t.xlsx came; its ending may be .csv, "),
        ("table", "t.csv", ["--format", "markdown"], "-o t.csv and --format markdown came, but .csv is csv; "),
        ("table", "t.md", ["--format", "csv-wide"], "-o t.md and --format csv-wide came, but .md is markdown; "),
        ("profile", "t.docx", [], "-o t.docx came; its ending may be .csv, "),
        ("profile", "t.txt", ["--format", "csv"], "-o t.txt and --format csv came, but .txt is text; "),
        ("plot", "g.jpg", [], "figure 'g.jpg' came, one of .pdf, .png, .svg is wanted"),
    ],
)
def test_an_ending_that_is_unknown_or_says_something_else_is_refused_in_a_line(
    command: str, name: str, options: list[str], message: str, call: Any, copy: Path, tmp_path: Path
) -> None:
    ended = call(command, "-o", tmp_path / name, *options)
    assert ended.code == 2
    assert ended.error.startswith(message)
    assert not (tmp_path / name).exists()


def test_costs_are_written_as_their_ending_says(call: Any, tmp_path: Path) -> None:
    for name, begins in (("p.csv", "network,"), ("p.md", "windows of"), ("p.txt", "windows of")):
        ended = call("profile", "mlp", "--no-latency", "-o", tmp_path / name)
        assert ended.code == 0, ended.err
        assert (tmp_path / name).read_text().startswith(begins)
    assert "| mlp " in (tmp_path / "p.md").read_text()
    assert "| mlp " not in (tmp_path / "p.txt").read_text()


def test_one_metric_as_a_text_is_not_taken_letter_by_letter(call: Any, copy: Path) -> None:
    assert call("table", "--metric", "macro_f1,accuracy").out == call("table").out

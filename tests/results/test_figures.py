"""Figures are drawn from the table and leave no global state behind."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kdbench.results import tabulate
from kdbench.results.figures import gain_figure

STUDENT = "student alone"


@pytest.fixture
def entries(make_entry: Any) -> list[Any]:
    values = {STUDENT: [0.5, 0.6], "kd": [0.6, 0.62], "at": [0.4, None]}
    return [
        make_entry(label, seed, value, dataset=dataset)
        for dataset in ("a", "b")
        for label, row in values.items()
        for seed, value in enumerate(row)
    ]


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_a_figure_is_saved_in_the_format_of_its_suffix(
    entries: list[Any], tmp_path: Path, suffix: str, start: bytes
) -> None:
    path = tmp_path / f"gain{suffix}"
    gain_figure(tabulate(entries, "accuracy"), path, title="A title")
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are saved."""
    from matplotlib.figure import Figure

    saved: list[Any] = []
    original = Figure.savefig

    def savefig(figure: Figure, *args: Any, **kwargs: Any) -> None:
        saved.append(figure)
        original(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return saved


def test_a_figure_shows_seed_gains_their_mean_and_what_is_missing(
    entries: list[Any], tmp_path: Path, drawn: list[Any]
) -> None:
    gain_figure(tabulate(entries, "accuracy"), tmp_path / "gain.svg")
    panels = [axes for axes in drawn[0].axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == ["a\nbig:small", "b\nbig:small"]
    for axes in panels:
        dots = [point for collection in axes.collections for point in collection.get_offsets().tolist()]
        assert sorted(dots) == [pytest.approx([2, 0]), pytest.approx([10, 0])]
        means = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "|"]
        assert [pytest.approx([6, 0])] in means
        assert [(text.get_text(), text.get_position()[1]) for text in axes.texts] == [("1 of 2 seeds", 1)]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["kd", "at"]
    assert drawn[0].get_supxlabel() == "gain in accuracy over student alone (points)"


def test_a_figure_of_nothing_but_holes_is_drawn(make_entry: Any, tmp_path: Path, drawn: list[Any]) -> None:
    entries = [make_entry("kd", 0, None), make_entry("at", 0, 0.5)]
    gain_figure(tabulate(entries, "accuracy"), tmp_path / "gain.png")
    assert [text.get_text() for text in drawn[0].axes[0].texts] == ["not run", "no student alone"]


def test_more_panels_than_a_line_holds_go_below(make_entry: Any, tmp_path: Path, drawn: list[Any]) -> None:
    entries = [make_entry(label, 0, 0.5, dataset=d) for d in "abcd" for label in (STUDENT, "kd")]
    gain_figure(tabulate(entries, "accuracy"), tmp_path / "gain.png")
    assert [axes.get_visible() for axes in drawn[0].axes] == [True] * 4 + [False] * 2
    labelled = [axes.xaxis.get_tick_params()["labelbottom"] for axes in drawn[0].axes[:4]]
    assert labelled == [False, True, True, True]


def test_pyplot_and_its_settings_are_left_alone(entries: list[Any], tmp_path: Path) -> None:
    import matplotlib.pyplot as plt

    before = dict(plt.rcParams)
    gain_figure(tabulate(entries, "accuracy"), tmp_path / "gain.png")
    assert plt.get_fignums() == []
    assert dict(plt.rcParams) == before


@pytest.mark.parametrize("name", ["gain.jpg", "gain"])
def test_an_unknown_format_is_refused(entries: list[Any], tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"one of \.pdf, \.png, \.svg is wanted"):
        gain_figure(tabulate(entries, "accuracy"), tmp_path / name)


def test_a_table_without_methods_is_refused(make_entry: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wants a table with methods"):
        gain_figure(tabulate([make_entry(STUDENT, 0, 0.5)], "accuracy"), tmp_path / "gain.png")


def test_results_load_neither_torch_nor_plotting() -> None:
    code = (
        "import sys, kdbench.results, kdbench.results.figures\n"
        "print({'torch', 'pandas', 'seaborn', 'matplotlib'} & sys.modules.keys())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"

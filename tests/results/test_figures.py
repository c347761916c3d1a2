"""Figures are drawn from the table and leave no global state behind."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kdbench.results.figures import cost_figure, figure_bytes, figure_of, windows_figure
from kdbench.results.figures._style import STYLE
from kdbench.results.figures.panels import wrapped
from kdbench.results.seen import Seen

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


def test_a_figure_of_costs_has_every_network_alone_and_a_line_along_those_that_none_matches(
    make_entry: Any, tmp_path: Path, drawn: list[Any]
) -> None:
    work = {"big": 1e7, "mid": 5e6, "small": 1e6}
    values = {"big": 0.9, "mid": 0.5, "small": 0.6}
    entries = [
        make_entry(
            row, 0, values[network], pair=pair, dataset=dataset, record={"costs": {"multiply_adds": work[network]}}
        )
        for dataset in ("a", "b")
        for pair in ("big:small", "mid:small")
        for row, network in zip(("teacher", STUDENT), pair.split(":"), strict=True)
    ]
    taught = {"pair": "big:small", "dataset": "b", "record": {"costs": {"multiply_adds": 2e6}}}
    cost_figure([*entries, make_entry("kd", 0, 0.7, **taught)], "macro_f1", tmp_path / "costs.svg", "A title")
    (figure,) = drawn
    one, other = (axes for axes in figure.axes if axes.get_visible())
    front, *points = one.lines
    assert front.get_xydata().tolist() == [[1e6, 60], [1e7, 90]]
    assert sorted(point.get_xydata().tolist()[0] for point in points) == [[1e6, 60], [5e6, 50], [1e7, 90]]
    assert [2e6, 70] in [line.get_xydata().tolist()[0] for line in other.lines]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["small", "mid", "big", "taught by a method"]


@pytest.mark.parametrize("most", [1.3e6, 5e6, 1e7, 1e9, 1e12])
def test_a_figure_of_costs_has_some_ticks_but_not_too_many(
    make_entry: Any, tmp_path: Path, drawn: list[Any], most: float
) -> None:
    entries = [
        make_entry(row, 0, 0.5, dataset=dataset, record={"costs": {"multiply_adds": work}})
        for dataset in "abcd"
        for row, work in (("teacher", most), (STUDENT, 1.1e6))
    ]
    cost_figure(entries, "macro_f1", tmp_path / "costs.png")
    first, *others = (axes for axes in drawn[0].axes if axes.get_visible())
    assert first.get_xticklabels() == []  # under it is the fourth
    for axes in others:
        low, high = axes.get_xlim()
        labels = [label for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]
        assert 2 <= len(labels) <= 7
        ends = [label.get_window_extent() for label in labels]
        assert all(one.x1 < other.x0 for one, other in pairwise(ends))


def test_a_figure_of_costs_wants_something_to_draw(make_entry: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a network alone with 'macro_f1' of every run, none came"):
        cost_figure([make_entry(STUDENT, 0, None)], "macro_f1", tmp_path / "costs.png")
    with pytest.raises(ValueError, match=r"one of \.pdf, \.png, \.svg is wanted"):
        cost_figure([make_entry(STUDENT, 0, 0.5)], "macro_f1", tmp_path / "costs.gif")
    assert list(tmp_path.iterdir()) == []


def test_pyplot_and_its_settings_are_left_alone(entries: list[Any], asked: Any) -> None:
    import matplotlib.pyplot as plt

    before = dict(plt.rcParams)
    figure_bytes(figure_of("gain", Seen(entries, asked, "1", "accuracy")), "png")
    assert plt.get_fignums() == []
    assert dict(plt.rcParams) == before


def test_a_folder_that_is_not_there_is_named_with_the_figure(make_entry: Any, tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "costs.png"
    with pytest.raises(OSError, match="No such file") as raised:
        cost_figure([make_entry(STUDENT, 0, 0.5, record={"costs": {"multiply_adds": 2e6}})], "accuracy", path)
    assert raised.value.filename == str(path)


def test_results_load_neither_torch_nor_plotting() -> None:
    code = (
        "import sys, kdbench.results, kdbench.results.figures\n"
        "print({'torch', 'pandas', 'seaborn', 'matplotlib'} & sys.modules.keys())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_the_look_is_that_of_seaborn_and_needs_no_seaborn() -> None:
    import seaborn

    wanted = {**seaborn.axes_style("whitegrid"), **seaborn.plotting_context("paper")}
    wanted.pop("image.cmap")  # every map names its own
    assert set(STYLE) == set(wanted)
    assert all(
        STYLE[key] == (pytest.approx(value) if isinstance(value, float) else value) for key, value in wanted.items()
    )
    code = (
        "import sys; from kdbench.results.figures.panels import style\n"
        "with style(): print({'pandas', 'seaborn', 'scipy'} & sys.modules.keys())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


ODD = [
    "$x_1$ + $",
    "$\\frac{1}{$",
    "_hidden",
    "a^b_c",
    "#1 & 50%",
    "\\alpha",
    "two\nlines",
    "x" * 200,
    "a" + " word" * 40,
]


def words(figure: Any) -> str:
    """All that is written in a figure, without blanks and breaks."""
    from matplotlib.text import Text

    return "\n".join("".join(text.get_text().split()) for text in figure.findobj(Text))


@pytest.mark.parametrize("odd", ODD)
def test_labels_are_drawn_as_they_are_written(odd: str, make_entry: Any, tmp_path: Path, drawn: list[Any]) -> None:
    import numpy as np
    from matplotlib.text import Text

    work = {"record": {"costs": {"multiply_adds": 2e6}}}
    entries = [make_entry(row, 0, 0.5, pair=f"{odd}:{odd}2", dataset=odd, **work) for row in ("teacher", STUDENT, odd)]
    cost_figure(entries, "accuracy", tmp_path / "costs.svg", odd)
    units = {odd: [(odd, 0)]}
    windows_figure(np.zeros((1, 1, 8), np.float32), [odd], units, 50.0, tmp_path / "windows.svg", title=odd)
    assert len(drawn) == 2
    for figure in drawn:
        assert "".join(odd.split()) in words(figure)
        assert not any(text.get_parse_math() or text.get_usetex() for text in figure.findobj(Text) if text.get_text())
        width, _ = figure.get_size_inches()
        title = figure._suptitle.get_window_extent()
        assert title.width <= 1.1 * width * figure.dpi


@pytest.mark.parametrize("suffix", [".PDF", ".Png", ".SVG"])
def test_a_suffix_in_capitals_is_the_same_format(make_entry: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"costs{suffix}"
    cost_figure([make_entry(STUDENT, 0, 0.5, record={"costs": {"multiply_adds": 2e6}})], "accuracy", path)
    assert path.stat().st_size


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "module://nowhere", "TkAgg", "none"])
def test_what_backend_a_notebook_has_set_is_not_looked_at(backend: str, tmp_path: Path) -> None:
    code = (
        "import numpy as np, os; from kdbench.results.figures import windows_figure\n"
        "windows_figure(np.zeros((1, 1, 8), np.float32), ['c'], {'g': [('x', 0)]}, 50.0, 'w.png', title='t')\n"
        "import seaborn; assert os.environ['MPLBACKEND']"
    )
    env = {**os.environ, "MPLBACKEND": backend}
    ended = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "w.png").exists()


def test_lines_are_broken_where_a_name_has_its_joints() -> None:
    assert wrapped("resnet_lstman(width=0.25):mlp(hidden=64)", 26) == "resnet_lstman(width=0.25):\nmlp(hidden=64)"
    assert wrapped("abcdef", 4) == "abcd\nef"
    assert wrapped("one two", 7) == "one two"

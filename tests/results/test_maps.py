"""What stands below a dataset's example windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text

from kdbench.results.figures import Maps, windows_figure
from kdbench.results.figures import windows as module


@pytest.mark.parametrize("people", [2, 200])
@pytest.mark.parametrize("lost", [True, False])
def test_a_page_has_windows_spectra_counts_and_losses(
    people: int, lost: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    save = module.save
    monkeypatch.setattr(
        module, "save", lambda figure, *args, **named: (drawn.append(figure), save(figure, *args, **named))
    )
    maps = Maps(
        people=[(f"p{number}", number == 1) for number in range(people)],
        counts=np.arange(2 * people).reshape(people, 2),
        spectra={"g": np.ones((2, 5)), "rad/s": np.full((2, 5), 0.1)},
        frequencies=np.arange(5.0),
        lost={"pause": np.linspace(0, 1, people)} if lost else {},
    )
    units = {"g": [("x", 0)], "rad/s": [("r", 1)]}
    windows_figure(np.zeros((2, 2, 8), np.float32), ["a", "b"], units, 50.0, tmp_path / "w.png", title="t", maps=maps)
    (figure,) = drawn
    said = [text.get_text() for text in figure.findobj(Text)]
    assert "p1 (test)" in said or people > 2
    assert ("labelled rows in no window" in said) == lost
    assert ("3" in said) == (people == 2), "numbers are written in where there is room"
    assert not any("mathdefault" in text for text in said)
    panels = [axes for part in figure.subfigs for axes in part.axes]
    assert len(panels) == 4 + 2 + 1 + lost
    assert figure.get_size_inches()[1] < 24

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kdbench.data import Channel, Dataset, Description, Source, Windows
from kdbench.errors import KdbenchError

DESCRIPTION = Description(
    name="some",
    title="Some",
    channels=(Channel("acc_x", "g"), Channel("acc_y", "g")),
    rate=50.0,
    length=4,
    classes=("walking", "sitting"),
    citation="",
    licence="",
    url="",
    people=(1, 2),
)


def windows() -> Windows:
    return Windows(
        x=np.arange(24, dtype=np.float32).reshape(3, 2, 4),
        y=np.array([0, 1, 1]),
        person=np.array([1, 1, 2]),
        test=np.array([False, False, True]),
        recording=np.array([0, 0, 1]),
        start=np.array([0, 2, 0]),
    )


def test_good_windows_pass_the_check() -> None:
    windows().check(DESCRIPTION)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": np.zeros((3, 2, 4))}, "x is float64"),
        ({"x": np.zeros((3, 2, 5), np.float32)}, r"wanted contiguous float32 \(N, 2, 4\)"),
        ({"x": np.zeros((4, 2, 3), np.float32).T}, "contiguous"),
        ({"x": np.zeros((0, 2, 4), np.float32)}, r"\(0, 2, 4\)"),
        ({"y": np.array([0, 1])}, r"y is int64 \(2,\), wanted int64 \(3,\)"),
        ({"y": np.array([0, 1, 1], np.int32)}, "y is int32"),
        ({"test": np.array([0, 0, 1])}, "test is int64"),
        ({"x": np.full((3, 2, 4), np.nan, np.float32)}, "window 0 holds a value that is not finite"),
        ({"x": np.full((3, 2, 4), np.inf, np.float32)}, "not finite"),
        ({"y": np.array([0, 1, 2])}, "labels from 0 to 2, wanted 0 to 1"),
        ({"y": np.array([0, -1, 1])}, "labels from -1 to 1"),
        ({"start": np.array([0, -2, 0])}, "sample -2"),
        ({"person": np.array([1, 1, 3])}, "person 2 has no window"),
        ({"person": np.array([1, 2, 3]), "recording": np.array([0, 1, 2])}, "person 3 is not among its people"),
        ({"recording": np.array([0, 1, 1])}, "recording 1 belongs to more than one person"),
    ],
)
def test_bad_windows_are_refused_in_one_line(change: dict[str, Any], words: str) -> None:
    with pytest.raises(KdbenchError, match=words) as caught:
        replace(windows(), **change).check(DESCRIPTION)
    assert str(caught.value).startswith("some: ")
    assert "\n" not in str(caught.value)


def test_equal_windows_have_equal_digests() -> None:
    assert windows().digest() == windows().digest()


@pytest.mark.parametrize(
    "change",
    [
        {"x": windows().x + 1},
        {"x": windows().x.reshape(3, 4, 2)},
        {"y": np.array([1, 0, 1])},
        {"y": windows().y.astype(np.int32)},
        {"person": windows().recording, "recording": windows().person},
        {"test": ~windows().test},
        {"start": windows().start + 1},
    ],
)
def test_any_difference_changes_the_digest(change: dict[str, Any]) -> None:
    assert replace(windows(), **change).digest() != windows().digest()


def test_settings_are_the_keyword_only_arguments_as_held() -> None:
    class Some(Dataset):
        name = "some"

        def __init__(self, *, classes: int = 12, step: int = 64) -> None:
            self.classes = classes
            self.step = step

        @property
        def description(self) -> Description:
            return DESCRIPTION

        def parse(self, source: Source | None) -> Windows:
            return windows()

    assert Some(classes=6).settings == {"classes": 6, "step": 64}

"""A search cannot know the test people: reading one of their rows raises, wherever it happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kdbench.catalog.build import load_data
from kdbench.catalog.find import DATASETS
from kdbench.data import Prepared, ReadOfTestPeople, protocol, sealed
from kdbench.machine import Runtime
from kdbench.spec.words import Spec

SMALL = "synthetic(people=4, windows=2, length=32)"
TUNE = ("-d", SMALL, "-p", "resnet_lstman(width=0.05):mlp(hidden=16)", "-m", "kd", "-j", 1)
TUNE += ("-S", "recipe.epochs=1", "-S", "recipe.batch_size=16", "--trials", 1)


@pytest.fixture
def data(where: Runtime) -> Prepared:
    return load_data(DATASETS.close(Spec.parse(SMALL)), where)


def test_rows_of_training_people_are_as_they_were(data: Prepared) -> None:
    rows = np.flatnonzero(~data.windows.test)
    windows = sealed(data).windows
    np.testing.assert_array_equal(windows.x[rows], data.windows.x[rows], strict=True)
    np.testing.assert_array_equal(windows.y[~data.windows.test], data.windows.y[rows], strict=True)
    assert len(windows.y) == len(data.windows.y)


@pytest.mark.parametrize(
    "read",
    [
        lambda x, test: x[int(np.flatnonzero(test)[0])],
        lambda x, test: x[np.flatnonzero(test)],
        lambda x, test: x[test],
        lambda x, test: x[np.ones_like(test)],
        lambda x, test: x[:],
        lambda x, test: x[-1 * int(np.flatnonzero(test[::-1])[0]) - 1],
        lambda x, test: x[np.flatnonzero(test), ...],
        lambda x, test: np.asarray(x),
        lambda x, test: np.mean(x),
        lambda x, test: list(x),
    ],
)
@pytest.mark.parametrize("array", ["x", "y"])
def test_rows_of_test_people_cannot_be_read(data: Prepared, array: str, read: Callable[[Any, Any], object]) -> None:
    with pytest.raises(ReadOfTestPeople):
        read(getattr(sealed(data).windows, array), data.windows.test)


def test_a_search_reads_none(call: Any, tmp_path: Any) -> None:
    ended = call("tune", *TUNE, "-o", tmp_path / "preset.toml")
    assert ended.code == 0, ended.err


@pytest.mark.parametrize("side", [0, 1], ids=["trained on", "judged by"])
def test_a_search_that_lets_in_one_test_window_is_stopped(
    call: Any, monkeypatch: pytest.MonkeyPatch, side: int, tmp_path: Any
) -> None:
    honest = type(protocol("subject-val-v1"))._rows

    def leaky(self: Any, windows: Any, **rest: Any) -> Any:
        sides = honest(self, windows, **rest)
        sides[side][np.flatnonzero(windows.test)[0]] = True
        return sides

    monkeypatch.setattr(type(protocol("subject-val-v1")), "_rows", leaky)
    own = SMALL.replace("people=4", f"people={7 + side}")  # a split that another test made is not made again
    ended = call("tune", *[own if each == SMALL else each for each in TUNE], "-o", tmp_path / "preset.toml")
    assert ended.code == 2
    assert "windows of test people were asked for" in ended.err
    assert not (tmp_path / "preset.toml").exists()

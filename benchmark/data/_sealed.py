"""Windows of which the test people cannot be read: what a search is given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn, cast

import numpy as np
import numpy.typing as npt

from kdbench.data._prepare import Prepared
from kdbench.errors import KdbenchError


class ReadOfTestPeople(KdbenchError):
    """Something asked for windows or labels of test people while it must not know them: a fault of its code."""


class _Sealed:
    """An array of which rows can be read by number or mask, and only those that are not sealed.

    It is no numpy array: whatever would take it whole, as a sum or a conversion does, raises too.

    Args:
        array: (N, ...) the rows.
        sealed: (N,) which of them may not be read.
    """

    def __init__(self, array: npt.NDArray[Any], sealed: npt.NDArray[np.bool_]) -> None:
        self._array, self._sealed = array, sealed
        self.shape, self.dtype = array.shape, array.dtype

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, rows: Any) -> Any:
        first = rows[0] if isinstance(rows, tuple) else rows
        if np.any(self._sealed[first]):
            raise ReadOfTestPeople(
                "windows of test people were asked for in training or validation; they are for the last test alone"
            )
        return self._array[rows]

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise ReadOfTestPeople("all windows were asked for, those of test people among them")

    def __iter__(self) -> NoReturn:
        raise ReadOfTestPeople("all windows were asked for, those of test people among them")


def sealed(data: Prepared) -> Prepared:
    """The same data, of whose windows and labels those of the test people raise when they are read.

    Who is a test person stays readable: a split must know whom to leave out.
    """
    windows = data.windows
    x, y = (cast(Any, _Sealed(array, windows.test)) for array in (windows.x, windows.y))
    return replace(data, windows=replace(windows, x=x, y=y))

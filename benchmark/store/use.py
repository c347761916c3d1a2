"""What the use of a deployed model needs, kept as a file beside its record.

Beside it and not in it: a record's fields are what two trainings of one cell are compared by, and the hash of the
weights tells who taught whom, so neither may change. Records of an older kdbench lack the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kdbench.errors import KdbenchError
from kdbench.files import write_whole
from kdbench.store.records import AGAIN, USE, Store

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from kdbench.data import Normalisation, Prepared

LACKS = "normalisation, order and units of the channels, rate, window, step and names of the classes"
"""What a record without the file does not tell."""


@dataclass(frozen=True)
class Use:
    """What a model was trained to be given, and what its answers mean.

    Args:
        data: digest of the dataset's windows.
        dataset: what the dataset calls itself.
        channels: name and unit of each signal, in the order of the windows.
        rate: in Hz.
        length: samples of a window.
        step: samples from one window to the next, as the training windows were cut most often; None where no two were
            cut from one recording.
        classes: label k means the k-th.
        mean: of each channel, over the training windows, as float32 has it; what is subtracted.
        deviation: likewise; what is divided by.
        windows: how many training windows they are of.
        people: how many people these are from.
    """

    data: str
    dataset: str
    channels: tuple[tuple[str, str], ...]
    rate: float
    length: int
    step: int | None
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    windows: int
    people: int

    @property
    def text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Use:
        """What JSON made of it.

        Raises:
            TypeError, KeyError, ValueError: if it is something else.
        """
        lists = {key: tuple(plain[key]) for key in ("classes", "mean", "deviation")}
        channels = tuple((str(name), str(unit)) for name, unit in plain["channels"])
        return cls(**{**plain, **lists, "channels": channels})


def use_of(data: Prepared, train: npt.NDArray[np.int64], normalisation: Normalisation) -> Use:
    """What whoever uses a model needs that was trained on some rows of a dataset."""
    import numpy as np

    about, windows = data.description, data.windows
    return Use(
        data=data.digest,
        dataset=about.name,
        channels=tuple((channel.name, channel.unit) for channel in about.channels),
        rate=float(about.rate),
        length=about.length,
        step=_step(windows.recording[train], windows.start[train]),
        classes=tuple(about.classes),
        mean=tuple(normalisation.mean.astype(np.float32).tolist()),
        deviation=tuple(normalisation.std.astype(np.float32).tolist()),
        windows=len(train),
        people=len(np.unique(windows.person[train])),
    )


def write_use(store: Store, digest: str, use: Use) -> None:
    """Keep what a cell's weights are used with; before its record, which says that all is there."""
    store.folder(digest).mkdir(parents=True, exist_ok=True)
    write_whole(store.folder(digest) / USE, use.text)


def read_use(store: Store, digest: str) -> Use | None:
    """What a cell's weights are used with; None where the record is of an older kdbench, which did not keep it.

    Raises:
        KdbenchError: if the file is missing or damaged.
    """
    record = store.record(digest)
    if record is None or USE not in record.files:
        return None
    try:
        return Use.from_plain(json.loads(store.content(digest, USE)))
    except (ValueError, KeyError, TypeError) as error:
        raise KdbenchError(f"{store.folder(digest) / USE}: {error!r}; {AGAIN}") from None


def _step(recording: npt.NDArray[np.int64], start: npt.NDArray[np.int64]) -> int | None:
    """Samples between windows that follow each other in one recording, as it is most often."""
    import numpy as np

    order = np.lexsort((start, recording))
    steps = np.diff(start[order])[(np.diff(recording[order]) == 0) & (np.diff(start[order]) > 0)]
    if not len(steps):
        return None
    values, counts = np.unique(steps, return_counts=True)
    return int(values[counts.argmax()])

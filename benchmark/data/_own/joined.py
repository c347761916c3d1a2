"""Several files of one recording, each of another sensor, joined by time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from kdbench.data._archive import Source
from kdbench.data._own.csv import NARROW, Floats, Reader, Rows
from kdbench.data._own.toml import About
from kdbench.data._text import refuse
from kdbench.errors import KdbenchError


def grouped(source: Source, files: Sequence[str], parts: Sequence[str]) -> list[dict[str, str]]:
    """The files of every recording by part; where there are no parts, each file is one.

    Raises:
        KdbenchError: a name holds no part, or several, or a part of a recording is missing.
    """
    if not parts:
        return [{"": file} for file in files]
    groups: dict[str, dict[str, str]] = {}
    for file in files:
        stem = PurePosixPath(file).stem
        held = [part for part in parts if part in stem]
        longest = max(held, key=len, default="")
        if not held or any(part not in longest for part in held) or stem.count(longest) != 1:
            raise KdbenchError(f"{source.path}: {file}: wanted one of {', '.join(parts)} in its name, once{NARROW}")
        key = file.removesuffix(PurePosixPath(file).name) + stem.replace(longest, "*")
        if longest in groups.setdefault(key, {}):
            raise KdbenchError(f"{source.path}: {groups[key][longest]} and {file} are one part of one recording")
        groups[key][longest] = file
    for group in groups.values():
        if missing := [part for part in parts if part not in group]:
            first = next(iter(group.values()))
            raise KdbenchError(f"{source.path}: {first} has no file of part {missing[0]!r} beside it; wanted one")
    return list(groups.values())


def joined(reader: Reader, about: About, group: dict[str, str]) -> Rows:
    """The rows of a recording; those of further parts are brought to the times of the first part's."""
    first, *others = group
    names = about.columns
    rows = reader.rows(group[first], [n for n, part in zip(names, about.parts, strict=True) if part == first])
    if not others:
        return rows
    assert rows.time is not None
    values = np.empty((len(rows.line), len(names)))
    values[:, [part == first for part in about.parts]] = rows.values
    for part in others:
        mine = [each == part for each in about.parts]
        more = reader.rows(group[part], [n for n, here in zip(names, mine, strict=True) if here], labelled=False)
        values[:, mine] = _at(rows, more, about)
        lacking = np.isnan(values[:, mine]).any(axis=1) & (rows.label >= 0)
        if lacking.any() and reader.spec.fill is None and len(more.line) < 2:
            what = f"{group[part]} has {len(more.line)} rows, too few to be joined with {group[first]}"
            raise KdbenchError(f'{reader.source.path}: {what}; missing = "drop" leaves these out')
        if lacking.any() and reader.spec.fill is None:
            what = (
                f"has no value of {group[part]} within {_wide(more, about):.2g} s of its time, as {lacking.sum()} rows"
            )
            refuse(
                reader.source,
                group[first],
                int(rows.line[np.argmax(lacking)]),
                f'{what}; missing = "drop" leaves them out',
            )
    values[rows.label < 0] = np.nan
    return replace(rows, values=values)


def _wide(more: Rows, about: About) -> float:
    """Seconds that two samples of a part may be apart."""
    assert more.time is not None
    assert about.recordings is not None
    return max(about.recordings.gap or 1.5 / about.rate, 1.5 * float(np.median(np.diff(more.time))))


def _at(rows: Rows, more: Rows, about: About) -> Floats:
    """Values of another part on the line between its samples; NaN where these are too far apart."""
    assert rows.time is not None
    assert more.time is not None
    known = np.isfinite(more.time) & np.isfinite(more.values).all(axis=1)
    times, values = more.time[known], more.values[known]
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    if len(times) < 2:
        return np.full((len(rows.line), values.shape[1]), np.nan)
    wide = _wide(replace(more, time=times), about)
    after = np.clip(np.searchsorted(times, rows.time, side="left"), 1, len(times) - 1)
    out = np.stack([np.interp(rows.time, times, column) for column in values.T], axis=1)
    near = np.minimum(np.abs(rows.time - times[after]), np.abs(rows.time - times[after - 1]))
    inside = (rows.time >= times[0]) & (rows.time <= times[-1]) & (times[after] - times[after - 1] <= wide)
    out[~(inside | (near <= 0.5 / about.rate))] = np.nan
    return out

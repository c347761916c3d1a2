"""What `kdbench profile` says: the costs of networks, and how much less a student costs than its teacher."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from kdbench.catalog.build import make_dataset, network_for
from kdbench.catalog.find import DATASETS, NETWORKS
from kdbench.costs.counting import counts
from kdbench.costs.timing import costs
from kdbench.errors import KdbenchError, nearest
from kdbench.results.render import csv_text, markdown_text
from kdbench.results.sheet import Cell, Column, Sheet
from kdbench.results.tables.costs import compression
from kdbench.results.words.costs import HEADINGS, ratio, shown
from kdbench.spec.pairs import pair_lists, parse_pairs
from kdbench.spec.words import Spec, called, parse_method
from kdbench.store.plugins import network
from kdbench.text import aligned, described, first_line

Size = tuple[tuple[str, ...], int, int]
"""Names of the channels, samples and classes."""

SECONDS = 0.5
"""How long each of latency and throughput is timed."""


def window_size(text: str) -> tuple[int, int]:
    """Read channels and samples: ``9x128``, ``9X128`` or ``9×128``.

    Raises:
        KdbenchError: if the text has another form.
    """
    match = re.fullmatch(r"\s*([0-9]{1,4})\s*[xX×]\s*([0-9]{1,6})\s*", text)
    if not match or not int(match[1]) or not int(match[2]):
        raise KdbenchError(f"window {text!r} is not of the form CHANNELSxSAMPLES, as in 9x128")
    return int(match[1]), int(match[2])


def numbered(text: str, classes: int) -> Size:
    """The size that ``9x128`` and a number of classes say; channels are called by their numbers from 0.

    Raises:
        KdbenchError: if the text has another form.
    """
    channels, length = window_size(text)
    return tuple(map(str, range(channels))), length, classes


def size_of(dataset: Spec) -> Size:
    """Channels, samples and classes of a dataset's windows.

    Raises:
        KdbenchError: if there is no such dataset, or only data that are not here tell.
    """
    about = make_dataset(DATASETS.close(dataset)).description
    return tuple(channel.name for channel in about.channels), about.length, len(about.classes)


@dataclass(frozen=True)
class _Line:
    """A line of the table: a network's numbers, or why it has none, or how many times less a student costs."""

    label: str
    numbers: Mapping[str, float]
    reason: str = ""
    compares: bool = False

    def cells(self, keys: Sequence[str]) -> tuple[Cell, ...]:
        return Cell(self.label), *(Cell(self.numbers.get(key), self._text(key)) for key in keys)

    def _text(self, key: str) -> str:
        if self.compares:
            return ratio(self.numbers[key]) if key in self.numbers else ""
        return shown(key, self.numbers.get(key))


def profile(names: Sequence[str], size: Size, *, form: str, seconds: float = SECONDS, layers: bool = False) -> str:
    """Costs of networks and pairs as text.

    Args:
        names: networks, pairs and lists of pairs; every network at its defaults where there is none.
        size: of the windows.
        form: text, markdown or csv.
        seconds: how long to time each of latency and throughput; 0 leaves them out.
        layers: whether to show the work by kind of layer instead.

    Raises:
        KdbenchError: if a name is unknown, or a network that was named cannot take such windows.
    """
    lines = _lines(names, size, seconds, layers=layers)
    known = dict.fromkeys([*HEADINGS, *(key for line in lines for key in line.numbers)])
    keys = [key for key in known if any(key in line.numbers for line in lines)]
    columns = (Column("network", numeric=False), *(Column(HEADINGS.get(key, key), key) for key in keys))
    if form == "csv":
        why = [Column("reason", numeric=False)] if any(line.reason for line in lines) else []
        rows = [(*line.cells(keys), *(Cell(line.reason) for _ in why)) for line in lines]
        return csv_text(Sheet((*columns, *why), tuple(rows)))
    sheet = Sheet(columns, tuple(line.cells(keys) for line in lines))
    texts = [[column.heading for column in columns], *([cell.body for cell in row] for row in sheet.rows)]
    table = markdown_text(sheet) if form == "markdown" else "\n".join(aligned(texts))
    seen, length, classes = size
    head = f"windows of {len(seen)} x {length}, {classes} classes"
    if "latency_ms" in keys:
        head += "; times are of one CPU thread, and whatever else this machine does slows them"
    reasons = [f"{line.label}: {line.reason}" for line in lines if line.reason]
    return "\n\n".join([head, table, *reasons])


def _lines(names: Sequence[str], size: Size, seconds: float, *, layers: bool) -> list[_Line]:
    """Each network and each comparison once."""
    found: dict[str, _Line] = {}  # by label
    for group in _groups(names):
        try:
            labels = [str(Spec(called(spec), NETWORKS.short(spec).settings)) for spec in group]
        except KdbenchError as error:
            if names:
                raise
            found[group[0].name] = _Line(group[0].name, {}, reason=f"broken: {error}")
            continue
        for spec, label in zip(group, labels, strict=True):
            if label not in found:
                found[label] = _measure(spec, label, size, seconds, layers=layers)
            if names and found[label].reason:
                raise KdbenchError(f"{label}: {found[label].reason}")
        if len(labels) == 2:
            less = compression(*(found[label].numbers for label in labels))
            pair = " / ".join(labels)
            found |= {pair: _Line(pair, less, compares=True)} if less else {}
    return list(found.values())


def _groups(names: Sequence[str]) -> list[list[Spec]]:
    """Networks alone, and pairs of two."""
    if not names:
        return [[Spec(name)] for name in NETWORKS.names()]  # one that is broken says so, the others are measured
    groups: list[list[Spec]] = []
    for name in names:
        if name in pair_lists() or ":" in re.sub(r"\([^)]*\)", "", name):
            groups += [list(map(network, pair)) for pair in parse_pairs([name])]
        else:
            spec = network(parse_method(name))
            if "@" not in spec.name and spec.name not in NETWORKS.names():
                raise KdbenchError(
                    nearest("networks and lists of pairs", spec.name, [*NETWORKS.names(), *pair_lists()])
                )
            groups.append([spec])
    return groups


def _measure(spec: Spec, label: str, size: Size, seconds: float, *, layers: bool) -> _Line:
    part = NETWORKS.close(spec)
    channels, length = len(size[0]), size[1]
    try:
        with torch.random.fork_rng(devices=[]):
            measured = network_for(NETWORKS.get(part.name), part, *size)
        if not layers:
            return _Line(label, costs(measured, channels, length, seconds=seconds))
        counted = counts(measured, channels, length)
    except KdbenchError:  # channels that there are not
        raise
    except (ValueError, RuntimeError, MemoryError) as error:
        reason = first_line(error)
        if not isinstance(error, ValueError) and re.search(r"memory|overflow", reason, re.IGNORECASE):
            reason = f"too large for this machine's memory with {channels} x {length} and {size[2]} classes"
        return _Line(label, {}, reason=reason)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plug-in's
        return _Line(label, {}, reason=f"broken: {described(error)}")
    return _Line(label, {**counted.products, **counted.elementwise})

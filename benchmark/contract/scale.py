"""The rule of what a step costs when there are more training windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from kdbench.contract.bench import Candidate
from kdbench.contract.numerics import SIZES, Place, stand_in
from kdbench.contract.rules import Verdict, watched

WINDOWS = (20_000, 200_000)  # the fewer are already more than a method may look through for the sake of speed
MOST = 1.5
PICKS = ("index", "gather", "scatter", "embedding")  # operations on a table that touch what they are asked for alone
SHAPED = ("new_", "_like")  # operations that ask a tensor for its kind and size alone
SCALE = "a step costs the same whatever the number of training windows"


def judge_scale(candidate: Candidate, role: str, settings: Mapping[str, Any]) -> Verdict:
    """Compare the cost of a step with some training windows and with ten times as many."""
    verdict = Verdict()
    try:
        fewer, more = (_cost(candidate, role, settings, windows) for windows in WINDOWS)
    except (Exception, SystemExit):  # refused, or told of the hard places
        return verdict
    if more > MOST * fewer:
        much = f"{more / fewer:.1f} times as many numbers with {WINDOWS[1]} windows as with {WINDOWS[0]}"
        verdict.found(SCALE, f"it reads and writes {much}")
    return verdict


def _cost(candidate: Candidate, role: str, settings: Mapping[str, Any], windows: int) -> int:
    """How many numbers the second step reads and writes; the first may still set something up."""
    place = Place(windows=windows)
    method, nets, batch, _ = stand_in(candidate, role, place, SIZES["maps"], settings)
    method.train()
    method.start_epoch(2, 3)
    for _ in range(2):
        with _Traffic() as traffic:
            for losses in watched(method.rounds, batch, nets):
                torch.autograd.backward(list(losses.values()))
    return int(traffic.numbers)


class _Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the numbers that operations read and write, which unlike time is the same on a busy machine.

    A view costs nothing. Of a table from which rows are picked, or into which rows are put, these rows alone count.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.numbers: int = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            given, made = ([x for x in tree_leaves(tree) if isinstance(x, Tensor)] for tree in ((args, kwargs), result))
            if any(word in func.__name__ for word in (*PICKS, *SHAPED)):
                table, *given = given
                made = [x for x in made if x.data_ptr() != table.data_ptr()]
            self.numbers += sum(x.numel() for x in [*given, *made])
        return result

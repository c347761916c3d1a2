"""A random forest on simple statistics of the windows."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier

from kdbench.references._base import Reference
from kdbench.references._features import statistics
from kdbench.settings import Range


class Forest(Reference):
    """A random forest on statistics of each window, in time and in frequency.

    What a network is worth shows beside it: on many sensor datasets no network of this size is better. It sees what the
    student sees: the same people, windows and channels, normalised alike.

    Source: Breiman, "Random forests", Machine Learning 45, 2001, https://doi.org/10.1023/A:1010933404324.

    Args:
        seed: of the draws of windows and statistics.
        trees: how many.
        leaf: fewest training windows in a leaf.

    Deviations: none; scikit-learn's, with its other defaults.
    """

    note = "a random forest on statistics of each window, no network; a reference that is not ranked and in no test"

    def __init__(
        self, seed: int, *, trees: Annotated[int, Range(1, 10_000)] = 300, leaf: Annotated[int, Range(1, 1000)] = 1
    ) -> None:
        super().__init__(seed)
        self._forest = RandomForestClassifier(
            trees,
            min_samples_leaf=leaf,
            n_jobs=1,
            random_state=seed % 2**32,  # the most that scikit-learn takes
        )

    def fit(self, x: npt.NDArray[np.float32], y: npt.NDArray[np.int64], *, rate: float, classes: int) -> None:
        self._rate, self._classes = rate, classes
        found = statistics(x, rate)
        self._count = found.shape[1]
        self._forest.fit(found, y)

    def probabilities(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        whole = np.zeros((len(x), self._classes))
        whole[:, self._forest.classes_] = self._forest.predict_proba(statistics(x, self._rate))  # those it has seen
        return whole

    def facts(self) -> dict[str, float]:
        trees = [tree.tree_ for tree in self._forest.estimators_]
        nodes = sum(tree.node_count for tree in trees)
        return {"statistics": self._count, "nodes": nodes, "depth": max(tree.max_depth for tree in trees)}

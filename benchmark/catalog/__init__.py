"""Names to classes, signatures to schemas: what can be listed in a matrix, and with which settings.

Built-in methods, networks and datasets are found in their folders (one public file each); an installed package adds its
own through the entry-point groups ``kdbench.methods``, ``kdbench.architectures`` and ``kdbench.datasets``.

``METHODS``, ``NETWORKS`` and ``DATASETS`` are loaded on use, so that what only needs names does not wait for torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdbench.catalog.find import DATASETS, METHODS, NETWORKS

__all__ = ["DATASETS", "METHODS", "NETWORKS"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kdbench.catalog import find

    return getattr(find, name)

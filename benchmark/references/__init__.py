"""What networks are set beside that is no network: one public file = one reference, fitted at once, never ranked.

One public file holds one public subclass of ``Reference``; the file's name is what a matrix calls it, among methods.
A reference written elsewhere joins through the entry-point group ``kdbench.references``.
"""

from kdbench.references._base import Reference

__all__ = ["Reference"]

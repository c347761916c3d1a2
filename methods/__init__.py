"""Distillation methods: one public file = one method.

A file's name is the method's name in matrix files and on the command line. A method written elsewhere joins through the
entry-point group ``kdbench.methods``.
"""

from kdbench.methods._base import Batch, Losses, Method, Nets, NotApplicable, ParameterGroup, Role, Setup

__all__ = ["Batch", "Losses", "Method", "Nets", "NotApplicable", "ParameterGroup", "Role", "Setup"]

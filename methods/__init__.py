"""Distillation methods: one public file = one method.

A file's name is the method's name in matrix files and on the command line. A method written elsewhere joins through the
entry-point group ``kdbench.methods``.
"""

from kdbench.kinds import KINDS
from kdbench.methods._base import (
    Batch,
    Losses,
    Method,
    Nets,
    Network,
    NotApplicable,
    ParameterGroup,
    Setup,
)
from kdbench.methods._functional import at_least_float32, cross_entropy, soft_divergence
from kdbench.roles import Role

__all__ = [
    "KINDS",
    "Batch",
    "Losses",
    "Method",
    "Nets",
    "Network",
    "NotApplicable",
    "ParameterGroup",
    "Role",
    "Setup",
    "at_least_float32",
    "cross_entropy",
    "soft_divergence",
]

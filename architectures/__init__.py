"""Networks for windows of wearable-sensor data: one public file = one architecture.

A file's name is the network's name in matrix files and on the command line.
"""

from kdbench.architectures._base import Backbone, Outputs, Shapes, evaluating, probe
from kdbench.architectures._costs import Counts, counts, file_size, multiply_adds, parameters
from kdbench.architectures._settings import Choice, Range

__all__ = [
    "Backbone",
    "Choice",
    "Counts",
    "Outputs",
    "Range",
    "Shapes",
    "counts",
    "evaluating",
    "file_size",
    "multiply_adds",
    "parameters",
    "probe",
]

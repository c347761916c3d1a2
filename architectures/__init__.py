"""Networks for windows of wearable-sensor data: one public file = one architecture.

A file's name is the network's name in matrix files and on the command line.
"""

from kdbench.architectures._base import Backbone, Outputs, Shapes, probe
from kdbench.architectures._costs import Counts, activation_memory, counts, file_size, multiply_adds, parameters
from kdbench.architectures._settings import Choice, Range

__all__ = [
    "Backbone",
    "Choice",
    "Counts",
    "Outputs",
    "Range",
    "Shapes",
    "activation_memory",
    "counts",
    "file_size",
    "multiply_adds",
    "parameters",
    "probe",
]

"""Networks for windows of wearable-sensor data: one public file = one architecture.

A file's name is the network's name in matrix files and on the command line.
"""

from kdbench.architectures._base import Backbone, Outputs, Shapes, evaluating, on_its_own, probe
from kdbench.settings import Choice, Range

__all__ = ["Backbone", "Choice", "Outputs", "Range", "Shapes", "evaluating", "on_its_own", "probe"]

"""Datasets of windows with people, and how they are found, checked, cached, split and normalised.

One public file is one dataset and holds one public subclass of ``Dataset``; the file's name is the dataset's name.
Everything else is in files that begin with an underscore and is imported from here.
"""

from kdbench.data._archive import Source, git_id
from kdbench.data._base import Channel, Dataset, Description, Windows
from kdbench.data._normalise import Normalisation
from kdbench.data._prepare import Prepared, cached, kept, located, prepare
from kdbench.data._protocols import PROTOCOLS, Protocol, Split, person_judged, protocol, split
from kdbench.data._sealed import ReadOfTestPeople, sealed

__all__ = [
    "PROTOCOLS",
    "Channel",
    "Dataset",
    "Description",
    "Normalisation",
    "Prepared",
    "Protocol",
    "ReadOfTestPeople",
    "Source",
    "Split",
    "Windows",
    "cached",
    "git_id",
    "kept",
    "located",
    "person_judged",
    "prepare",
    "protocol",
    "sealed",
    "split",
]

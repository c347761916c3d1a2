"""The command line. Imports nothing heavy: ``--help`` answers at once, commands import what they need."""

from kdbench.cli import cells, control, data, deploy, look, run, serve, stats, store, teachers, tune, views
from kdbench.cli._main import main

__all__ = [
    "cells",
    "control",
    "data",
    "deploy",
    "look",
    "main",
    "run",
    "serve",
    "stats",
    "store",
    "teachers",
    "tune",
    "views",
]

"""The command line. Imports nothing heavy: ``--help`` answers at once, commands import what they need."""

from kdbench.cli import data, look, run, serve, stats, store, tune
from kdbench.cli._main import main

__all__ = ["data", "look", "main", "run", "serve", "stats", "store", "tune"]

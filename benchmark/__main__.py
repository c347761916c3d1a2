"""``python -m kdbench``: the command where its script is not on the path."""

from kdbench.cli import main

main()

"""What converters write comes nowhere, by whatever means they write it; what kdbench says before and after stays."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stdout

import pytest

from kdbench.deploy.quiet import quiet, told
from kdbench.errors import KdbenchError

LOUD = """
import ctypes, logging, os, subprocess, sys, warnings
from kdbench.deploy.quiet import quiet, told

held = sys.stdout, sys.stderr, logging.StreamHandler()
print("before", end=" ")
with {block}:
    os.write(1, b"descriptor 1\\n")
    os.write(2, b"descriptor 2\\n")
    print("Python's output")
    print("Python's error", file=sys.stderr)
    print("Python's output as it was", file=held[0])
    print("Python's error as it was", file=held[1])
    print("the first output", file=sys.__stdout__)
    held[2].emit(logging.makeLogRecord({{"msg": "a handler that was there"}}))
    ctypes.CDLL(None).printf(b"C's output, held back\\n")
    subprocess.run([sys.executable, "-S", "-c", "print('a process')"], check=True)
    warnings.warn("a warning")
    logging.getLogger("converter").warning("a logged warning")
    late = logging.StreamHandler()
print("after")
print("an error", file=sys.stderr)
late.emit(logging.makeLogRecord({{"msg": "a handler that was made meanwhile"}}))
"""


@pytest.mark.parametrize("block", ["quiet()", "told('it cannot')"])
def test_nothing_that_is_written_inside_is_seen_and_all_that_is_written_around_it(block: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LOUD.format(block=block)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "before after\n", "an error\n")


def test_streams_that_a_notebook_put_there_are_quiet_too_and_come_back() -> None:
    with redirect_stdout(io.StringIO()) as seen:
        print("before")
        with pytest.raises(KdbenchError, match="it cannot: inside"), told("it cannot"):
            raise ValueError(print("inside") or "inside")
        with quiet():
            print("inside")
        print("after")
    assert seen.getvalue() == "before\nafter\n"

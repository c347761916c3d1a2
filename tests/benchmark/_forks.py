"""A server that forks: imports kdbench once, then starts real processes in milliseconds instead of seconds.

Reads a JSON line per request from standard input, answers each with one. ``{"code", "env", "path", "log", "inside"}``
runs Python code in a new process with standard output and error in ``<log>.out`` and ``<log>.err``, in the user and
mount namespaces of process ``inside`` if given; the answer is its number. ``{"wait": number}`` answers its exit code.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback
from typing import Any


def run(request: dict[str, Any]) -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    if request["inside"]:
        libc = ctypes.CDLL(None, use_errno=True)
        for space in ("user", "mnt"):
            with open(f"/proc/{request['inside']}/ns/{space}") as file:
                if libc.setns(file.fileno(), 0):
                    raise OSError(ctypes.get_errno(), f"setns {space}")
    for number, name in enumerate((os.devnull, request["log"] + ".out", request["log"] + ".err")):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644), number)
    os.environ.update(request["env"])
    sys.path[:0] = request["path"]
    try:
        exec(compile(request["code"], "<request>", "exec"), {"__name__": "request"})
        code: Any = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


def main() -> None:

    import kdbench.commands.listing
    import kdbench.session
    import kdbench.track.tracker
    import kdbench.tune.ledger
    import kdbench.worker  # noqa: F401

    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                os._exit(run(request))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":  # worker processes import this file too
    main()

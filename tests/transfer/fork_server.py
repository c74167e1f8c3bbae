"""Import the command-line program once and fork a copy for each run: a start costs milliseconds instead of a second.

Requests come on stdin and answers go to stdout, one JSON document a line. `Programs` in conftest.py is the client.

``{"arguments": [], "source": null, "environment": {}, "folder": "/", "output": "/file"}`` starts a run and is answered
with its process ID. With ``source`` the run executes that Python text, as ``python -c`` would.
``{"poll": 123}`` is answered with the exit code of process 123 (negative: the signal that ended it), or with null while
it runs.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from typing import Any

import apsw  # noqa: F401 -- imported before the fork, so that no copy has to
import psycopg  # noqa: F401 -- as above
from sqlalchemy.orm import configure_mappers

from aragora_db.cli.main import main
from aragora_db.transfer import import_folder  # noqa: F401 -- as above


def serve() -> dict[str, Any] | None:
    """Answer requests until stdin ends. Return None then, and in a forked copy the request that it has to run."""
    ended: dict[int, int | None] = {}
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if "poll" in request:
            pid = request["poll"]
            if ended[pid] is None:
                found, status = os.waitpid(pid, os.WNOHANG)
                ended[pid] = os.waitstatus_to_exitcode(status) if found else None
            answer = ended[pid]
        else:
            answer = os.fork()
            if answer == 0:
                return request
            ended[answer] = None
        print(json.dumps(answer), flush=True)  # noqa: T201 -- the answer to the client
    return None


def prepare(request: dict[str, Any]) -> None:
    """Give a forked copy its own streams, environment, folder and arguments."""
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for given, taken in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(given, taken)
    os.close(output)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["aragora-db", *request["arguments"]]


configure_mappers()
gc.freeze()  # or each copy would collect what all of them share
task = serve()
if task is not None:
    prepare(task)
    if task["source"] is not None:
        exec(compile(task["source"], "<source>", "exec"), {"__name__": "__main__"})  # noqa: S102 -- the test's own text
    else:
        main()

"""Runs as a process of its own, which forks others: each with all modules imported, all released at the same moment.

Reads requests from stdin, one JSON object a line:

    url: the database.
    work: "migrate" is ``aragora-db migrate``, "use" a first session.
    processes: how many to fork.
    seconds: after which a process that hangs is killed by SIGALRM.
    kill_at: the number of the statement or commit before which the process kills itself; absent for never.
    scripts: the folder of the revisions; absent for the package's own.

Answers with one line of JSON: for each process its exit code, or minus the signal that ended it, and its output.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import psycopg  # noqa: F401 -- imported here, so that no process imports it
import sqlalchemy as sa

from aragora_db import Database, get_database
from aragora_db.cli import main
from aragora_db.migrations import scripts
from aragora_db.models import EloRating


def use() -> None:
    """Open a first session, which initialises an empty database."""
    with get_database().session(read_only=True) as session:
        assert session.query(EloRating).count() == 0


WORK = {"migrate": lambda: main(["migrate"]), "use": use}


def kill_before(number: int) -> None:
    """Kill this process before its ``number``-th statement or commit."""
    steps = itertools.count(1)

    def step(*_: Any) -> None:
        if next(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    for name in ("before_cursor_execute", "commit"):
        sa.event.listen(sa.Engine, name, step)


def work(request: dict[str, Any], gate: tuple[int, int], output: IO[str]) -> None:
    """What a forked process does."""
    signal.alarm(request["seconds"])
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output.fileno(), stream.fileno())
    os.environ["DATABASE_URL"] = request["url"]
    if "scripts" in request:
        scripts.script_location = lambda: Path(request["scripts"])
        scripts.chain.cache_clear()
        scripts.checksum.cache_clear()
    if "kill_at" in request:
        kill_before(request["kill_at"])
    reader, writer = gate
    os.close(writer)
    os.read(reader, 1)  # returns when the last copy of the writing end is closed: every process is there
    WORK[request["work"]]()


def answer(request: dict[str, Any]) -> list[tuple[int, str]]:
    """Fork the processes and wait for them."""
    gate = os.pipe()
    with ExitStack() as files:
        outputs = [files.enter_context(tempfile.TemporaryFile("w+")) for _ in range(request["processes"])]
        children = []
        for output in outputs:
            child = os.fork()
            if child == 0:
                work(request, gate, output)
                sys.exit(0)
            children.append(child)
        for end in gate:
            os.close(end)
        answers = []
        for child, output in zip(children, outputs, strict=True):
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            output.seek(0)
            answers.append((code, output.read()))
        return answers


def import_everything() -> None:
    """Migrate once: much is imported, compiled and configured at first use only."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/warm-up.db")
        database.migrate()
        database.close()


if __name__ == "__main__":
    import_everything()
    gc.freeze()  # otherwise each process copies all of it at its first collection
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)  # noqa: T201 -- the answer

"""The test process's side of the keeper: starting it, asking it for servers, letting it go."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

from aragora_db.testing.process import start_error

__all__ = ["OwnKeeper", "ask"]

_READY_SECONDS = 30.0
_ANSWER_SECONDS = 300.0
_CLOSE_SECONDS = 30.0


class OwnKeeper:
    """A keeper process of ours. Closing it, or the end of this process, stops every server it started."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._process: subprocess.Popen[str] | None = None
        self._control = ""

    @property
    def control(self) -> str:
        """The path of the socket that takes requests; the first look at it starts the keeper.

        Raises:
            AragoraDBError: the keeper did not start.
        """
        if self._process is None:
            process = _spawn()
            self._control = _first_line(process)
            self._process = process
        return self._control

    @property
    def pid(self) -> int | None:
        """The keeper's process id, or None while there is none."""
        return self._process.pid if self._process is not None else None

    def close(self) -> None:
        """Stop the servers and wait until they and their folder are gone. In a forked child: do nothing."""
        if self._process is None or os.getpid() != self._owner:
            return
        process, self._process = self._process, None
        # A forked child of ours may hold the pipe open as well, so the signal says it too.
        process.terminate()
        if process.stdin is not None:
            process.stdin.close()
        process.wait(_CLOSE_SECONDS)


def ask(control: str, kind: str, **details: str) -> dict[str, Any] | str:
    """Ask the keeper at ``control`` for a server: its address, or the reason why there is no such server here.

    Raises:
        AragoraDBError: it is there but did not start; the message ends with its log.
    """
    try:
        line = _exchange(control, json.dumps({"start": kind, **details}))
    except OSError as error:
        raise start_error(f"The keeper of the test servers does not answer ({error}). Run the tests again") from error
    answer = cast("dict[str, Any]", json.loads(line or '{"error": "the keeper ended"}'))
    if "error" in answer:
        raise start_error(f"The test server {kind} did not start: {answer['error']}")
    return cast("dict[str, Any] | str", answer["ok"] if "ok" in answer else answer["missing"])


def _exchange(control: str, request: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_SECONDS)
        connection.connect(control)
        with connection.makefile("rw", encoding="utf-8") as stream:
            stream.write(f"{request}\n")
            stream.flush()
            return stream.readline()


def _spawn() -> subprocess.Popen[str]:
    # -P keeps the working directory, where a folder may be called alembic, out of the keeper's import path.
    package_root = str(Path(__file__).parents[2])
    search = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), package_root)))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "aragora_db.testing.keeper"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": search},
        start_new_session=True,
    )


def _first_line(process: subprocess.Popen[str]) -> str:
    """The path that a started keeper prints; after that nothing more comes, so its pipes are closed."""
    if process.stdout is None or process.stderr is None:
        raise start_error("The keeper was started without pipes")
    with process.stdout, process.stderr:
        answered, _, _ = select.select([process.stdout], [], [], _READY_SECONDS)
        line = process.stdout.readline() if answered else ""
        if line:
            return str(json.loads(line)["control"])
        process.kill()
        said = process.stderr.read()
        process.wait()
    raise start_error(f"The keeper of the test servers did not start. It said:\n{said or '(nothing)'}")

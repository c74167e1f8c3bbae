"""`aragora-db serve`: uvicorn in this process, with an end that loses no request."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
import time
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from aragora_db.errors import ConfigurationError
from aragora_db.operate.health import app
from aragora_db.operate.health.context import Drain

if TYPE_CHECKING:
    from aragora_db.database import Database

__all__ = ["listen", "log_as_json", "serve"]

log = logging.getLogger("aragora_db.operate.health")

FINISH_SECONDS = 20
"""How long requests under way may take after the server stopped accepting: with the drain below Kubernetes's 30 s."""
_BACKLOG = 2048


class _Server(uvicorn.Server):
    """Leaves in three steps: not ready, then no new connections, then no connections.

    Args:
        config: uvicorn's.
        drain: makes the instance not ready.
        drain_seconds: how long it goes on serving after that.
    """

    def __init__(self, config: uvicorn.Config, drain: Drain, drain_seconds: float) -> None:
        super().__init__(config)
        self._drain, self._drain_seconds = drain, drain_seconds
        self._leave_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 -- uvicorn's signature
        """The first signal begins to leave, the second one leaves at once.

        Uvicorn's own would stop accepting at once, while load balancers still send requests here, and would end the
        process by the signal again, so that no exit code could say that all went well.
        """
        if self._drain.begun:
            self.should_exit = self.force_exit = True
            return
        self._drain.begin()
        log.info("not ready any more; stops in %g s, then finishes what is under way", self._drain_seconds)
        self._leave_at = time.monotonic() + self._drain_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Signals are handled and connections accepted when the log says so."""
        await super().startup(sockets)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            log.info("listening on http://%s:%s", f"[{host}]" if ":" in host else host, port)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if self._leave_at is not None and time.monotonic() >= self._leave_at:
            self.should_exit = True
        return await super().on_tick(counter)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Args:
        host: a name or an address of this machine.
        port: 0 takes a free one.

    Raises:
        ConfigurationError: there is nothing to listen on; the message says why and what to do.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:  # a label of more than 63 characters cannot be encoded
        why = getattr(error, "strerror", "not a name")
        raise ConfigurationError(
            f"{host} is no address of this machine ({why}); choose another with --host, such as 127.0.0.1 or 0.0.0.0"
        ) from error
    # Without the protocol's name asyncio does not switch Nagle's algorithm off: 40 ms an answer over a kept connection.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # on Windows this option would share the port with another process
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"port {port} of {host} cannot be listened on: {error.strerror}. Stop what listens there "
            f"(ss -ltnp 'sport = :{port}' names it), or choose another one with --port or --host"
        ) from error
    return listener


def serve(db: Database, listener: socket.socket, drain_seconds: float) -> bool:
    """Serve until a signal comes, then leave.

    A database that is down is no reason not to start: `/readyz` says so, and says otherwise when it is back.

    Args:
        db: the database; it is closed at the end.
        listener: from `listen`.
        drain_seconds: how long to go on serving, not ready, after SIGTERM or SIGINT.

    Returns:
        Whether every request was answered; not so after a second signal.
    """
    drain = Drain()
    config = uvicorn.Config(
        app(db, drain=drain),
        log_config=None,
        access_log=False,  # ours is structured
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=FINISH_SECONDS,
        backlog=_BACKLOG,
    )
    server = _Server(config, drain, drain_seconds)
    try:
        asyncio.run(server.serve([listener]))
    finally:
        db.close()
    log.info("stopped" if not server.force_exit else "stopped at once, by a second signal")
    return not server.force_exit


class _JsonLines(logging.Formatter):
    """One JSON object per line, as the access log's are."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == "aragora_db.access":
            return record.getMessage()
        line = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_as_json() -> None:
    """Write what is logged to stderr, a JSON object per line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # Every statement and every migration step would be a line; warnings are enough from below.
    for name in ("sqlalchemy", "alembic", "uvicorn", "aragora_db.engine"):
        logging.getLogger(name).setLevel(logging.WARNING)

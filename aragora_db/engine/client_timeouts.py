"""Deadlines for what waits for PostgreSQL."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from aragora_db.engine import watchdog

__all__ = ["driver_of", "in_time", "shut_down", "watch_statements"]


def watch_statements(engine: Engine, seconds: float) -> None:
    """Hang up when a statement, COMMIT or ROLLBACK has no answer after that many seconds and a moment of grace."""
    limit = seconds + watchdog.GRACE
    # Not through SQLAlchemy's events: two for each statement cost more than the deadline itself, which takes 1.5 us.
    for name in ("do_execute", "do_executemany", "do_execute_no_params"):
        setattr(engine.dialect, name, _statement_in_time(getattr(engine.dialect, name), limit))
    # An engine's first connection is asked for its isolation level while all others wait.
    for name in ("do_commit", "do_rollback", "get_isolation_level"):
        setattr(engine.dialect, name, in_time(getattr(engine.dialect, name), limit))


def _statement_in_time(execute: Callable[..., None], seconds: float) -> Callable[..., None]:
    def timed(*arguments: Any) -> None:
        context = arguments[-1]
        driver = driver_of(context.root_connection.connection.dbapi_connection)

        def hang_up() -> None:
            context.aragora_timed_out = True
            shut_down(driver)

        deadline = watchdog.watch(seconds, hang_up)
        try:
            execute(*arguments)
        finally:
            watchdog.cancel(deadline)

    return timed


def in_time(call: Callable[[Any], Any], seconds: float) -> Callable[[Any], Any]:
    """A method of the dialect's, which takes a DBAPI connection, with a deadline."""

    def watched(dbapi_connection: Any) -> Any:
        driver = driver_of(dbapi_connection)
        deadline = watchdog.watch(seconds, lambda: shut_down(driver))
        try:
            return call(dbapi_connection)
        finally:
            watchdog.cancel(deadline)

    return watched


def driver_of(dbapi_connection: Any) -> Any:
    """The connection of psycopg's, which SQLAlchemy wraps for async engines."""
    return getattr(dbapi_connection, "driver_connection", dbapi_connection)


def shut_down(driver: Any) -> None:
    """End both directions of a socket: the thread or the event loop that waits for it sees end of file."""
    if driver.closed:
        return
    # Borrowed, not duplicated: a process that ran out of descriptors needs its timeouts most.
    borrowed = socket.socket(fileno=driver.pgconn.socket)
    try:
        borrowed.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the peer was quicker
    finally:
        borrowed.detach()

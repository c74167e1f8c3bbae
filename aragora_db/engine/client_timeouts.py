"""Deadlines for what waits for PostgreSQL; `dialect_calls` puts them in place."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from aragora_db.engine import watchdog

__all__ = ["driver_of", "in_time", "shut_down", "statement_in_time"]


def statement_in_time(execute: Callable[..., None], seconds: float) -> Callable[..., None]:
    """Limit a method of the dialect that sends a statement, whose last argument is the execution context."""

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
    """Limit a method of the dialect that takes a DBAPI connection."""

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

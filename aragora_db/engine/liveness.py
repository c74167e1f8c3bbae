"""The pool's pre-ping on PostgreSQL: a look at the socket before each unit of work, a round trip once a second."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlalchemy.util import await_only

from aragora_db.engine.client_timeouts import driver_of, in_time

__all__ = ["ping_cheaply", "ping_each_time"]

_TRUSTED_SECONDS = 1.0


def _now() -> float:
    """Seconds; Linux's other clock stands still while a machine is suspended, and its connections time out."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def ping_cheaply(engine: Engine, seconds: float) -> None:
    """Ping a connection that the server may have ended, and any other once a second; for ``seconds``, or without end.

    A server that shuts down, fails over or ends a session closes the socket, which the kernel here knows without asking
    anybody. Only a peer that vanished without a word has to be asked, and is found a second later for it.
    """
    ping = in_time(_round_trip(engine), seconds) if seconds else _round_trip(engine)
    answered: WeakKeyDictionary[Any, float] = WeakKeyDictionary()

    def look_or_ping(dbapi_connection: Any) -> bool:
        driver, now = driver_of(dbapi_connection), _now()
        if now - answered.get(driver, -_TRUSTED_SECONDS) < _TRUSTED_SECONDS and _silent(driver):
            return True
        answered.pop(driver, None)
        ping(dbapi_connection)
        answered[driver] = now
        return True

    engine.dialect.do_ping = look_or_ping  # type: ignore[method-assign]


def ping_each_time(engine: Engine, seconds: float) -> None:
    """Ping before each unit of work, and give up after that many seconds: there is another server to ask."""
    engine.dialect.do_ping = in_time(_round_trip(engine), seconds)  # type: ignore[method-assign, assignment]


def _round_trip(engine: Engine) -> Callable[[Any], bool]:
    """An empty query, sent without a cursor.

    It takes 28 us instead of the 64 us of SQLAlchemy's own, which makes a cursor for ``SELECT 1``, and switches to
    autocommit and back so that no transaction begins; an empty simple query begins none.
    """
    import psycopg  # noqa: PLC0415 -- takes 50 ms, and SQLite does not need it
    from psycopg import generators  # noqa: PLC0415 -- as above

    is_async = engine.dialect.is_async

    def ping(dbapi_connection: Any) -> bool:
        driver = driver_of(dbapi_connection)
        driver.pgconn.send_query(b"")
        # psycopg's own wait: Ctrl-C gets through, and the event loop goes on.
        waiting = driver.wait(generators.execute(driver.pgconn))
        for result in await_only(waiting) if is_async else waiting:
            if result.status != psycopg.pq.ExecStatus.EMPTY_QUERY:
                raise psycopg.errors.error_from_result(result)
        return True

    return ping


def _silent(driver: Any) -> bool:
    """Whether the server has sent nothing unasked: neither a word nor the end of the connection."""
    if not hasattr(select, "poll"):  # Windows
        return False
    poll = select.poll()
    poll.register(driver.pgconn.socket, select.POLLIN)
    return not poll.poll(0)

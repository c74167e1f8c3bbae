"""A child process never shares a parent's socket, nor a parent's open file."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, event

from aragora_db.at_fork import call_in_children

__all__ = ["forget_connections_in_children"]

# The idle connections of each engine, by the id of the DBAPI connection.
_idle: WeakKeyDictionary[Engine, dict[int, Any]] = WeakKeyDictionary()

# Collected, a parent's connections would be closed, with a warning at best.
_inherited: list[Any] = []


def forget_connections_in_children(engine: Engine) -> None:
    """After ``os.fork`` the child starts with an empty pool.

    Two processes writing to one socket mix up their answers. The child leaves the parent's connections alone instead
    of closing them, because a close would say goodbye to the server in the parent's name
    (https://docs.sqlalchemy.org/en/21/core/pooling.html#using-connection-pools-with-multiprocessing-or-os-fork).

    SQLite is the other way round. It remembers per process which file locks it holds, a child inherits the memory but
    not the locks, and the last process that does hold them removes the WAL under the child's later commits. So the
    child closes what was idle; what was in use it cannot close without rolling back pages that it shares with the
    parent (https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_).
    """
    idle = _idle[engine] = {}

    def came_back(dbapi_connection: Any, _record: Any) -> None:
        if dbapi_connection is not None:  # invalidated while it was out
            idle[id(dbapi_connection)] = dbapi_connection

    def went_out(dbapi_connection: Any, *_: Any) -> None:
        idle.pop(id(dbapi_connection), None)

    event.listen(engine, "checkin", came_back)
    event.listen(engine, "checkout", went_out)
    event.listen(engine, "close", went_out)


@call_in_children
def _reset_after_fork() -> None:
    for engine, idle in list(_idle.items()):
        _inherited.append(engine.pool)
        engine.dispose(close=False)
        if engine.dialect.name == "sqlite":
            for dbapi_connection in idle.values():
                _close_file(dbapi_connection)
        idle.clear()


def _close_file(dbapi_connection: Any) -> None:
    if hasattr(dbapi_connection, "run_async"):
        # aiosqlite would ask its thread, which did not come along; None if it was stopped before.
        dbapi_connection = dbapi_connection.driver_connection._connection  # noqa: SLF001 -- see above
    if dbapi_connection is not None:
        dbapi_connection.close()

"""SQLite: the PRAGMAs of a connection, and transactions that begin when we say so."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from sqlalchemy import Connection, Engine, event

from aragora_db.engine.begin import send_begin
from aragora_db.engine.dialect_calls import surround
from aragora_db.engine.target import Target
from aragora_db.errors import ConfigurationError

__all__ = [
    "READ_ONLY",
    "command_deadline",
    "engine_arguments",
    "fixed_pool_arguments",
    "listen",
    "memory_uri",
    "pool_settings",
    "url_parts",
]

_OLDEST = (3, 37)

# Virtual-machine instructions between two looks at the clock: about a millisecond, too rare to be measurable.
_INSTRUCTIONS = 100_000
_CLOCK = "aragora_clock"

# Seconds; `_INSTRUCTIONS` take a fiftieth of that on a slow machine.
_LONGEST_STEP = 0.1

# Seconds between two attempts to set a PRAGMA; the other process needs one or two milliseconds.
_PAUSE = 0.002

# Execution option of `read_only` engines; see _begin.
READ_ONLY = "aragora_read_only"


def memory_uri(target: Target) -> str:
    """The URI of a database in memory.

    SQLite's ``memdb`` VFS gives it a name, so that the sync and the async engine of one target see the same database
    (https://www.sqlite.org/src/file/src/memdb.c). Plain ``:memory:`` gives every connection a database of its own.
    """
    return f"file:/{target.memory_name}?vfs=memdb"


def url_parts(target: Target) -> dict[str, Any]:
    """What `sqlalchemy.URL.create` needs beside the driver's name."""
    if target.in_memory:
        return {"database": f"file:/{target.memory_name}", "query": {"vfs": "memdb", "uri": "true"}}
    return {"database": str(target.file)}


def engine_arguments(target: Target) -> dict[str, Any]:
    """Arguments of ``sqlalchemy.create_engine`` that have nothing to do with the pool."""
    # The pool hands a connection to one thread at a time; the driver's own check would forbid the hand-over.
    return {"connect_args": {"check_same_thread": False, "timeout": target.settings.busy_timeout}}


def pool_settings(target: Target) -> dict[str, Any]:
    """Pool arguments: the settings' for a file, one connection for a database in memory.

    There readers and the writer block each other, so one connection is as fast as many and never busy. Neither kind
    is recycled: a file handle does not go stale.
    """
    settings = target.settings
    return {
        "pool_size": 1 if target.in_memory else settings.pool_size,
        "max_overflow": 0 if target.in_memory else settings.pool_max_overflow,
        "pool_timeout": settings.pool_timeout,
        "pool_recycle": -1,
        "pool_pre_ping": False,
        "pool_use_lifo": True,
    }


def fixed_pool_arguments(target: Target) -> frozenset[str]:
    """Pool arguments that the caller cannot change."""
    return frozenset({"pool_size", "max_overflow", "pool_recycle"}) if target.in_memory else frozenset()


def listen(engine: Engine, target: Target) -> None:
    """Prepare each new connection and begin each transaction.

    Raises:
        ConfigurationError: this Python's SQLite is too old.
    """
    if sqlite3.sqlite_version_info < _OLDEST:
        raise ConfigurationError(
            f"this Python has SQLite {sqlite3.sqlite_version}; aragora_db needs 3.37 or newer, which knows STRICT "
            "tables: use another Python, or PostgreSQL through DATABASE_URL"
        )

    @event.listens_for(engine, "do_connect")
    def _make_folder(*_: Any) -> None:
        if target.file is None:
            return
        try:
            target.file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"the folder {target.file.parent} for the SQLite file cannot be made: {error.strerror}. Choose another "
                "one with ARAGORA_DATA_DIR, or another database with DATABASE_URL"
            ) from error

    @event.listens_for(engine, "connect")
    def _prepare(dbapi_connection: Any, _record: Any) -> None:
        # pysqlite begins a transaction only before INSERT, UPDATE and DELETE, so that DDL and SELECT run outside of
        # it; off, and _begin does it (https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-serializable).
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        try:
            for pragma in _pragmas(target):
                _set(cursor, pragma, target.settings.busy_timeout)
        finally:
            cursor.close()

    surround(engine)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "reset", _allow_writes)
    if target.settings.statement_timeout:
        _interrupt_slow_statements(engine, target.settings.statement_timeout)


def command_deadline(_target: Target) -> float:
    """Return 0: SQLite has no server that could be silent."""
    return 0.0


def _set(cursor: Any, pragma: str, seconds: float) -> None:
    """Set a PRAGMA, trying again for that many seconds while the file is locked.

    Of several processes that switch a new file to WAL at the same time SQLite refuses some at once, whatever their
    ``busy_timeout``: all hold a shared lock, and waiting for each other would never end
    (https://www.sqlite.org/c3ref/busy_handler.html). 216 of 1,600 connections failed in a test of four at a time.
    """
    last = time.monotonic() + seconds
    while True:
        try:
            cursor.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY or time.monotonic() > last:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _pragmas(target: Target) -> list[str]:
    pragmas = [
        # First: switching to WAL takes a lock, and a second process may hold it at this moment.
        f"busy_timeout = {round(target.settings.busy_timeout * 1000)}",
        # Off by default in SQLite: without it every REFERENCES is decoration, and orphans gather.
        "foreign_keys = ON",
    ]
    if not target.in_memory:
        pragmas += [
            # Readers do not block the writer and the writer does not block readers.
            "journal_mode = WAL",
            # In WAL mode safe against a crash of the process; FULL adds an fsync to every commit for power loss.
            "synchronous = NORMAL",
        ]
    return pragmas


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        return
    if options.get(READ_ONLY):
        send_begin(connection, "PRAGMA query_only = ON")
        connection.info[READ_ONLY] = True
        send_begin(connection, "BEGIN DEFERRED")
    else:
        # A deferred transaction that turns from reading to writing fails at once with "database is locked" when
        # another writer came first; IMMEDIATE waits for its turn (busy_timeout) before it has read anything.
        send_begin(connection, "BEGIN IMMEDIATE")


def _allow_writes(dbapi_connection: Any, record: Any, _state: Any) -> None:
    if record.info.pop(READ_ONLY, None):
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA query_only = OFF")
        cursor.close()


def _interrupt_slow_statements(engine: Engine, seconds: float) -> None:
    """SQLite has no statement_timeout: its progress handler, asked now and then while a statement runs, is one."""

    @event.listens_for(engine, "connect")
    def _ask_the_clock(dbapi_connection: Any, record: Any) -> None:
        clock = record.info[_CLOCK] = _Clock(seconds)
        if hasattr(dbapi_connection, "run_async"):

            def set_handler(driver: Any) -> Any:
                return driver.set_progress_handler(clock.too_late, _INSTRUCTIONS)

            dbapi_connection.run_async(set_handler)
        else:
            dbapi_connection.set_progress_handler(clock.too_late, _INSTRUCTIONS)

    @event.listens_for(engine, "before_cursor_execute")
    def _start_the_clock(connection: Connection, *_: Any) -> None:
        connection.info[_CLOCK].start()


class _Clock:
    """How long a statement has been running, without the pauses in which its reader did something else.

    SQLite computes rows while they are fetched, so the time of the last look says nothing by itself: a longer gap
    between two looks was a pause, and counts as a short one.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.start()

    def start(self) -> None:
        """A new statement."""
        self._spent, self._last = 0.0, time.monotonic()

    def too_late(self) -> bool:
        """Look at the clock; True interrupts the statement."""
        now = time.monotonic()
        self._spent += min(now - self._last, _LONGEST_STEP)
        self._last = now
        return self._spent > self._seconds

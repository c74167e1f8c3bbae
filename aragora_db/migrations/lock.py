"""The migration lock: one process migrates, the others wait for a bounded time and then say for whom."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from aragora_db.errors import AragoraDBError, DatabaseError, MigrationLocked
from aragora_db.migrations.state import VERSION_TABLE

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["Lock", "advisory_lock"]


@dataclass(frozen=True)
class Lock:
    """What a lock is called, the table that it is about, and what is raised when it is not to be had."""

    name: str
    about: str
    error: type[AragoraDBError]

    @property
    def key(self) -> int:
        """Its number in the database's space of advisory locks; 1 and other round numbers are taken by others."""
        return int.from_bytes(hashlib.sha256(self.about.encode()).digest()[:8], signed=True)


MIGRATIONS = Lock("migration", VERSION_TABLE, MigrationLocked)
KEY = MIGRATIONS.key

_POLL = 0.2  # seconds

_HOLDER = sa.text("""
    SELECT a.pid, a.application_name, coalesce(host(a.client_addr), 'local socket') AS address,
           extract(epoch FROM now() - a.xact_start) AS seconds
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.classid = (CAST(:key AS bigint) >> 32 & 4294967295)::oid
      AND l.objid = (CAST(:key AS bigint) & 4294967295)::oid
""")

# Takes no snapshot, see advisory_lock.
_SETTLE = "SET LOCAL idle_in_transaction_session_timeout = 0"


@contextmanager
def advisory_lock(engine: Engine, timeout: float, lock: Lock | None = None) -> Generator[Callable[[], None]]:
    """Hold PostgreSQL's advisory lock in a transaction of its own.

    A lock of the session would stay behind in a transaction pooler; one of a transaction is pinned to its server
    connection there, and is gone when either end dies. It is polled, because a SELECT that waits for a lock holds a
    snapshot, for which CREATE INDEX CONCURRENTLY waits in turn. For the same reason one more statement that takes no
    snapshot follows once the lock was won: until then the extended protocol keeps the SELECT's portal open.

    Args:
        engine: must open a new connection for this, not share the migration's.
        timeout: seconds to wait.
        lock: which one; the migrations' by default.

    Yields:
        A function that raises if the lock was lost, to be called before each step.

    Raises:
        MigrationLocked: naming the process that held it all the time; or the lock's own error.
    """
    lock = lock or MIGRATIONS
    give_up = time.monotonic() + timeout
    with engine.connect() as connection:
        while not connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(lock.key))):
            if time.monotonic() > give_up:
                holder = _describe_holder(connection, lock.key)
                raise lock.error(f"{holder} holds the {lock.name} lock, waited {timeout:g} s")
            connection.rollback()
            time.sleep(_POLL * random.uniform(0.5, 1.5))  # noqa: S311 -- no cryptography here
        connection.exec_driver_sql(_SETTLE)

        def still_held() -> None:
            try:
                connection.exec_driver_sql(_SETTLE)
            except DatabaseError as error:
                raise lock.error(f"the connection that held the {lock.name} lock was lost; run it again") from error

        yield still_held


def _describe_holder(connection: Connection, key: int) -> str:
    row = connection.execute(_HOLDER, {"key": key}).first()
    if row is None:
        return "a process that has just finished"
    # Another role's details are hidden from one without pg_read_all_stats.
    since = "" if row.seconds is None else f", for {row.seconds:.0f} s now,"
    return f"process {row.pid} ({row.application_name or 'of another role'}, {row.address}){since}"

"""Several short statements of the driver at the price of one of SQLAlchemy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from aragora_db.engine.dialect_calls import BATCH, runs_batches
from aragora_db.engine.write_tracking import WRITES, note_writes

__all__ = ["run_batch"]


def run_batch(connection: Connection, name: str, writes: tuple[str, ...], work: Callable[[Any], None]) -> None:
    """Run a function with the driver's cursor, as one statement.

    Compiling, events and a result object cost SQLAlchemy 20 to 30 microseconds a statement: nothing beside a network,
    and more than SQLite needs to write a row. On one of our engines a batch is one statement to SQLAlchemy: its errors
    are translated, its time is limited and its failure is remembered. On an application's own engine the driver's
    cursor is used directly, in the same transaction.

    Args:
        connection: sync, or the sync side of an async one.
        name: what logs call the batch.
        writes: the tables it may write to, for `aragora_db.engine.write_tracking`.
        work: gets the cursor, whose `execute`, `executemany` and `fetchall` are those of the DBAPI.

    Raises:
        DatabaseError: a statement failed; on an application's own engine SQLAlchemy's ``DBAPIError``.
    """
    tables = frozenset(writes)
    if runs_batches(connection.dialect):
        # What a caller set for its own statements would give the work another cursor, or none.
        options = {BATCH: work, WRITES: tables, "no_parameters": False, "stream_results": False, "yield_per": None}
        connection.exec_driver_sql(f"-- {name}", execution_options=options).close()
        return
    note_writes(connection, tables)
    cursor = connection.connection.cursor()
    error: Any = connection.dialect.loaded_dbapi.Error
    try:
        work(cursor)
    except error as original:
        raise DBAPIError.instance(f"-- {name}", None, original, error, dialect=connection.dialect) from original
    finally:
        cursor.close()

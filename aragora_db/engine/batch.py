"""Several short statements of the driver's at the price of one of SQLAlchemy's.

Compiling, events and a result object cost SQLAlchemy 20 to 30 microseconds a statement: nothing beside a network, and
more than SQLite needs to write a row. A batch passes through all of it once, so that its errors are translated, its
time is limited and its failure is remembered like any statement's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from aragora_db.engine.dialect_calls import BATCH, surround
from aragora_db.engine.write_tracking import WRITES

__all__ = ["run_batch"]


def run_batch(connection: Connection, name: str, writes: tuple[str, ...], work: Callable[[Any], None]) -> None:
    """Run a function with the driver's cursor, in the connection's transaction.

    Args:
        connection: of any engine, ours or not; sync, or the sync side of an async one.
        name: what logs call it.
        writes: the tables it may write to, for `aragora_db.engine.write_tracking`.
        work: gets the cursor, whose `execute`, `executemany` and `fetchall` are those of the DBAPI.
    """
    surround(connection.engine)
    # What a caller set for its own statements would give the work another cursor, or none.
    options = {
        BATCH: work,
        WRITES: frozenset(writes),
        "no_parameters": False,
        "stream_results": False,
        "yield_per": None,
    }
    connection.exec_driver_sql(f"-- batch: {name}", execution_options=options).close()

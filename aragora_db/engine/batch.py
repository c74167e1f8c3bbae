"""Several short statements of the driver's at the price of one of SQLAlchemy's.

Compiling, events and a result object cost SQLAlchemy 20 to 30 microseconds a statement: nothing beside a network, and
more than SQLite needs to write a row. A batch passes through all of it once, so that its errors are translated, its
time is limited and its failure is remembered like any statement's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine

__all__ = ["allow_batches", "run_batch"]

_WORK = "aragora_batch"


def run_batch(connection: Connection, name: str, writes: tuple[str, ...], work: Callable[[Any], None]) -> None:
    """Let a function use the driver's cursor.

    Args:
        connection: of one of our engines; sync, or the sync side of an async one.
        name: what logs call it.
        writes: the tables it may write to, for `aragora_db.engine.write_tracking`.
        work: gets the cursor, whose `execute`, `executemany` and `fetchall` are those of the DBAPI.
    """
    statement = f"-- batch: {name}; {'; '.join(f'INSERT INTO {table}' for table in writes)}"
    # What a caller set for its own statements would give the work another cursor, or none.
    options = {_WORK: work, "no_parameters": False, "stream_results": False, "yield_per": None}
    connection.exec_driver_sql(statement, execution_options=options).close()


def allow_batches(engine: Engine) -> None:
    """Teach an engine to run them."""
    execute = engine.dialect.do_execute

    def execute_or_work(cursor: Any, statement: str, parameters: Any, context: Any) -> None:
        work = context.execution_options.get(_WORK)
        if work is None:
            execute(cursor, statement, parameters, context)
        else:
            work(cursor)

    engine.dialect.do_execute = execute_or_work  # type: ignore[method-assign, assignment]

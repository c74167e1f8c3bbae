"""A transaction in which a statement failed commits nothing, on either dialect, and says so.

PostgreSQL answers COMMIT with ROLLBACK then, and psycopg reports success: work that caught the error of one statement
would be told that all of it is stored. SQLite would commit the rest. So the commit is refused on both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from aragora_db.errors import TransactionAborted

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ExceptionContext

__all__ = ["refuse_commit_after_failure"]

_FAILED = "aragora_failed"


def refuse_commit_after_failure(engine: Engine) -> None:
    """Make commits of this engine raise `TransactionAborted` after a failed statement; a savepoint contains it."""
    event.listen(engine, "handle_error", _note)
    event.listen(engine, "begin", _forget)
    event.listen(engine, "rollback", _forget)
    event.listen(engine, "rollback_savepoint", _forget)
    event.listen(engine, "commit", _refuse)


def _note(context: ExceptionContext) -> None:
    # A value that our types refuse never reached the server, and leaves the transaction as it was.
    sent = isinstance(context.sqlalchemy_exception, DBAPIError) and context.statement is not None
    if sent and context.connection is not None and not context.is_disconnect:
        context.connection.info[_FAILED] = True


def _forget(connection: Connection, *_: Any) -> None:
    if not connection.invalidated:
        connection.info.pop(_FAILED, None)


def _refuse(connection: Connection) -> None:
    if connection.info.get(_FAILED) and connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        # SQLAlchemy counts the transaction as ended, however this event ends, and would not roll it back.
        connection.dialect.do_rollback(connection.connection)
        raise TransactionAborted(
            "a statement of this transaction failed and its error was caught, so nothing can be committed. Put "
            "statements that may fail into a savepoint: with session.begin_nested()"
        )

"""What replicas have to know about engines: that a transaction was committed, that a connection was lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, event

from aragora_db.engine.dialect_calls import Stage, surround

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ExceptionContext

__all__ = ["note_commits", "note_losses"]

_MAY_WRITE = "aragora_may_write"

# The server ended a connection, and is well: an idle transaction (25P03), a query that blocked replay (40001).
_SERVER_IS_WELL = frozenset({"25P03", "40001"})


def note_commits(engine: Engine, note: Callable[[], None]) -> None:
    """Call ``note`` in the thread or task that committed, after each commit of a transaction that could write.

    Whether it did is not asked: functions, COPY and triggers write without a word of it in a statement. A COMMIT whose
    outcome is unknown counts. ``note`` must not raise.
    """

    @event.listens_for(engine, "commit")
    def _committing(connection: Connection) -> None:
        if not connection.get_execution_options().get("postgresql_readonly"):
            connection.info[_MAY_WRITE] = True

    @event.listens_for(engine, "after_cursor_execute")
    def _autocommitted(connection: Connection, *_: Any) -> None:
        options = connection.get_execution_options()
        if options.get("isolation_level") == "AUTOCOMMIT" and not options.get("postgresql_readonly"):
            note()

    def note_if_written(dbapi_connection: Any) -> Callable[[], None] | None:
        return note if dbapi_connection.info.pop(_MAY_WRITE, False) else None

    surround(engine).after_commit(Stage.MARK, note_if_written)


def note_losses(engine: Engine, note: Callable[[Exception], None]) -> None:
    """Call ``note`` with the driver's error when a connection in use is lost because of its server."""

    @event.listens_for(engine, "handle_error")
    def _lost(context: ExceptionContext) -> None:
        error = context.original_exception
        # A cancelled task counts as a lost connection to SQLAlchemy. A failed ping is followed by a new connection.
        if (
            context.is_disconnect
            and not context.is_pre_ping
            and isinstance(error, engine.dialect.loaded_dbapi.Error)
            and getattr(error, "sqlstate", None) not in _SERVER_IS_WELL
        ):
            note(error)

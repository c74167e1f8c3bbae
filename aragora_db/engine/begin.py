"""Our own BEGIN, sent from SQLAlchemy's ``begin`` event."""

from __future__ import annotations

from sqlalchemy import Connection

__all__ = ["send_begin"]


def send_begin(connection: Connection, statement: str) -> None:
    """Begin a transaction, and leave a connection behind that can try again when the database refuses.

    SQLAlchemy 2.1 notes that BEGIN is under way before this event and forgets to take the note back when the event
    raises: no later statement of that connection would begin a transaction, so each would commit by itself.
    """
    try:
        connection.exec_driver_sql(statement)
    except BaseException:
        setattr(connection, "_Connection__in_begin", False)  # noqa: B010 -- a private name of SQLAlchemy's
        raise

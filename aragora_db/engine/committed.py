"""Says after each commit which tables were written, whichever way the statements came: ORM, Core, text or driver SQL.

The text of the statement is what all ways to write have in common. Session events miss Core and textual statements, and
compiled statements do not tell about the writes inside a WITH.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine, event

__all__ = ["Notify", "notify_after_commits", "tables_written"]

Notify: TypeAlias = Callable[[frozenset[str]], None]

# `FOR UPDATE` locks, `DO UPDATE` belongs to an INSERT that is found by itself.
_WRITE = re.compile(
    r"""\b(?:INSERT(?:\s+OR\s+\w+)?\s+INTO|REPLACE\s+INTO|(?<!\bFOR\s)(?<!\bDO\s)UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM
    |MERGE\s+INTO|TRUNCATE(?:\s+TABLE)?)\s+(?:ONLY\s+)?(?:"?\w+"?\.)?"?(\w+)""",
    re.IGNORECASE | re.VERBOSE,
)
_WRITTEN = "aragora_written"


@lru_cache(maxsize=4096)
def tables_written(statement: str) -> frozenset[str]:
    """The tables that a statement of SQL inserts into, updates or deletes from, as far as its text names them.

    A comment or a literal that looks like a write counts as one: a table too many costs a cached answer, no more.
    """
    return frozenset(_WRITE.findall(statement))


def notify_after_commits(engine: Engine, notify: Notify) -> None:
    """Call ``notify`` with the tables written, after each commit that wrote, in the committing thread or task.

    Not for COPY, nor for functions and triggers of the database. ``notify`` must not raise: the commit has happened.
    """

    @event.listens_for(engine, "after_cursor_execute")
    def _note(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        tables = tables_written(statement)
        if not tables:
            return
        if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
            notify(tables)
        else:
            connection.info.setdefault(_WRITTEN, set()).update(tables)

    @event.listens_for(engine, "rollback")
    def _forget(connection: Connection) -> None:
        if not connection.invalidated:
            connection.info.pop(_WRITTEN, None)

    commit = engine.dialect.do_commit

    def commit_and_tell(dbapi_connection: Any) -> None:
        commit(dbapi_connection)
        tables = dbapi_connection.info.pop(_WRITTEN, None)
        if tables:
            notify(frozenset(tables))

    # SQLAlchemy's `commit` event comes before the commit; there is none after it on an engine.
    engine.dialect.do_commit = commit_and_tell  # type: ignore[method-assign]

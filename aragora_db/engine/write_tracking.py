"""Says after each commit which tables were written, whichever way the statements came: ORM, Core, text or driver SQL.

The text of the statement is what all ways to write have in common. Session events miss Core and textual statements, and
compiled statements do not tell about the writes inside a WITH.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Connection, Engine, event

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ExceptionContext

__all__ = ["Notify", "notify_after_commits", "tables_written"]

Notify: TypeAlias = Callable[[frozenset[str]], None]

# Each text is a gap in one way only: a choice would make a search exponential.
_GAP = r"(?:\s|--[^\n]*\n|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)*"
_NAME = r'(?:\w+|"[^"]+"|`[^`]+`|\[[^]]+\])'
_TABLE = rf"(?:ONLY\b{_GAP})?(?:{_NAME}{_GAP}\.{_GAP})*({_NAME})"
_TABLES = rf"{_TABLE}(?:{_GAP},{_GAP}{_TABLE})*"  # only TRUNCATE takes several

# `FOR UPDATE` and `FOR NO KEY UPDATE` lock, `DO UPDATE` belongs to an INSERT that is found by itself.
_WRITE = re.compile(
    rf"""\b(?:INSERT(?:{_GAP}\bOR{_GAP}\w+)?{_GAP}\bINTO|REPLACE{_GAP}\bINTO|MERGE{_GAP}\bINTO|DELETE{_GAP}\bFROM
    |(?<!\bFOR\s)(?<!\bKEY\s)(?<!\bDO\s)UPDATE(?:{_GAP}\bOR{_GAP}\w+)?|TRUNCATE(?:{_GAP}\bTABLE)?)\b{_GAP}(?P<all>{_TABLES})""",
    re.IGNORECASE | re.VERBOSE,
)
_ONE = re.compile(_TABLE, re.IGNORECASE)

# Characters. A longer text has many values or parameters in it, and seldom comes twice: kept, they take megabytes. The
# statement of a match has 3,834, and searching it takes 0.24 ms.
_LONGEST_KEPT = 8000

_WRITTEN = "aragora_written"


def tables_written(statement: str) -> frozenset[str]:
    """The tables that a statement of SQL inserts into, updates or deletes from, in lower case.

    As far as its text names them. A comment or a literal that looks like a write counts as one: a table too many costs
    a cached answer, no more.
    """
    return _remembered(statement) if len(statement) <= _LONGEST_KEPT else _find(statement)


def _find(statement: str) -> frozenset[str]:
    written = (name for found in _WRITE.finditer(statement) for name in _ONE.findall(found["all"]))
    return frozenset(name.strip('"`[]').lower() for name in written)


_remembered = lru_cache(maxsize=512)(_find)


def notify_after_commits(engine: Engine, notify: Notify) -> None:
    """Call ``notify`` with the tables written, after each commit that wrote, in the committing thread or task.

    Also after a commit that failed, or whose task was cancelled: it may have been carried out. Not for COPY, DDL and
    prepared transactions, nor for functions and triggers of the database. ``notify`` must not raise.
    """

    @event.listens_for(engine, "after_cursor_execute")
    def _note(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        tables = tables_written(statement)
        if tables and _autocommits(connection):
            notify(tables)
        elif tables:
            connection.info.setdefault(_WRITTEN, set()).update(tables)

    @event.listens_for(engine, "handle_error")
    def _tell_failed(context: ExceptionContext) -> None:
        tables = _perhaps_stored(context)
        if tables:
            notify(tables)

    @event.listens_for(engine, "rollback")
    def _forget(connection: Connection) -> None:
        if not connection.invalidated:
            connection.info.pop(_WRITTEN, None)

    commit = engine.dialect.do_commit

    def commit_and_tell(dbapi_connection: Any) -> None:
        tables = dbapi_connection.info.pop(_WRITTEN, None)
        try:
            commit(dbapi_connection)
        finally:
            if tables:
                notify(frozenset(tables))

    # SQLAlchemy's `commit` event comes before the commit; there is none after it on an engine.
    engine.dialect.do_commit = commit_and_tell  # type: ignore[method-assign]


def _perhaps_stored(context: ExceptionContext) -> frozenset[str]:
    """What a failed statement without a transaction wrote: some rows of many, or all, and the answer was lost."""
    if context.connection is None or not _autocommits(context.connection):
        return frozenset()
    return tables_written(context.statement or "")


def _autocommits(connection: Connection) -> bool:
    return connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"

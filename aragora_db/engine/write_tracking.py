"""Says after each commit which tables were written, whichever way the statements came: ORM, Core, text or driver SQL.

The text of the statement is what all ways to write have in common. Session events miss Core and textual statements, and
compiled statements do not tell about the writes inside a WITH.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from weakref import WeakSet

from sqlalchemy import Connection, Dialect, Engine, event
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import Session

from aragora_db.engine.dialect_calls import call_after_commits
from aragora_db.engine.sessions import AragoraSession
from aragora_db.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ExceptionContext

__all__ = [
    "WRITES",
    "Notify",
    "note_writes",
    "notify_after_commits",
    "subscribe",
    "tables_written",
    "track_engine",
    "track_session",
]

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
# statement of a match has 5,703, and searching it takes 0.44 ms.
_LONGEST_KEPT = 8000

_WRITTEN = "aragora_written"

WRITES = "aragora_writes"
"""Execution option: the tables that a statement writes, where its text does not name them."""


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
    _tracked.add(engine.dialect)

    @event.listens_for(engine, "after_cursor_execute")
    def _note(connection: Connection, _cursor: Any, statement: str, _parameters: Any, context: Any, _: bool) -> None:
        tables = _tables(statement, context)
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

    def tell(info: dict[Any, Any]) -> Callable[[], None] | None:
        tables = info.pop(_WRITTEN, None)
        return (lambda: notify(frozenset(tables))) if tables else None

    call_after_commits(engine, tell)


class Subscriber(Protocol):
    """What wants to hear of commits on engines that are not its own: each `Database` of this process."""

    def committed_elsewhere(self, tables: frozenset[str], *, is_async: bool) -> None:
        """Act on a commit in the committing thread or task; must not raise."""


_tracked: WeakSet[Dialect] = WeakSet()
_subscribers: WeakSet[Subscriber] = WeakSet()


def subscribe(subscriber: Subscriber) -> None:
    """Report commits on an application's own engines (`track_engine`) to a subscriber, as long as it lives."""
    _subscribers.add(subscriber)


def track_engine(engine: Engine) -> None:
    """Report the commits of an application's own engine to every subscriber; does nothing the second time.

    Which database the engine leads to is not compared: an invalidation too many costs a cached answer, no more.
    """
    if engine.dialect in _tracked:
        return
    is_async = engine.dialect.is_async

    def report(tables: frozenset[str]) -> None:
        for subscriber in list(_subscribers):
            subscriber.committed_elsewhere(tables, is_async=is_async)

    notify_after_commits(engine, report)


def track_session(session: Session) -> None:
    """Report the commits of a session that no `Database` made, if its engine is not tracked yet.

    Raises:
        UsageError: the session is bound to no engine.
    """
    if isinstance(session, AragoraSession):
        return
    try:
        bind = session.get_bind()
    except UnboundExecutionError:
        raise UsageError(
            "the session is bound to no engine; make it with Session(engine) or sessionmaker(engine), or take one from "
            "Database.session()"
        ) from None
    track_engine(bind.engine)


def note_writes(connection: Connection, tables: frozenset[str]) -> None:
    """Count tables as written in the connection's transaction, where no statement that names them is seen."""
    connection.info.setdefault(_WRITTEN, set()).update(tables)


def _perhaps_stored(context: ExceptionContext) -> frozenset[str]:
    """What a failed statement without a transaction wrote: some rows of many, or all, and the answer was lost."""
    if context.connection is None or not _autocommits(context.connection):
        return frozenset()
    return _tables(context.statement or "", context.execution_context)


def _tables(statement: str, context: Any) -> frozenset[str]:
    named: frozenset[str] | None = context and context.execution_options.get(WRITES)
    return named or tables_written(statement)


def _autocommits(connection: Connection) -> bool:
    return connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"

"""Says after each commit which tables were written, whichever way the statements came: ORM, Core, text or driver SQL.

The text of the statement is what all ways to write have in common. Session events miss Core and textual statements, and
compiled statements do not tell about the writes inside a WITH. A batch of the driver's statements says which tables it
writes in the execution option `WRITES`.

Engines of a `Database` are tracked from the start. `track_session` and `track_engine` do it for an application's own
engine, whose commits every `Database` of this process then hears about: which of them shares its server is not known,
and to invalidate too much is safe.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from weakref import WeakSet

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import Mapper

from aragora_db.at_fork import call_in_children
from aragora_db.engine.commit_hooks import note_commits
from aragora_db.engine.dialect_calls import Stage, surround
from aragora_db.engine.loops import run_in_thread
from aragora_db.engine.sessions import AragoraSession
from aragora_db.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ExceptionContext

__all__ = [
    "WRITES",
    "CommitListener",
    "Notify",
    "hear_foreign_commits",
    "notify_after_commits",
    "tables_written",
    "track_engine",
    "track_session",
]

Notify: TypeAlias = Callable[[frozenset[str]], None]

WRITES = "aragora_writes"
"""Execution option: the tables that a statement writes, in lower case, instead of those that its text names."""

_DRIVERS = {"sqlite": ("pysqlite", "aiosqlite"), "postgresql": ("psycopg",)}

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
_COMMENT = re.compile(r"--[^\n]*|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/")

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
    texts = [statement]
    if "--" in statement or "/*" in statement:
        # A comment that ends in FOR, KEY or DO would make an UPDATE after it look like a lock. What a literal with a
        # comment sign hides in this text is found in the other one.
        texts.append(_COMMENT.sub(" ", statement))
    written = (name for text in texts for found in _WRITE.finditer(text) for name in _ONE.findall(found["all"]))
    return frozenset(name.strip('"`[]').lower() for name in written)


_remembered = lru_cache(maxsize=512)(_find)


def notify_after_commits(engine: Engine, notify: Notify) -> None:
    """Call ``notify`` with the tables written, after each commit that wrote, in the committing thread or task.

    Also after a commit that failed, or whose task was cancelled: it may have been carried out. Not for COPY, DDL and
    prepared transactions, nor for functions and triggers of the database. ``notify`` must not raise.
    """

    @event.listens_for(engine, "after_cursor_execute")
    def _note(connection: Connection, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool) -> None:
        tables = _tables_of(context, statement)
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

    def tell_if_written(dbapi_connection: Any) -> Callable[[], None] | None:
        tables = dbapi_connection.info.pop(_WRITTEN, None)
        return partial(notify, frozenset(tables)) if tables else None

    surround(engine).after_commit(Stage.TELL, tell_if_written)


def _tables_of(context: Any, statement: str) -> frozenset[str]:
    named: frozenset[str] | None = context.execution_options.get(WRITES) if context is not None else None
    return tables_written(statement) if named is None else named


def _perhaps_stored(context: ExceptionContext) -> frozenset[str]:
    """What a failed statement without a transaction wrote: some rows of many, or all, and the answer was lost."""
    if context.connection is None or not _autocommits(context.connection):
        return frozenset()
    return _tables_of(context.execution_context, context.statement or "")


def _autocommits(connection: Connection) -> bool:
    level = connection.get_execution_options().get("isolation_level")
    # ``create_engine(isolation_level="AUTOCOMMIT")`` of an application has no execution option, and no public name.
    return bool((level or getattr(connection.dialect, "_on_connect_isolation_level", None)) == "AUTOCOMMIT")


# -- engines of the application ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class CommitListener:
    """One `Database`, as far as it hears of commits on engines that are not its own.

    Attributes:
        tell: called with the tables, in the committing thread.
        mark: called in the thread or task that committed, before the others; None without replicas.
    """

    tell: Notify
    mark: Callable[[], None] | None


_lock = threading.RLock()
_listeners: WeakSet[CommitListener] = WeakSet()


def hear_foreign_commits(listener: CommitListener) -> None:
    """Tell a listener of the commits on all engines that `track_engine` tracks, while the listener lives."""
    with _lock:
        _listeners.add(listener)


def track_engine(engine: Engine, ours: Container[str]) -> None:
    """Tell every `Database` of this process after each commit of this engine which tables were written; once.

    From then on a statement on it that misses a table of ours raises a `UsageError` that says to migrate.

    Args:
        engine: sync, or the sync side of an async one. Nothing is done for an engine of a `Database`.
        ours: the names of our tables.

    Raises:
        UsageError: its driver is not one that our statements are written for.
    """
    engine = _original(engine)
    calls = surround(engine)
    if calls.tells:
        return
    drivers = _DRIVERS.get(engine.dialect.name, ())
    if engine.dialect.driver not in drivers:
        raise UsageError(
            f"this engine uses {engine.dialect.name}+{engine.dialect.driver}; make it with sqlite, sqlite+aiosqlite or "
            "postgresql+psycopg, the drivers that aragora_db's statements are written for"
        )
    with _lock:
        if not calls.tells:
            note_commits(engine, _mark_all)
            event.listen(engine, "handle_error", partial(_explain_missing_table, ours), retval=True)
            notify_after_commits(engine, _tell_all_in_thread if engine.dialect.is_async else _tell_all)


def track_session(session: Any, mapper: Mapper[Any], ours: Container[str]) -> None:
    """Track the engine of a session that is not ours; for a session of `Database` this is one ``isinstance``.

    Args:
        session: a sync session, or a ``scoped_session``.
        mapper: of one of our models.
        ours: see `track_engine`.

    Raises:
        UsageError: the session is bound to no engine or to several, or is not a sync session, or its driver is not one
            of ours.
    """
    if isinstance(session, AragoraSession):
        return
    if hasattr(session, "run_sync"):
        raise UsageError("a store works in a sync session: await session.run_sync(lambda s: EloStore(s).rating(name))")
    try:
        bind: Engine | Connection | None = session.get_bind()
    except UnboundExecutionError:
        bind = None
    if bind is None or session.get_bind(mapper=mapper) is not bind:
        raise UsageError(
            "this session is bound to no engine, or to several; make it with Session(engine) or sessionmaker(engine), "
            "without binds=, or take it from Database.session()"
        )
    track_engine(bind.engine, ours)


def _original(engine: Any) -> Engine:
    """Return the engine of which this one may be a variant with other execution options; a variant hears less."""
    while hasattr(engine, "_proxied"):
        engine = engine._proxied  # noqa: SLF001 -- SQLAlchemy has no public name for it
    return cast("Engine", engine)


def _explain_missing_table(ours: Container[str], context: ExceptionContext) -> UsageError | None:
    """Return the error for a table of ours that is not there; None for any other."""
    error = context.original_exception
    # 42P01 is also a wrong alias. A name with a schema before it is not ours.
    missing = re.match(r'(?:no such table: (?:main\.)?|relation ")(\w+)(?:"| |$)', str(error))
    if missing is None or missing[1] not in ours:
        return None
    return UsageError(f"this database has no table {missing[1]}: point DATABASE_URL at it and run aragora-db migrate")


def _everybody() -> list[CommitListener]:
    with _lock:
        return list(_listeners)


def _mark_all() -> None:
    for listener in _everybody():
        if listener.mark is not None:
            listener.mark()


def _tell_all(tables: frozenset[str]) -> None:
    for listener in _everybody():
        listener.tell(tables)


def _tell_all_in_thread(tables: frozenset[str]) -> None:
    """Tell all in one thread: a task that is cancelled meanwhile stops waiting, and keeps none from being told."""
    run_in_thread(lambda: _tell_all(tables))


@call_in_children
def _reset_after_fork() -> None:
    """Another thread of the parent may have held the lock when it forked."""
    global _lock  # noqa: PLW0603 -- one per process is the point
    _lock = threading.RLock()

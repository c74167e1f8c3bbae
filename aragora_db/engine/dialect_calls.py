"""The calls of SQLAlchemy into the driver that this package encloses, in one place and one order.

Statements go through SQLAlchemy's own events ``do_execute``, ``do_executemany`` and ``do_execute_no_params``. COMMIT,
ROLLBACK and the isolation level have no event that encloses the call, so the dialect's method is replaced (as
`aragora_db.engine.liveness` replaces the ping, which none of these touches):

- statement: deadline -> the batch's work, or the driver's ``execute``;
- COMMIT: listeners are asked what they want to do afterwards -> deadline -> the driver's ``commit`` -> they do it;
- ROLLBACK, isolation level: deadline -> the driver.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Dialect, Engine, event

from aragora_db.engine import watchdog
from aragora_db.engine.client_timeouts import in_time, start_deadline

__all__ = ["BATCH", "AfterCommit", "call_after_commits", "runs_batches", "wrap_dialect"]

BATCH = "aragora_batch"
"""Execution option: a function that gets the cursor in place of ``execute``; see `aragora_db.engine.batch`."""

AfterCommit: TypeAlias = Callable[[dict[Any, Any]], Callable[[], None] | None]
"""Called before COMMIT with the connection's ``info``; returns what to call after it, also when it failed, or None."""

_after_commit: WeakKeyDictionary[Dialect, list[AfterCommit]] = WeakKeyDictionary()
_wrapped: WeakSet[Dialect] = WeakSet()


def wrap_dialect(engine: Engine, command_timeout: float) -> None:
    """Let an engine run batches, and end what the server does not answer in time.

    Args:
        engine: a new one.
        command_timeout: seconds for each call; 0 means no deadline.
    """
    dialect = engine.dialect
    _wrapped.add(dialect)
    for name in ("do_execute", "do_executemany", "do_execute_no_params"):
        event.listen(engine, name, _statement(getattr(dialect, name), command_timeout))
    if command_timeout:
        # An engine's first connection is asked for its isolation level while all others wait.
        for name in ("do_commit", "do_rollback", "get_isolation_level"):
            setattr(dialect, name, in_time(getattr(dialect, name), command_timeout))


def runs_batches(dialect: Dialect) -> bool:
    """Return whether a dialect is one of our engines', which know the execution option `BATCH`."""
    return dialect in _wrapped


def _statement(execute: Callable[..., None], command_timeout: float) -> Callable[..., bool]:
    def run(*arguments: Any) -> bool:
        context = arguments[-1]
        work = context.execution_options.get(BATCH)
        if work is None:
            execute(*arguments)
        else:
            work(arguments[0])
        return True  # done: SQLAlchemy does not execute it again

    def run_in_time(*arguments: Any) -> bool:
        deadline = start_deadline(arguments[-1], command_timeout)
        try:
            return run(*arguments)
        finally:
            watchdog.cancel(deadline)

    return run_in_time if command_timeout else run


def call_after_commits(engine: Engine, listener: AfterCommit) -> None:
    """Let a listener act after each COMMIT of an engine; SQLAlchemy's ``commit`` event comes before it."""
    dialect = engine.dialect
    if dialect in _after_commit:
        _after_commit[dialect].append(listener)
        return
    listeners = _after_commit[dialect] = [listener]
    driver_commit = dialect.do_commit

    def commit(dbapi_connection: Any) -> None:
        actions = [each(dbapi_connection.info) for each in listeners]
        try:
            driver_commit(dbapi_connection)
        finally:
            for action in actions:
                if action is not None:
                    action()

    dialect.do_commit = commit  # type: ignore[method-assign]

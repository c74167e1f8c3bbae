"""What surrounds the calls of an engine's dialect. All of it is installed here, because the order matters.

From the outside to the inside::

    do_execute of a batch                                 deadline -> the batch's function
    do_execute, do_executemany, do_execute_no_params      deadline -> driver
    do_commit                                             hooks by `Stage` -> deadline -> driver
    do_rollback, get_isolation_level                      deadline -> driver

- The deadline is next to the driver. It limits how long the server may take; what hooks do afterwards, such as talking
  to Redis, does not count.
- A hook runs before COMMIT and returns a callback or None; the callback runs after COMMIT, also when that failed: the
  outcome is unknown then.
- `Stage.MARK` comes before `Stage.TELL`: who is told may read from a replica, and must see what was written.

SQLAlchemy's own event ``do_execute`` runs the batches; it costs 0.5 us a statement. The others are wrapped methods. The
event ``commit`` comes before COMMIT, and there is none after it. A listener of ``do_execute`` that runs the statement
itself, as a deadline has to, must end the event, and would silence the application's own listeners;
``before_cursor_execute`` and ``after_cursor_execute`` together cost more than the deadline itself (1.5 us).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from sqlalchemy import Dialect, Engine, event

from aragora_db.at_fork import call_in_children
from aragora_db.engine.client_timeouts import in_time, statement_in_time

__all__ = ["BATCH", "CommitHook", "DialectCalls", "Stage", "surround"]

BATCH = "aragora_batch"
"""Execution option: a function that gets the cursor, instead of the statement being sent."""

CommitHook = Callable[[Any], Callable[[], None] | None]
"""Gets the pooled DBAPI connection before COMMIT; returns what to call after it, or None."""

_CALLS = "aragora_calls"

_lock = threading.RLock()


class Stage(IntEnum):
    """When a hook runs after a commit."""

    MARK = 0
    """This thread or task has written; its next read must see it."""

    TELL = 1
    """These tables were written; caches must not answer from before."""


class DialectCalls:
    """The calls of one dialect, which belongs to one engine and its variants with other execution options.

    Args:
        dialect: whose methods are replaced, once.
        seconds: the deadline of a call; 0 means none.
    """

    def __init__(self, dialect: Dialect, seconds: float) -> None:
        self._hooks: tuple[tuple[Stage, CommitHook], ...] = ()
        self._run_batch: Callable[..., None] = _run_batch
        methods: Any = dialect
        if seconds:
            self._run_batch = statement_in_time(_run_batch, seconds)
            for name in ("do_execute", "do_executemany", "do_execute_no_params"):
                setattr(dialect, name, statement_in_time(getattr(dialect, name), seconds))
            # An engine's first connection is asked for its isolation level while all others wait.
            for name in ("do_commit", "do_rollback", "get_isolation_level"):
                setattr(dialect, name, in_time(getattr(dialect, name), seconds))
        self._commit: Callable[[Any], None] = dialect.do_commit
        methods.do_commit = self._commit_and_call
        event.listen(dialect, "do_execute", self._execute)

    @property
    def tells(self) -> bool:
        """Whether somebody hears which tables were written."""
        return any(stage is Stage.TELL for stage, _ in self._hooks)

    def after_commit(self, stage: Stage, hook: CommitHook) -> None:
        """Run a hook around each COMMIT. What it returns must not raise."""
        with _lock:
            self._hooks = tuple(sorted((*self._hooks, (stage, hook)), key=lambda each: each[0]))

    def _execute(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool | None:
        if context.execution_options.get(BATCH) is None:
            return None
        self._run_batch(cursor, statement, parameters, context)
        return True

    def _commit_and_call(self, dbapi_connection: Any) -> None:
        due = [call for _, hook in self._hooks if (call := hook(dbapi_connection)) is not None]
        try:
            self._commit(dbapi_connection)
        finally:
            for call in due:
                call()


def surround(engine: Engine, seconds: float = 0.0) -> DialectCalls:
    """Return the calls of an engine's dialect; install them at the first time.

    Args:
        engine: any engine, also one that is not ours.
        seconds: for the first time: the deadline of each call; 0 means none. For psycopg only.
    """
    found: DialectCalls | None = vars(engine.dialect).get(_CALLS)
    if found is None:
        with _lock:
            found = vars(engine.dialect).get(_CALLS)
            if found is None:
                found = DialectCalls(engine.dialect, seconds)
                setattr(engine.dialect, _CALLS, found)
    return found


def _run_batch(cursor: Any, _statement: str, _parameters: Any, context: Any) -> None:
    context.execution_options[BATCH](cursor)


@call_in_children
def _reset_after_fork() -> None:
    """Another thread of the parent may have held the lock when it forked."""
    global _lock  # noqa: PLW0603 -- one per process is the point
    _lock = threading.RLock()

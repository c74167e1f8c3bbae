"""Engines for work that takes as long as it takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress

from sqlalchemy import Engine
from sqlalchemy.pool import NullPool

from aragora_db.database import Database
from aragora_db.engine import Target, create_engine
from aragora_db.errors import DatabaseError, TransferLocked
from aragora_db.migrations.lock import Lock, advisory_lock

__all__ = ["ImportLock", "import_lock", "locked_engine", "patient_engine"]

_LOCK = Lock("import", "import_ledger", TransferLocked)


@contextmanager
def patient_engine(database: Database, purpose: str) -> Generator[Engine]:
    """An engine without the timeouts of requests, which the server's list of sessions shows under its purpose."""
    target = Target.of(database.settings).with_settings(
        statement_timeout=0,
        command_timeout=0.0,
        idle_in_transaction_timeout=0,
        application_name=f"{database.settings.application_name} {purpose}",
    )
    engine = create_engine(target, poolclass=NullPool)
    try:
        yield engine
    finally:
        engine.dispose()


class ImportLock:
    """What keeps other imports from a database, taken again when its connection was lost; for several threads.

    Args:
        engine: of the database, for the work as well.
        timeout: seconds to wait for another import.
    """

    def __init__(self, engine: Engine, timeout: float) -> None:
        self.engine, self._timeout = engine, timeout
        self._mutex = threading.Lock()
        self._held = ExitStack()
        self._still_held: Callable[[], None] | None = None

    def hold(self) -> None:
        """Take it, or see to it that it is held still. SQLite's writers take turns by themselves.

        Raises:
            TransferLocked: naming the process that imports.
            DatabaseUnavailable: the database is gone.
        """
        if not self.engine.dialect.supports_sequences:
            return
        with self._mutex:
            if self._still_held is not None:
                try:
                    self._still_held()
                except TransferLocked:
                    self._forget()
            if self._still_held is None:
                self._still_held = self._held.enter_context(advisory_lock(self.engine, self._timeout, _LOCK))

    def release(self) -> None:
        """Let others have it."""
        with self._mutex:
            if self._still_held is not None:
                with suppress(TransferLocked):  # lost, when all is done: ROLLBACK would fail of it
                    self._still_held()
            self._forget()

    def _forget(self) -> None:
        self._still_held = None
        with suppress(DatabaseError):
            self._held.close()


@contextmanager
def import_lock(database: Database, timeout: float) -> Generator[ImportLock]:
    """The lock of an import, held, and its engine.

    Args:
        database: where to.
        timeout: seconds to wait for another import.

    Raises:
        TransferLocked: naming the process that imports.
    """
    with patient_engine(database, "import") as engine:
        lock = ImportLock(engine, timeout)
        try:
            lock.hold()
            yield lock
        finally:
            lock.release()


@contextmanager
def locked_engine(database: Database, timeout: float) -> Generator[Engine]:
    """An engine for one transaction that no import disturbs; see `import_lock`."""
    with import_lock(database, timeout) as lock:
        yield lock.engine

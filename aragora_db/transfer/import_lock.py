"""The lock that keeps a second import out, and engines without timeouts."""

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

__all__ = ["ImportLock", "engine_without_timeouts", "import_lock", "locked_engine"]

_LOCK = Lock("import", "import_ledger", TransferLocked)


@contextmanager
def engine_without_timeouts(database: Database, purpose: str) -> Generator[Engine]:
    """Yield an engine without statement timeouts; ``purpose`` is part of its application_name on the server."""
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
    """The lock that keeps other imports out of a database. Thread-safe; acquired again after a lost connection.

    Args:
        engine: of the database, for the work as well.
        timeout: seconds to wait for another import.
    """

    def __init__(self, engine: Engine, timeout: float) -> None:
        self.engine, self._timeout = engine, timeout
        self._mutex = threading.Lock()
        self._held = ExitStack()
        self._still_held: Callable[[], None] | None = None

    def ensure_held(self) -> None:
        """Acquire the lock, or check that it is still held. Does nothing on SQLite, which has one writer at a time.

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
        """Release the lock."""
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
    """Yield the lock of an import, held, with its engine.

    Args:
        database: where to.
        timeout: seconds to wait for another import.

    Raises:
        TransferLocked: naming the process that imports.
    """
    with engine_without_timeouts(database, "import") as engine:
        lock = ImportLock(engine, timeout)
        try:
            lock.ensure_held()
            yield lock
        finally:
            lock.release()


@contextmanager
def locked_engine(database: Database, timeout: float) -> Generator[Engine]:
    """Yield the engine of a held import lock."""
    with import_lock(database, timeout) as lock:
        yield lock.engine

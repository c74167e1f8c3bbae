"""Engines for work that takes as long as it takes."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.pool import NullPool

from aragora_db.database import Database
from aragora_db.engine import Target, create_engine
from aragora_db.errors import TransferLocked
from aragora_db.migrations.lock import Lock, advisory_lock

__all__ = ["locked_engine", "patient_engine"]

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


@contextmanager
def locked_engine(database: Database, timeout: float) -> Generator[Engine]:
    """An engine for an import, which no other one disturbs.

    Args:
        database: where to.
        timeout: seconds to wait for another import.

    Raises:
        TransferLocked: naming the process that imports.
    """
    with patient_engine(database, "import") as engine:
        if not engine.dialect.supports_sequences:  # SQLite's writers take turns by themselves
            yield engine
            return
        with advisory_lock(engine, timeout, _LOCK):
            yield engine

"""Engines for work that takes as long as it takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.pool import NullPool

from aragora_db.database import Database
from aragora_db.engine import Target, create_engine

__all__ = ["patient_engine"]


@contextmanager
def patient_engine(database: Database, purpose: str) -> Iterator[Engine]:
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

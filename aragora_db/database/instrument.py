"""`instrument`: our models, written by an application through its own engine or sessions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import sessionmaker

from aragora_db.engine.write_tracking import track_engine
from aragora_db.errors import UsageError
from aragora_db.search import index

__all__ = ["instrument"]


def instrument(engine_or_sessionmaker: Any) -> None:
    """Keep the search index, the shared cache and replicas true when an application writes our models by its own means.

    - Any session that flushes one of our models writes the words that searches look for, in the same transaction.
    - After each commit of this engine every `Database` of this process hears which tables were written: it invalidates
      the answers in the shared cache, and reads what this thread or task wrote from a replica that has it.

    Calling it again changes nothing. A store in a session does the same for the session's engine by itself. What is
    written past both, such as by ``COPY``, is found by ``aragora-db reindex``.

    Args:
        engine_or_sessionmaker: an ``Engine`` or ``AsyncEngine``, or a ``sessionmaker`` or ``async_sessionmaker`` that
            is bound to one.

    Raises:
        UsageError: it is none of these, or a sessionmaker that is bound to no engine.
    """
    index.listen()
    track_engine(_engine(engine_or_sessionmaker))


def _engine(target: Any) -> Engine:
    is_maker = isinstance(target, sessionmaker) or (hasattr(target, "kw") and hasattr(target, "begin"))
    bind = target.kw.get("bind") if is_maker else target
    found = getattr(bind, "sync_engine", bind)
    if isinstance(found, Connection):
        found = found.engine
    if not isinstance(found, Engine):
        raise UsageError(
            f"instrument takes an engine, or a sessionmaker that is bound to one, not {type(target).__name__}; make it "
            "with sessionmaker(engine)"
        )
    return found

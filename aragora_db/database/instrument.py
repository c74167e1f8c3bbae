"""`aragora_db.instrument`, for an application that writes our models through its own engine and sessions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

from aragora_db.engine.write_tracking import track_engine
from aragora_db.errors import UsageError
from aragora_db.models import Base
from aragora_db.search import index  # noqa: F401 -- its listeners write the words # pyright: ignore[reportUnusedImport]

__all__ = ["instrument"]


def instrument(target: Engine | AsyncEngine | sessionmaker[Session] | async_sessionmaker[AsyncSession]) -> None:
    """Keep the search index and the caches true for what an application writes through an engine of its own.

    From then on a session that flushes our models writes their search words in the same transaction. After each commit
    on this engine, every `Database` of this process hears which tables were written: its shared cache drops what it
    holds of them, and its replicas do not serve this thread or task before they have the write. A store does the same
    for the engine of the session that it is given. To call it again changes nothing.

    Args:
        target: the engine, sync or async, or a factory of sessions bound to one.

    Raises:
        UsageError: not one of these, or a factory that is bound to no engine, or a driver other than ours.
    """
    bind: Any = target
    if isinstance(target, sessionmaker | async_sessionmaker):
        bind = target.kw.get("bind")
        if bind is None:
            raise UsageError("this sessionmaker is bound to no engine; make it with sessionmaker(engine)")
    engine: Any = bind.sync_engine if isinstance(bind, AsyncEngine | AsyncConnection) else bind
    if not isinstance(engine, Engine | Connection):
        raise UsageError(
            f"{type(target).__name__} cannot be instrumented; pass an Engine, AsyncEngine, sessionmaker or "
            "async_sessionmaker"
        )
    track_engine(engine.engine, Base.metadata.tables)

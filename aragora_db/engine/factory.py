"""`create_engine` and `create_async_engine`: the same settings, the same arguments, either database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.asyncio import create_async_engine as sa_create_async_engine
from sqlalchemy.pool import Pool

from aragora_db.engine import abort_guard, fork, postgresql, sqlite, translate
from aragora_db.engine.pools import AsyncBoundedPool, BoundedPool, pool_arguments
from aragora_db.engine.target import Target
from aragora_db.types import json_text

if TYPE_CHECKING:
    from aragora_db.config import Settings

__all__ = ["READ_ONLY_OPTIONS", "create_async_engine", "create_engine"]

# Execution options for an engine or a connection: transactions in which the database itself refuses writes.
READ_ONLY_OPTIONS = {"postgresql_readonly": True, sqlite.READ_ONLY: True}


def create_engine(target: Settings | Target, *, poolclass: type[Pool] = BoundedPool, **pool: Any) -> Engine:
    """A sync engine: psycopg or the standard library's sqlite3.

    Args:
        target: settings, or a `Target` that several engines share.
        poolclass: `BoundedPool`, or SQLAlchemy's ``NullPool`` for one connection per use.
        pool: ``pool_size``, ``max_overflow``, ``pool_timeout`` and ``pool_recycle`` (seconds), ``pool_pre_ping``,
            ``pool_use_lifo``; each overrides the setting of that name.

    Raises:
        ConfigurationError: an argument that the pool cannot take, or no usable DSN.
    """
    target = Target.of(target)
    url, options = _prepare(target, {"postgresql": "psycopg", "sqlite": "pysqlite"}, poolclass, pool)
    engine = sa.create_engine(url, **options)
    _listen(engine, target)
    return engine


def create_async_engine(
    target: Settings | Target, *, poolclass: type[Pool] = AsyncBoundedPool, **pool: Any
) -> AsyncEngine:
    """An async engine: psycopg's async mode or aiosqlite. Arguments as for `create_engine`.

    An async engine belongs to the event loop it is first used in; `Database` keeps one per loop.
    """
    target = Target.of(target)
    url, options = _prepare(target, {"postgresql": "psycopg_async", "sqlite": "aiosqlite"}, poolclass, pool)
    engine = sa_create_async_engine(url, **options)
    _listen(engine.sync_engine, target)
    return engine


def _prepare(
    target: Target, drivers: dict[str, str], pool_class: type[Pool], given: dict[str, Any]
) -> tuple[sa.URL, dict[str, Any]]:
    dialect = _DIALECTS[target.dsn.backend]
    url = sa.URL.create(f"{target.dsn.backend}+{drivers[target.dsn.backend]}", **dialect.url_parts(target))
    return url, {
        "poolclass": pool_class,
        "json_serializer": json_text.dumps,
        "json_deserializer": json_text.loads,
        "hide_parameters": True,  # values of rows belong in the database, not in logs and error reports
        **dialect.engine_arguments(target),
        **pool_arguments(pool_class, dialect.pool_settings(target), given, fixed=dialect.fixed_pool_arguments(target)),
    }


def _listen(engine: Engine, target: Target) -> None:
    _DIALECTS[target.dsn.backend].listen(engine, target)
    translate.translate_errors(engine)
    abort_guard.refuse_commit_after_failure(engine)
    fork.forget_connections_in_children(engine)


_DIALECTS = {"postgresql": postgresql, "sqlite": sqlite}

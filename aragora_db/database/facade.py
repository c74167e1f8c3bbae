"""`Database`: engines, sessions, units of work with retries, migrations and health behind one object."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from aragora_db.config import Settings
from aragora_db.engine import READ_ONLY_OPTIONS, Target, create_async_engine, create_engine
from aragora_db.engine.retry import ATTEMPTS, RETRYABLE, delay
from aragora_db.engine.sessions import READ_ONLY_SESSION, UnitOfWork
from aragora_db.engine.sqlite import memory_uri
from aragora_db.errors import AragoraDBError, UsageError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

    from aragora_db.config import Dsn, SecretSource
    from aragora_db.engine.loops import LoopEngines

__all__ = ["Database"]

T = TypeVar("T")


class Database:
    """One database, for a whole process: thread-safe, fork-safe, sync and async.

    Args:
        settings: settings, or just a URL such as ``sqlite:///file.db`` (then the environment is not looked at); by
            default the settings of the environment.
        secrets: where a DSN comes from when the environment has none.

    Raises:
        ConfigurationError: the settings name no usable database. Nothing is connected to yet.
    """

    def __init__(self, settings: Settings | str | None = None, *, secrets: SecretSource | None = None) -> None:
        if isinstance(settings, str):
            settings = Settings.explicit(database_url=settings)
        self.settings: Settings = Settings() if settings is None else settings
        self.dsn: Dsn = self.settings.resolve(secrets)
        self._target = Target(self.settings, self.dsn)
        self._anchor: sqlite3.Connection | None = None
        self._lock = threading.RLock()
        self._ready = False
        self._sync_engines: tuple[Engine, Engine] | None = None
        self._loop_engines: LoopEngines | None = None
        _databases.add(self)

    def __repr__(self) -> str:
        """The database, without its password."""
        return f"Database({self.dsn.masked!r})"

    # -- engines ------------------------------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        """The sync engine, made at first use."""
        return self._writer_and_reader()[0]

    def _writer_and_reader(self) -> tuple[Engine, Engine]:
        # Not a cached_property: before Python 3.12 it holds a lock of its own, taken here before and in ensure_ready
        # after ours, and two threads at their first use could wait for each other.
        if self._sync_engines is None:
            with self._lock:
                if self._sync_engines is None:
                    self._prepare()
                    engine = create_engine(self._target)
                    self._sync_engines = engine, engine.execution_options(**READ_ONLY_OPTIONS)
        return self._sync_engines

    @property
    def async_engine(self) -> AsyncEngine:
        """The async engine of the running event loop, made at first use.

        Raises:
            UsageError: no event loop is running.
        """
        if self._loop_engines is None:
            from aragora_db.engine.loops import LoopEngines  # noqa: PLC0415 -- imports asyncio

            with self._lock:
                if self._loop_engines is None:
                    self._loop_engines = LoopEngines(self._make_async_engine)
        return self._loop_engines.current()

    def _make_async_engine(self) -> AsyncEngine:
        self._prepare()
        return create_async_engine(self._target)

    def _prepare(self) -> None:
        """What has to be there before the first connection."""
        from aragora_db import derived  # noqa: F401, PLC0415 -- listens to sessions; imports the models # pyright: ignore[reportUnusedImport]

        # A database in memory lives as long as a connection to it: hold one that no pool closes.
        with self._lock:
            if self._target.in_memory and self._anchor is None:
                self._anchor = sqlite3.connect(memory_uri(self._target), uri=True, check_same_thread=False)

    # -- sessions -----------------------------------------------------------------------------------------------------

    @contextmanager
    def session(self, *, read_only: bool = False) -> Generator[Session]:
        """An ORM session: commits when the block ends, rolls back when it raises.

        Args:
            read_only: a transaction in which the database refuses writes, and the session refuses to flush.

        Raises:
            SchemaBehind, SchemaAhead, SchemaDiverged: this version cannot use the database as it is.
            PoolExhausted: no connection became free in time.
            CommitUnknown: the connection was lost while the commit was under way.
            TransactionAborted: a statement failed and its error was caught, so nothing can be committed.
        """
        self.ensure_ready()
        with self._sync_session(Session, read_only) as session:
            yield session
            session.commit()

    @asynccontextmanager
    async def async_session(self, *, read_only: bool = False) -> AsyncGenerator[AsyncSession]:
        """`session` for async code."""
        await self._ensure_ready_async()
        async with self._async_session(Session, read_only) as session:
            yield session
            await session.commit()

    def transact(self, work: Callable[[Session], T], *, read_only: bool = False, attempts: int = ATTEMPTS) -> T:
        """Run a unit of work in one transaction; run it again when another transaction was in the way.

        Args:
            work: gets a session and returns a value. It may run several times, so it must not touch anything but the
                session, and it must not commit.
            read_only: as for `session`.
            attempts: how often to try before the error is passed on.

        Raises:
            LockTimeout, DatabaseUnavailable: still, after the last attempt.
            CommitUnknown: never retried, see there.
        """
        self.ensure_ready()
        for attempt in range(1, attempts + 1):
            try:
                with self._sync_session(UnitOfWork, read_only) as session:
                    session.begin()  # so that `with session.begin()` inside, which would commit, is refused
                    value = work(session)
                    Session.commit(session)
                    return value
            except RETRYABLE:
                if attempt == attempts:
                    raise
            time.sleep(delay(attempt))
        raise UsageError("attempts must be at least 1")

    async def transact_async(
        self, work: Callable[[Session], T], *, read_only: bool = False, attempts: int = ATTEMPTS
    ) -> T:
        """`transact` for async code: the same function, over the same sync session, without blocking the loop."""
        import asyncio  # noqa: PLC0415 -- not needed by sync programs

        await self._ensure_ready_async()
        for attempt in range(1, attempts + 1):
            try:
                async with self._async_session(UnitOfWork, read_only) as session:
                    session.sync_session.begin()
                    value = await session.run_sync(work)
                    await session.run_sync(Session.commit)
                    return value
            except RETRYABLE:
                if attempt == attempts:
                    raise
            await asyncio.sleep(delay(attempt))
        raise UsageError("attempts must be at least 1")

    def _sync_session(self, session_class: type[Session], read_only: bool) -> Session:
        engine = self._writer_and_reader()[read_only]
        return session_class(engine, expire_on_commit=False, info={READ_ONLY_SESSION: read_only})

    def _async_session(self, session_class: type[Session], read_only: bool) -> AsyncSession:
        from sqlalchemy.ext.asyncio import AsyncSession  # noqa: PLC0415 -- imports asyncio

        engine = self.async_engine
        if read_only:
            engine = engine.execution_options(**READ_ONLY_OPTIONS)
        return AsyncSession(
            engine, sync_session_class=session_class, expire_on_commit=False, info={READ_ONLY_SESSION: read_only}
        )

    # -- schema -------------------------------------------------------------------------------------------------------

    def migrate(self, version: str = "head") -> list[str]:
        """Apply pending revisions, under the migration lock, up to and including ``version``.

        Returns:
            The revisions that were applied, in order; none when there was nothing to do.

        Raises:
            ForwardOnlyError: ``version`` lies behind the database.
            RevisionEdited, SchemaAhead, SchemaDiverged: the histories do not fit.
            MigrationLocked: another process held the lock for too long; the message names it.
        """
        from aragora_db.migrations.upgrade import migrate  # noqa: PLC0415 -- imports alembic

        self._prepare()
        applied = migrate(self._target, version, self._writer_and_reader()[1])
        self._ready = False
        return applied

    def ensure_ready(self) -> None:
        """Check, once per process, that this version can use the schema; bring an empty database to head.

        ``ARAGORA_AUTO_MIGRATE_ON_STARTUP=true`` also applies pending revisions; ``false`` changes nothing at all.

        Raises:
            SchemaBehind, SchemaAhead, SchemaDiverged: naming what to run.
        """
        if self._ready:
            return
        from aragora_db.migrations.first_use import prepare  # noqa: PLC0415 -- once per process

        with self._lock:
            if not self._ready:
                self._prepare()
                prepare(self.engine, self._target)
                self._ready = True

    async def _ensure_ready_async(self) -> None:
        if not self._ready:
            import asyncio  # noqa: PLC0415 -- not needed by sync programs

            await asyncio.to_thread(self.ensure_ready)

    # -- health and end -----------------------------------------------------------------------------------------------

    def health_check(self) -> bool:
        """Whether the database answers ``SELECT 1``. Never raises; a missing SQLite file is created, empty."""
        return bool(self.health()["reachable"])

    def health(self) -> dict[str, Any]:
        """Reachability, latency of ``SELECT 1`` in milliseconds, and the sync pool's use. Never raises."""
        started = time.perf_counter()
        error: str | None = None
        try:
            # As a reader: on SQLite a writer would have to wait for its turn.
            with self._writer_and_reader()[1].connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except (AragoraDBError, SQLAlchemyError) as problem:
            error = type(problem).__name__
        pool: Any = self.engine.pool
        return {
            "reachable": error is None,
            "backend": self.dsn.backend,
            "database": self.dsn.masked,
            "latency_ms": round((time.perf_counter() - started) * 1000, 3),
            "error": error,
            "pool": {"size": pool.size(), "in_use": pool.checkedout(), "idle": pool.checkedin()},
        }

    def close(self) -> None:
        """Close every connection. Async code calls `aclose` first, which says goodbye to the server properly."""
        if self._sync_engines is not None:
            self.engine.dispose()
        if self._loop_engines is not None:
            self._loop_engines.abandon_all()
        if self._anchor is not None:
            self._anchor.close()
            self._anchor, self._ready = None, False

    def forget_parent(self) -> None:
        """What a forked child does first, by itself: threads and event loops, and who held the lock, stayed behind."""
        self._lock, self._loop_engines = threading.RLock(), None

    async def aclose(self) -> None:
        """Close the running loop's connections, then everything else."""
        if self._loop_engines is not None:
            await self._loop_engines.dispose_current()
        self.close()


_databases: WeakSet[Database] = WeakSet()


def _in_child() -> None:
    for database in list(_databases):
        database.forget_parent()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_in_child)

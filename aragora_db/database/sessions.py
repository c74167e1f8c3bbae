"""Sessions and units of work, sync and async, towards the primary or a replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from aragora_db.engine import READ_ONLY_OPTIONS
from aragora_db.engine.retry import ATTEMPTS, retry, retry_async
from aragora_db.engine.server_engines import ServerEngines
from aragora_db.engine.sessions import READ_ONLY_SESSION, AragoraSession, UnitOfWork
from aragora_db.replicas.lsn import format_lsn
from aragora_db.replicas.router import ReplicaRouter

__all__ = ["Sessions"]

T = TypeVar("T")


class Sessions:
    """What `Database` offers for reading and writing."""

    _primary: ServerEngines
    _replicas: ReplicaRouter | None
    _ready: bool

    def ensure_ready(self) -> None:
        """Check, once per process, that this version can use the schema."""
        raise NotImplementedError

    async def _ensure_ready_async(self) -> None:
        if not self._ready:
            await asyncio.to_thread(self.ensure_ready)

    @contextmanager
    def session(
        self, *, read_only: bool = False, primary: bool = False, after: str | None = None
    ) -> Generator[Session]:
        """An ORM session: commits when the block ends, rolls back when it raises.

        Args:
            read_only: a transaction in which the database refuses writes, and the session refuses to flush. It may
                run on a replica (ARAGORA_DB_READ_URLS), which is a little behind, but never behind what this thread or
                task has written itself.
            primary: never on a replica.
            after: what `write_position` returned elsewhere: in another thread, request or process. This session sees
                what was written there. Without replicas it means nothing.

        Raises:
            InvalidValue: ``after`` is no position.
            SchemaBehind, SchemaAhead, SchemaDiverged: this version cannot use the database as it is.
            PoolExhausted: no connection became free in time.
            CommitUnknown: the connection was lost while the commit was under way.
            TransactionAborted: a statement failed and its error was caught, so nothing can be committed.
        """
        self.ensure_ready()
        with self._sync_session(AragoraSession, read_only, primary, after) as session:
            yield session
            session.commit()

    @asynccontextmanager
    async def async_session(
        self, *, read_only: bool = False, primary: bool = False, after: str | None = None
    ) -> AsyncGenerator[AsyncSession]:
        """`session` for async code."""
        await self._ensure_ready_async()
        async with await self._async_session(AragoraSession, read_only, primary, after) as session:
            yield session
            await session.commit()

    def transact(
        self,
        work: Callable[[Session], T],
        *,
        read_only: bool = False,
        primary: bool = False,
        after: str | None = None,
        attempts: int = ATTEMPTS,
    ) -> T:
        """Run a unit of work in one transaction; run it again when another transaction was in the way.

        Args:
            work: gets a session and returns a value. It may run several times, so it must not touch anything but the
                session, and it must not commit.
            read_only: as for `session`.
            primary: as for `session`.
            after: as for `session`.
            attempts: how often to try before the error is passed on.

        Raises:
            LockTimeout, DatabaseUnavailable: still, after the last attempt.
            CommitUnknown: never retried, see there.
        """
        self.ensure_ready()

        def once() -> T:
            with self._sync_session(UnitOfWork, read_only, primary, after) as session:
                session.begin()  # so that `with session.begin()` inside, which would commit, is refused
                value = work(session)
                Session.commit(session)
                return value

        return retry(once, attempts=attempts)

    async def transact_async(
        self,
        work: Callable[[Session], T],
        *,
        read_only: bool = False,
        primary: bool = False,
        after: str | None = None,
        attempts: int = ATTEMPTS,
    ) -> T:
        """`transact` for async code: the same function, over the same sync session, without blocking the loop."""
        await self._ensure_ready_async()

        async def once() -> T:
            async with await self._async_session(UnitOfWork, read_only, primary, after) as session:
                session.sync_session.begin()
                value = await session.run_sync(work)
                await session.run_sync(Session.commit)
                return value

        return await retry_async(once, attempts=attempts)

    def write_position(self) -> str | None:
        """Where the last write of this thread or task is in the primary's log, for `session`'s ``after`` elsewhere.

        Returns:
            A short text; None without replicas, and when nothing was written here.

        Raises:
            DatabaseUnavailable: the primary has to be asked, and is away.
        """
        position = 0 if self._replicas is None else self._replicas.own_write_lsn()
        if self._replicas is not None and position is None:
            with self._primary.reader.connect() as connection:
                return self._replicas.write_position(connection)
        return format_lsn(position) if position else None

    async def write_position_async(self) -> str | None:
        """`write_position` for async code."""
        position = 0 if self._replicas is None else self._replicas.own_write_lsn()
        if self._replicas is not None and position is None:
            async with self._primary.of_this_loop.execution_options(**READ_ONLY_OPTIONS).connect() as connection:
                return await connection.run_sync(self._replicas.write_position)
        return format_lsn(position) if position else None

    def _sync_session(
        self, session_class: type[AragoraSession], read_only: bool, primary: bool, after: str | None
    ) -> AbstractContextManager[Session]:
        if read_only and not primary and self._replicas is not None:
            connection = self._replicas.connect(after)
            if connection is not None:
                return _session_on(connection, session_class)
        engine = self._primary.reader if read_only else self._primary.writer
        return session_class(engine, expire_on_commit=False, info={READ_ONLY_SESSION: read_only})

    async def _async_session(
        self, session_class: type[AragoraSession], read_only: bool, primary: bool, after: str | None
    ) -> AbstractAsyncContextManager[AsyncSession]:
        if read_only and not primary and self._replicas is not None:
            connection = await self._replicas.connect_async(after)
            if connection is not None:
                return _async_session_on(connection, session_class)
        engine = self._primary.of_this_loop
        if read_only:
            engine = engine.execution_options(**READ_ONLY_OPTIONS)
        return AsyncSession(
            engine, sync_session_class=session_class, expire_on_commit=False, info={READ_ONLY_SESSION: read_only}
        )


# A session on a replica keeps one connection to its end: another one could be to a server that is further behind.
# It takes over the transaction in which the replica was asked how far it is.


@contextmanager
def _session_on(connection: Connection, session_class: type[AragoraSession]) -> Generator[Session]:
    with connection, session_class(connection, **_on_replica()) as session:
        yield session


@asynccontextmanager
async def _async_session_on(
    connection: AsyncConnection, session_class: type[AragoraSession]
) -> AsyncGenerator[AsyncSession]:
    # Not `async with connection`, which would start it again.
    try:
        async with AsyncSession(connection, sync_session_class=session_class, **_on_replica()) as session:
            yield session
    finally:
        await asyncio.shield(connection.close())


def _on_replica() -> dict[str, Any]:
    return {
        "expire_on_commit": False,
        "join_transaction_mode": "control_fully",
        "info": {READ_ONLY_SESSION: True},
    }

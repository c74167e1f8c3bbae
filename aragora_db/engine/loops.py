"""Async engines, one for each event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any
from weakref import WeakSet

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only

from aragora_db.errors import UsageError

__all__ = ["LoopEngines", "run_in_thread"]


class LoopEngines:
    """Makes an engine for each event loop that asks, and forgets the engines of loops that were closed.

    A driver's async connection waits on the loop that opened it; used from another one it hangs or raises
    (https://docs.sqlalchemy.org/en/21/orm/extensions/asyncio.html#using-multiple-asyncio-event-loops).

    Args:
        make: makes an engine.
        forgotten: called with each engine that is not used any more.
    """

    def __init__(self, make: Callable[[], AsyncEngine], forgotten: Callable[[AsyncEngine], None]) -> None:
        self._make, self._forgotten = make, forgotten
        # Strong: a loop that was collected before we looked would leave its connections open for good.
        self._engines: dict[asyncio.AbstractEventLoop, AsyncEngine] = {}
        self._connections: dict[AsyncEngine, WeakSet[Any]] = {}

    def current(self) -> AsyncEngine:
        """The engine of the running loop.

        Raises:
            UsageError: no loop is running.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise UsageError("an async engine belongs to a running event loop; call this from async code") from None
        if loop not in self._engines:
            self._abandon(lambda other: other.is_closed())
            self._engines[loop] = self._track(self._make())
        return self._engines[loop]

    async def dispose_current(self) -> None:
        """Close the running loop's connections."""
        engine = self._engines.pop(asyncio.get_running_loop(), None)
        if engine is not None:
            self._connections.pop(engine, None)
            await engine.dispose()
            self._forgotten(engine)

    def abandon_all(self) -> None:
        """Cut every connection without a goodbye; for code that has no loop to await in."""
        self._abandon(lambda _loop: True)

    def _track(self, engine: AsyncEngine) -> AsyncEngine:
        connections: WeakSet[Any] = WeakSet()
        self._connections[engine] = connections

        @event.listens_for(engine.sync_engine, "connect")
        def _opened(dbapi_connection: Any, _record: Any) -> None:
            connections.add(dbapi_connection.driver_connection)

        return engine

    def _abandon(self, condemned: Callable[[asyncio.AbstractEventLoop], bool]) -> None:
        for loop in [loop for loop in list(self._engines) if condemned(loop)]:
            engine = self._engines.pop(loop, None)
            if engine is None:
                continue  # another thread was quicker
            engine.sync_engine.dispose(close=False)
            self._forgotten(engine)
            for connection in self._connections.pop(engine, ()):
                _cut(connection)


def run_in_thread(work: Callable[[], None]) -> None:
    """Run a function in a thread from inside SQLAlchemy's greenlet; other tasks of the loop go on meanwhile."""
    # Shielded, and no task: a cancelled caller stops waiting, but does not take it back from a busy executor.
    context = copy_context()
    done = asyncio.get_running_loop().run_in_executor(None, lambda: context.run(work))
    await_only(asyncio.shield(done))


def _cut(connection: Any) -> None:
    if hasattr(connection, "pgconn"):
        connection.pgconn.finish()
    else:
        # aiosqlite ends its thread, which closes the file. It makes a future for whoever wants to wait, in the current
        # event loop, or in one that nobody closes if there is none; in a new thread it makes do without.
        stopper = threading.Thread(target=connection.stop)
        stopper.start()
        stopper.join()

"""The engines of one process towards one server: sync, and async for each event loop."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from aragora_db.engine import READ_ONLY_OPTIONS, Target, create_async_engine, create_engine
from aragora_db.engine.loops import LoopEngines, run_in_thread
from aragora_db.engine.pool_metrics import Meter
from aragora_db.engine.sqlite import memory_uri
from aragora_db.engine.write_tracking import Notify, notify_after_commits

__all__ = ["ServerEngines"]

log = logging.getLogger("aragora_db.database")


class ServerEngines:
    """Engines made at first use, closed together, and forgotten by a forked child.

    Args:
        target: the server and how to talk to it.
        listeners: called after each commit that wrote, with the tables' names; may grow later.
        meter: counts the pools of several servers together; one of its own by default.
        adopt: called with each engine, the sync side of async ones, before it connects.
    """

    def __init__(
        self,
        target: Target,
        listeners: Sequence[Notify] = (),
        meter: Meter | None = None,
        adopt: Callable[[Engine], None] | None = None,
    ) -> None:
        self.target = target
        self.meter = meter or Meter()
        self._listeners, self._adopt = listeners, adopt
        self._anchor: sqlite3.Connection | None = None
        self._lock = threading.RLock()
        self._sync: tuple[Engine, Engine] | None = None
        self._loops: LoopEngines | None = None

    @property
    def writer(self) -> Engine:
        """The sync engine."""
        return self._writer_and_reader()[0]

    @property
    def reader(self) -> Engine:
        """The sync engine, in transactions that refuse writes."""
        return self._writer_and_reader()[1]

    def _writer_and_reader(self) -> tuple[Engine, Engine]:
        # Not a cached_property: before Python 3.12 it holds a lock of its own, taken here before and elsewhere after
        # ours, and two threads at their first use could wait for each other.
        if self._sync is None:
            with self._lock:
                if self._sync is None:
                    self.prepare()
                    engine = create_engine(self.target)
                    self._connect_listeners(engine, self.tell)
                    self._sync = engine, engine.execution_options(**READ_ONLY_OPTIONS)
        return self._sync

    @property
    def of_this_loop(self) -> AsyncEngine:
        """The async engine of the running event loop.

        Raises:
            UsageError: no event loop is running.
        """
        if self._loops is None:
            with self._lock:
                if self._loops is None:
                    self._loops = LoopEngines(self._make_async, lambda engine: self.meter.detach(engine.sync_engine))
        return self._loops.current()

    def _make_async(self) -> AsyncEngine:
        self.prepare()
        engine = create_async_engine(self.target)
        self._connect_listeners(engine.sync_engine, self.tell_in_thread)
        return engine

    def _connect_listeners(self, engine: Engine, tell: Notify) -> None:
        self.meter.attach(engine)
        if self._adopt is not None:
            self._adopt(engine)
        notify_after_commits(engine, tell)

    def tell(self, tables: frozenset[str]) -> None:
        """Call the listeners; what one of them raises is logged."""
        for listener in self._listeners:
            try:
                listener(tables)
            except Exception as error:  # noqa: BLE001 -- anybody's; the commit has happened, and others are to be told
                log.error("a listener to commits raised %s; the commit stands", type(error).__name__)  # noqa: TRY400 -- may hold a secret

    def tell_in_thread(self, tables: frozenset[str]) -> None:
        """Call the listeners from inside SQLAlchemy's greenlet; other tasks of the event loop go on meanwhile."""
        if self._listeners:
            run_in_thread(lambda: self.tell(tables))

    def prepare(self) -> None:
        """What has to be there before the first connection."""
        # A database in memory lives as long as a connection to it: hold one that no pool closes.
        with self._lock:
            if self.target.in_memory and self._anchor is None:
                self._anchor = sqlite3.connect(memory_uri(self.target), uri=True, check_same_thread=False)

    def close(self) -> bool:
        """Close every connection, async ones without a goodbye.

        Returns:
            Whether the database itself is gone with them, because it was in memory.
        """
        if self._sync is not None:
            self._sync[0].dispose()
        if self._loops is not None:
            self._loops.abandon_all()
        anchor, self._anchor = self._anchor, None
        if anchor is not None:
            anchor.close()
        return anchor is not None

    async def aclose(self) -> None:
        """Close the running loop's connections properly, then everything else."""
        if self._loops is not None:
            await self._loops.dispose_current()
        self.close()

    def reset_after_fork(self) -> None:
        """What a forked child does first: threads and event loops, and who held the lock, stayed behind."""
        self._lock, self._loops = threading.RLock(), None

"""What the pools count; a failure means that an operator looks at figures that are not so."""

from __future__ import annotations

import asyncio
import gc
import os
import threading

import pytest
from concurrent_work import Job, forked

from aragora_db.config import Settings
from aragora_db.database import Database
from aragora_db.engine.pool_metrics import BOUNDS
from aragora_db.errors import PoolExhausted


def one_connection(url: str) -> Database:
    """A database with a pool of one."""
    return Database(Settings.explicit(database_url=url, pool_size=1, pool_max_overflow=0, pool_timeout=1))


@pytest.fixture
def narrow(fresh_databases):
    """A PostgreSQL database with a pool of one connection."""
    database = one_connection(fresh_databases.url("postgresql"))
    yield database
    database.close()


def test_checkouts_waits_and_holds_are_counted(narrow: Database) -> None:
    """A dashboard would show an idle pool while requests queue for it."""
    before = narrow.pool_metrics()
    assert (before.checkouts, before.in_use, before.size, before.max_overflow) == (0, 0, 0, 0)
    holding, free = threading.Event(), threading.Event()

    def hold() -> None:
        with narrow.engine.connect():
            holding.set()
            free.wait(30)

    job = Job(hold)
    assert holding.wait(30)
    during = narrow.pool_metrics()
    assert (during.in_use, during.idle, during.size, during.hold.count) == (1, 0, 1, 0)
    threading.Timer(0.2, free.set).start()
    with narrow.engine.connect():
        pass
    job.result()
    after = narrow.pool_metrics()
    assert (after.in_use, after.idle, after.checkouts, after.timeouts) == (0, 1, 2, 0)
    assert after.hold.count == 2
    assert after.wait.longest >= 0.1
    assert after.hold.longest >= 0.1
    assert after.wait.total >= after.wait.longest
    assert [bound for bound, _ in after.wait.buckets] == list(BOUNDS)
    assert [count for _, count in after.wait.buckets] == sorted(count for _, count in after.wait.buckets)
    assert after.wait.buckets[-1][1] == 2


def test_timeouts_are_counted(narrow: Database) -> None:
    """Requests that never got a connection would leave no trace."""
    with narrow.engine.connect(), pytest.raises(PoolExhausted):
        narrow.engine.connect()
    metrics = narrow.pool_metrics()
    assert (metrics.timeouts, metrics.checkouts) == (1, 1)


def test_sync_and_async_pools_are_counted_together(dialect: str, fresh_databases) -> None:
    """A process that mixes both would report half of its connections."""
    database = Database(fresh_databases.url(dialect))

    async def main() -> None:
        async with database.async_engine.connect():
            with database.engine.connect():
                assert database.pool_metrics().in_use == 2
        await database.aclose()

    asyncio.run(main())
    assert database.pool_metrics().hold.count == 2


def test_a_disposed_pool_goes_on_being_counted(narrow: Database) -> None:
    """After a fork, or a close, nothing would be counted any more."""
    with narrow.engine.connect():
        pass
    narrow.engine.dispose()
    with narrow.engine.connect():
        pass
    assert narrow.pool_metrics().checkouts == 2


def test_engines_of_closed_loops_are_not_counted(dialect: str, fresh_databases) -> None:
    """A program that runs a loop for each job would report more connections than it can ever open."""
    database = Database(fresh_databases.url(dialect))

    async def job(close: bool) -> None:
        async with database.async_engine.connect():
            pass
        if close:
            await database.aclose()

    sizes: list[int] = []
    for close in (True, True, False, False, False):
        asyncio.run(job(close))
        sizes.append(database.pool_metrics().size)
    database.close()
    assert sizes[0] == sizes[1] == 0
    assert sizes[2] == sizes[3] == sizes[4] > 0


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:The garbage collector")
def test_the_garbage_collector_gives_a_connection_back_meanwhile(fresh_databases) -> None:
    """A connection that was forgotten in a cycle would stop the thread that reads the metrics, and then all others."""
    database = Database(fresh_databases.url("sqlite"))

    def forget() -> None:
        cycle: list[object] = [database.engine.connect()]
        cycle.append(cycle)

    def read() -> None:
        # The collector runs after so many new objects: one of these numbers is inside the lock.
        for after in range(1, 60):
            gc.disable()
            forget()
            gc.set_threshold(after, 1, 1)
            gc.enable()
            database.pool_metrics()
            gc.set_threshold(*usual)
            gc.collect()

    usual = gc.get_threshold()
    reader = threading.Thread(target=read, daemon=True)
    gc.freeze()  # what hundreds of tests left behind takes a second to look through, each time
    reader.start()
    reader.join(60)
    gc.unfreeze()
    gc.set_threshold(*usual)
    gc.enable()
    assert not reader.is_alive()
    database.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks on Windows")
def test_a_forked_child_counts_from_zero(narrow: Database) -> None:
    """Each worker of a pre-forking server would report its parent's connections once more."""
    with narrow.engine.connect():
        pass

    def counts_nothing() -> bool:
        metrics = narrow.pool_metrics()
        return metrics.checkouts + metrics.hold.count == 0

    assert forked(counts_nothing)
    assert narrow.pool_metrics().checkouts == 1

"""What is told after a commit; a failure means that other instances go on answering from stale caches."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from support import HANG_SECONDS

from aragora_db.database import Database
from aragora_db.engine.write_tracking import tables_written
from aragora_db.errors import RedisUnavailable, UniqueViolation
from aragora_db.models import EloRating
from aragora_db.stores import EloStore
from aragora_db.testing.engines import EngineDatabase

RATING = {"agent_name": "ada", "elo": 1500.0}


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("INSERT INTO elo_ratings (a) VALUES (1)", {"elo_ratings"}),
        ("insert or replace into memory_tiers values (1)", {"memory_tiers"}),
        ("REPLACE INTO t VALUES (1)", {"t"}),
        ('UPDATE "matches" SET a = 1', {"matches"}),
        ("UPDATE ONLY public.matches SET a = 1", {"matches"}),
        ("UPDATE OR IGNORE t SET a = 1", {"t"}),
        ('DELETE FROM "public"."matches"', {"matches"}),
        ("WITH x AS (INSERT INTO a SELECT 1), y AS (DELETE FROM b) UPDATE c SET d = 1", {"a", "b", "c"}),
        ("INSERT INTO a VALUES (1) ON CONFLICT (id) DO UPDATE SET b = 2", {"a"}),
        ("MERGE INTO a USING b ON 1=1 WHEN MATCHED THEN DELETE", {"a"}),
        ("TRUNCATE TABLE a", {"a"}),
        ("TRUNCATE a", {"a"}),
        ('TRUNCATE a, ONLY public.b, "c" CASCADE', {"a", "b", "c"}),
        ("INSERT INTO ELO_RATINGS VALUES (1)", {"elo_ratings"}),
        ("INSERT /* a * hint **/ INTO t VALUES (1)", {"t"}),
        ("UPDATE -- why\n t SET a = 1", {"t"}),
        ('UPDATE"t"SET a = 1', {"t"}),
        ("DELETE FROM `t`", {"t"}),
        ("INSERT INTO [t] VALUES (1)", {"t"}),
        ('UPDATE public . "t" SET a = 1', {"t"}),
        ('UPDATE "not-ours"."t" SET a = 1', {"t"}),
        ("-- what is there to do\nUPDATE t SET a = 1", {"t"}),
        ("/* not for */ UPDATE t SET a = 1", {"t"}),
        ("SELECT * FROM a FOR NO KEY UPDATE SKIP LOCKED", set()),
        ("SELECT * FROM a FOR UPDATE OF a", set()),
        ("SELECT * FROM a FOR UPDATE", set()),
        ("SELECT updated_at, inserted FROM updates", set()),
    ],
)
def test_tables_written(statement: str, tables: set[str]) -> None:
    """A kind of write would go unnoticed, or each locking read would empty the caches."""
    assert tables_written(statement) == tables


@pytest.mark.timeout(20)  # it takes milliseconds; a regular expression that backtracks would never end
@pytest.mark.parametrize("part", ["INSERT /* */", "UPDATE a . ", "TRUNCATE a, ", "DELETE --\n", "/* * ", "INSERT OR "])
def test_no_statement_takes_for_ever(part: str) -> None:
    """Reads a text with thousands of comments or names in time, as a short one: else it would stop the event loop."""
    assert tables_written(part * 1000) == tables_written(part * 4)
    assert tables_written(f"INSERT{part * 1000}") == tables_written(f"INSERT{part * 4}")


def test_every_way_to_write_is_told(database: EngineDatabase) -> None:
    """A write past the ORM, or on one of the drivers, would not reach the caches."""
    told: list[frozenset[str]] = []
    database.on_commit(told.append)
    ways = [
        lambda s: s.add(EloRating(**RATING)),
        lambda s: s.execute(sa.update(EloRating).values(elo=1501.0)),
        lambda s: s.execute(sa.text("DELETE FROM elo_ratings")),
        lambda s: s.connection().exec_driver_sql("UPDATE elo_ratings SET elo = 1"),
    ]
    for way in ways:
        database.run(way)
    assert told == [frozenset({"elo_ratings"})] * 4
    database.run(lambda s: EloStore(s).record_match("d1", ["ada", "bob"], {"ada": 1.0, "bob": 0.0}))
    assert {"elo_ratings", "elo_matches", "elo_history"} <= told[-1]


def test_reads_and_rollbacks_are_not_told(database: EngineDatabase) -> None:
    """Each read would empty the caches of all instances."""
    told: list[frozenset[str]] = []
    database.on_commit(told.append)
    database.run(lambda s: s.scalars(sa.select(EloRating).with_for_update()).all())

    def fails(session: sa.orm.Session) -> None:
        session.add(EloRating(**RATING))
        session.flush()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        database.run(fails)
    database.run(lambda s: s.scalars(sa.select(EloRating)).all())
    assert told == []


def test_told_after_the_commit(database: EngineDatabase) -> None:
    """A cache that is filled again at once would read what was there before."""
    seen: list[int] = []
    other = Database(database.dsn.url())

    def look(_tables: frozenset[str]) -> None:
        with other.session(read_only=True) as session:
            seen.append(session.scalar(sa.select(sa.func.count()).select_from(EloRating)) or 0)

    database.on_commit(look)
    database.run(lambda s: s.add(EloRating(**RATING)))
    other.close()
    assert seen == [1]


def test_sessions_and_autocommit_are_told(database: EngineDatabase) -> None:
    """Sessions, or connections without transactions, would bypass the caches."""
    told: list[frozenset[str]] = []
    database.on_commit(told.append)
    with database.session() as session:
        session.add(EloRating(**RATING))
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("DELETE FROM elo_ratings")
    assert told == [frozenset({"elo_ratings"})] * 2


def test_a_slow_listener_does_not_hold_up_the_event_loop(dialect: str, fresh_databases) -> None:
    """One hanging Redis would stop every task of the process."""
    database = Database(fresh_databases.url(dialect))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        passed = asyncio.Event()
        # The listener waits for something that only a running event loop can do.
        database.on_commit(lambda _: asyncio.run_coroutine_threadsafe(passed.wait(), loop).result(30))
        write = asyncio.create_task(database.transact_async(lambda s: s.add(EloRating(**RATING))))
        await asyncio.sleep(0)
        loop.call_later(0.05, passed.set)
        await asyncio.wait_for(write, 30)
        await database.aclose()

    asyncio.run(main())


def test_a_listener_that_raises(database: EngineDatabase, caplog) -> None:
    """What is stored would be reported as failed, or stored twice, and the next listener would never hear of it."""
    told: list[frozenset[str]] = []

    def fails(tables: frozenset[str]) -> None:
        told.append(tables)
        raise RedisUnavailable("at redis://:Zk9@cache")

    database.on_commit(fails)
    database.on_commit(told.append)
    with caplog.at_level(logging.ERROR):
        database.run(lambda s: s.add(EloRating(**RATING)))
    assert told == [frozenset({"elo_ratings"})] * 2
    assert "RedisUnavailable" in caplog.text
    assert "Zk9" not in caplog.text


class RecordingExecutor(ThreadPoolExecutor):
    """An executor of one thread that counts what it was given."""

    def __init__(self) -> None:
        super().__init__(1)
        self.given = 0

    def submit(self, *arguments: Any, **keywords: Any) -> Any:
        """Count, and run it."""
        self.given += 1
        return super().submit(*arguments, **keywords)


def test_a_cancelled_task_is_told(dialect: str, fresh_databases, eventually) -> None:
    """A request that its client gave up on, while all threads are busy, would leave stale answers everywhere."""
    database = Database(fresh_databases.url(dialect))
    told: list[frozenset[str]] = []
    free = threading.Event()

    async def main() -> None:
        await database.transact_async(lambda s: s.scalar(sa.select(EloRating.elo)))
        executor = RecordingExecutor()
        asyncio.get_running_loop().set_default_executor(executor)
        executor.submit(free.wait, HANG_SECONDS)
        database.on_commit(told.append)
        write = asyncio.create_task(database.transact_async(lambda s: s.add(EloRating(**RATING))))
        async with asyncio.timeout(HANG_SECONDS):
            while executor.given == 1:  # noqa: ASYNC110 -- no event says that the listeners are next
                await asyncio.sleep(0.01)
        assert told == []
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(write, HANG_SECONDS)
        free.set()
        await database.aclose()

    try:
        asyncio.run(main())
    finally:
        free.set()
    eventually(lambda: told == [frozenset({"elo_ratings"})], "the listener hears of it")
    with database.session(read_only=True) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(EloRating)) == 1
    database.close()


def test_autocommit_that_failed_is_told(database: EngineDatabase) -> None:
    """The rows before the one that failed are stored, or all of them, and no cache would hear of it."""
    told: list[frozenset[str]] = []
    database.on_commit(told.append)
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises(UniqueViolation):
            connection.execute(sa.insert(EloRating), [RATING, RATING])
    assert told == [frozenset({"elo_ratings"})]

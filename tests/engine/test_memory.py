"""A database in memory is one database for a whole process: threads, tasks, sync and async."""

from __future__ import annotations

import asyncio

import pytest
from concurrent_work import Job, together
from sqlalchemy import text

from aragora_db.database import Database
from aragora_db.models import EloRating

pytestmark = pytest.mark.slow

UNITS = 10


@pytest.fixture
def memory():
    """A new database in memory."""
    database = Database("sqlite://")
    yield database
    database.close()


def _add(session):
    """Read, change, write: lost updates show in the sum."""
    rating = session.get(EloRating, "claude") or EloRating(agent_name="claude", wins=0)
    rating.wins += 1
    session.add(rating)


def _wins(session):
    return session.get(EloRating, "claude").wins


def test_threads_share_it(memory):
    """SQLAlchemy's own default gives each thread a database of its own, and most of the data is gone."""
    memory.ensure_ready()
    together(*[lambda: [memory.transact(_add) for _ in range(UNITS)]] * 4)
    assert memory.transact(_wins) == 4 * UNITS


def test_tasks_share_it(memory):
    """With one connection for all tasks they would begin transactions inside of each other's."""

    async def main():
        await asyncio.gather(*(memory.transact_async(_add) for _ in range(30)))
        wins = await memory.transact_async(_wins)
        await memory.aclose()
        return wins

    assert asyncio.run(main()) == 30


def test_sync_and_async_see_the_same(memory):
    """A test that prepares its data in sync code and runs async code found nothing."""
    memory.transact(_add)

    async def main():
        await memory.transact_async(_add)
        return memory.transact(_wins), await memory.transact_async(_wins)

    assert asyncio.run(main()) == (2, 2)
    assert memory.transact(_wins) == 2


def test_threads_and_tasks_at_once(memory):
    """Two pools, one database: whoever comes second waits for its turn."""
    memory.ensure_ready()
    work = Job(lambda: [memory.transact(_add) for _ in range(20)])
    asyncio.run(_without_close(memory))
    work.result()
    assert memory.transact(_wins) == 40


async def _without_close(memory):
    await asyncio.gather(*(memory.transact_async(_add) for _ in range(20)))


def test_two_of_them_are_two(memory):
    """Tests that run side by side in one process must not see each other's rows."""
    other = Database("sqlite:///:memory:")
    memory.transact(_add)
    assert other.transact(lambda session: session.get(EloRating, "claude")) is None
    other.close()


def test_it_is_gone_after_close(memory):
    """And the next use starts from an empty, migrated database."""
    memory.transact(_add)
    memory.close()
    assert memory.transact(lambda session: session.get(EloRating, "claude")) is None


def test_a_rollback_leaves_nothing(memory):
    """One connection that is used again and again must not carry a failed unit of work into the next."""
    memory.transact(_add)

    def fail(session):
        _add(session)
        session.flush()
        raise KeyError

    with pytest.raises(KeyError):
        memory.transact(fail)
    assert memory.transact(_wins) == 1


def test_migrate_and_read_only(memory):
    """Migrations run on a connection of their own, and must reach the same database."""
    assert memory.migrate()
    assert memory.migrate() == []
    with memory.session(read_only=True) as session:
        assert session.scalar(text("SELECT count(*) FROM schema_history")) > 0

"""Where sessions go: reads to the replicas in turn, everything else to the primary."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text

from aragora_db import Database
from aragora_db.errors import ReadOnlyViolation, UsageError
from aragora_db.models import EloRating
from aragora_db.testing.engines import EngineCase

pytestmark = pytest.mark.slow


def test_reads_go_to_the_replicas_and_writes_to_the_primary(cluster, open_database, server_case: EngineCase):
    """The replicas would stand idle, or a write would fail on one of them."""
    database = open_database(server_case)
    assert database.ports() == {server.port for server in cluster.replicas}
    assert database.run(lambda session: session.scalar(text("SELECT inet_server_port()"))) == cluster.primary.port
    assert database.ports(primary=True) == {cluster.primary.port}
    assert database.pool_metrics().in_use == 0


def test_replicas_take_turns(cluster, open_database, server_case: EngineCase):
    """One replica would take all the load."""
    database = open_database(server_case)
    where = [database.where() for _ in range(8)]
    assert [where.count(server.port) for server in cluster.replicas] == [4, 4]


def test_the_first_reader_waits_for_a_replica(cluster, open_database, server_case: EngineCase):
    """A nightly report, one long query, would run on the primary because nothing was known yet."""
    database = open_database(server_case, ready=False)
    assert database.where() != cluster.primary.port


def test_a_replica_refuses_writes(open_database, server_case: EngineCase):
    """A write in a read-only session would get another error than on the primary, or none."""
    database = open_database(server_case)
    with pytest.raises(ReadOnlyViolation, match="Open the session without read_only=True"):
        database.read("DELETE FROM elo_ratings RETURNING 1")
    with pytest.raises(ReadOnlyViolation, match="holds 1 changed objects"):
        database.run(lambda session: session.add(EloRating(agent_name="a")) or session.flush(), read_only=True)
    assert database.serving() == [True, True]


def test_plain_sessions_work_as_on_the_primary(cluster, open_database):
    """Code that begins transactions itself, or commits in the middle, would break when replicas are switched on."""
    database = open_database()
    with database.session(read_only=True) as session:
        with session.begin():
            first = session.scalar(text("SELECT inet_server_port()"))
        session.rollback()
        assert session.scalar(text("SELECT inet_server_port()")) == first, "a session stays on its replica"
        session.commit()
        assert session.scalar(text("SHOW transaction_read_only")) == "on"
    assert first != cluster.primary.port
    with pytest.raises(UsageError, match="do not commit inside"):
        database.transact(lambda session: session.commit(), read_only=True)
    assert database.pool_metrics().in_use == 0


async def _two_reads(database: Database) -> list[int]:
    async with database.async_session(read_only=True) as session:
        first = await session.scalar(text("SELECT inet_server_port()"))
        await session.commit()
        return [first, await session.scalar(text("SELECT inet_server_port()"))]


def test_plain_async_sessions_work_as_on_the_primary(cluster, open_database, server_case: EngineCase):
    """The same, in an event loop."""
    database = open_database(server_case)
    if database._runner is not None:
        first, second = database._runner.run(_two_reads(database))
        assert first == second != cluster.primary.port
    assert database.pool_metrics().in_use == 0


def test_nothing_leaks_when_work_fails(open_database, server_case: EngineCase):
    """Each failed read would keep a connection of the replica's pool."""
    database = open_database(server_case, pool_size=1, pool_max_overflow=0, pool_timeout=1)
    for _ in range(4):
        with pytest.raises(ZeroDivisionError):
            database.run(lambda session: session.scalar(text("SELECT 1")) / 0, read_only=True)
    assert database.pool_metrics().in_use == 0


def test_a_full_pool_sends_readers_on(cluster, open_database):
    """Readers would fail while another replica, or the primary, has room."""
    database = open_database(pool_size=1, pool_max_overflow=0, pool_timeout=1)
    with database.session(read_only=True) as one, database.session(read_only=True) as two:
        busy = {one.scalar(text("SELECT inet_server_port()")), two.scalar(text("SELECT inet_server_port()"))}
        assert busy == {server.port for server in cluster.replicas}
        assert database.where() == cluster.primary.port


def test_no_read_urls_cost_nothing():
    """Programs without replicas would pay for threads that watch nothing."""
    before = threading.active_count()
    database = Database("sqlite://")
    with database.session(read_only=True) as session:
        session.execute(text("SELECT 1"))
    assert database.replicas_health() == []
    assert database.write_position() is None
    assert threading.active_count() == before
    database.close()

"""A read-only session refuses to write: the ORM before anything is sent, and the database for everything else."""

from __future__ import annotations

import pytest
from sqlalchemy import event, insert, text

from aragora_db.errors import ReadOnlyViolation
from aragora_db.models import EloRating

WRITES = {
    "insert": insert(EloRating).values(agent_name="gpt"),
    "update": text("UPDATE elo_ratings SET wins = 1"),
    "delete": text("DELETE FROM elo_ratings"),
    "ddl": text("CREATE TABLE elsewhere (id integer)"),
}

ORM_WRITES = {
    "new": lambda session: session.add(EloRating(agent_name="gpt")),
    "dirty": lambda session: setattr(session.get(EloRating, "claude"), "wins", 1),
    "deleted": lambda session: session.delete(session.get(EloRating, "claude")),
}


@pytest.fixture
def rated(database):
    """A database with one agent, on each engine."""
    database.run(lambda session: session.add(EloRating(agent_name="claude", wins=0)))
    return database


def _sent(database):
    """What reaches the driver from here on, sync or async."""
    sent = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement.split()[0].upper())

    async def engine_of_loop():
        return database.async_engine.sync_engine

    engine = database._runner.run(engine_of_loop()) if database.case.is_async else database.engine
    event.listen(engine, "before_cursor_execute", note)
    return sent


def _unchanged(database):
    rows = database.run(lambda session: session.execute(text("SELECT agent_name, wins FROM elo_ratings")).all())
    assert rows == [("claude", 0)]


@pytest.mark.parametrize("kind", ORM_WRITES)
def test_the_orm_refuses_to_flush(rated, kind):
    """A report that changes an object by mistake is told so, before a statement leaves."""
    sent = _sent(rated)
    with pytest.raises(ReadOnlyViolation, match="Open the session without read_only=True") as caught:
        rated.run(ORM_WRITES[kind], read_only=True)
    assert caught.value.exit_code == 2
    assert not {"INSERT", "UPDATE", "DELETE"} & set(sent)
    _unchanged(rated)


@pytest.mark.parametrize("kind", WRITES)
def test_the_database_refuses_everything_else(rated, kind):
    """Core statements and raw SQL pass by the session; a replica's application must not find that out by a lost row."""
    with pytest.raises(ReadOnlyViolation):
        rated.run(lambda session: session.execute(WRITES[kind]), read_only=True)
    _unchanged(rated)


def test_reading_is_fine(rated):
    """And a session that only read has nothing to flush."""
    assert rated.run(lambda session: session.get(EloRating, "claude").wins, read_only=True) == 0


@pytest.mark.parametrize("size", [1, 5])
def test_the_next_session_may_write(open_database, engine_case, fresh_databases, size):
    """The connection goes back to the pool as it came: read-only is a transaction's property, not a connection's."""
    database = open_database(
        engine_case, fresh_databases.url(engine_case.dialect), pool_size=size, pool_max_overflow=0, pool_timeout=5
    )
    for number in range(3):
        with pytest.raises(ReadOnlyViolation):
            database.run(lambda session: session.execute(WRITES["insert"]), read_only=True)
        name = f"agent {number}"
        database.run(lambda session, name=name: session.add(EloRating(agent_name=name)))
    assert database.run(lambda session: session.query(EloRating).count(), read_only=True) == 3


def test_readers_do_not_wait_for_the_writer(open_database, engine_case, fresh_databases):
    """A leaderboard, a process that starts or a health check would else stand still behind every recorded match."""
    url = fresh_databases.url(engine_case.dialect)
    writer, reader = (open_database(engine_case, url, busy_timeout=0) for _ in range(2))
    with writer.session() as session:
        session.execute(WRITES["insert"])
        assert reader.run(lambda other: other.query(EloRating).count(), read_only=True) == 0
        assert reader.health_check()
        assert reader.migrate() == []
    assert reader.run(lambda other: other.query(EloRating).count(), read_only=True) == 1

"""Stores in the sessions of an application's own engine: SQLAlchemy's, with nothing of this package on it."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, closing

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from aragora_db import Database, instrument
from aragora_db.errors import UsageError
from aragora_db.models import Base, ContinuumKeywords, ContinuumMemory, EloRating, Persona
from aragora_db.stores import ContinuumStore, DebateStore, EloStore, NewDebate, NewMemory, PersonaStore

SYNC = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
ASYNC = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}


@pytest.fixture
def url(dialect, fresh_databases):
    """A database at head."""
    return fresh_databases.url(dialect)


@pytest.fixture
def told(url):
    """The tables that a `Database` heard of, one set a commit."""
    with closing(Database(url)) as database:
        heard = []
        database.on_commit(heard.append)
        yield heard


@pytest.fixture
def plain(url):
    """A plain engine to that database."""
    engine = sa.create_engine(sa.make_url(url).set(drivername=SYNC[sa.make_url(url).get_backend_name()]))
    yield engine
    engine.dispose()


def test_verbs(plain):
    """On SQLite a match ended in a bare KeyError: the batch was sent to an engine that knew no batches."""
    with Session(plain) as session, session.begin():
        changes = EloStore(session).record_match("d1", ["ada", "bob"], {"ada": 1.0, "bob": 0.0})
        ContinuumStore(session).add(NewMemory("m1", "Quorum beats retry"))
        DebateStore(session).create(NewDebate("Is quorum better?", ["ada", "bob"], {"rounds": 1}))
    with Session(plain) as session:
        assert session.get_one(EloRating, "ada").elo == 1500.0 + changes["ada"]
        assert len(list(ContinuumStore(session).retrieve(keywords=["quorum"]))) == 1
        assert [each.task for each in DebateStore(session).search("quorum").items] == ["Is quorum better?"]


def test_a_batch_that_fails_raises_what_their_engine_raises(plain, dialect):
    """An application catches SQLAlchemy's errors there, not the driver's."""
    if dialect == "sqlite":
        with Session(plain) as session:
            session.execute(sa.text("ALTER TABLE elo_history RENAME COLUMN debate_id TO other"))
            with pytest.raises(sa.exc.OperationalError, match="debate_id"):
                EloStore(session).record_match("d1", ["ada", "bob"], {"ada": 1.0, "bob": 0.0})


def test_a_write_through_a_store_is_told(plain, told):
    """Caches would go on answering from before the write, for as long as they keep an answer."""
    with Session(plain) as session:
        PersonaStore(session).upsert("ada", description="first")
        assert told == []
        session.commit()
        PersonaStore(session).upsert("ada", description="never")
        session.rollback()
        session.commit()
    assert told == [frozenset({"personas"})]


@pytest.mark.parametrize("calls", [1, 3])
def test_an_instrumented_engine_tells_once(plain, told, calls):
    """Also what no store wrote, also on a variant with other options, and once however often it is instrumented."""
    for _ in range(calls):
        instrument(plain)
    variant = plain.execution_options(isolation_level="SERIALIZABLE")
    instrument(variant)
    with Session(variant) as session:
        session.add(ContinuumMemory(id="m", content="Quorum"))
        session.commit()
        assert ContinuumStore(session).retrieve(keywords=["quorum"])
    with plain.begin() as connection:
        connection.execute(sa.insert(EloRating), [{"agent_name": "ada"}])
    assert told == [frozenset({"continuum_memory", "continuum_keywords"}), frozenset({"elo_ratings"})]


def test_a_batch_tells_its_tables(plain, told, dialect):
    """Its text names no table, so that it has to be said."""
    instrument(plain)
    with Session(plain) as session:
        EloStore(session).record_match("d1", ["ada", "bob"], {"ada": 1.0, "bob": 0.0})
        session.commit()
    assert len(told) == 1, dialect
    assert {"elo_matches", "elo_ratings", "elo_match_participants", "elo_history"} <= told[0]


def test_every_kind_of_bind(plain, told):
    """An application has one of these at hand, and would leave out what it cannot pass."""
    instrument(sessionmaker(plain))
    with plain.connect() as connection:
        instrument(sessionmaker(connection))
        with Session(connection) as session:
            PersonaStore(session).upsert("ada", description="first")
            session.commit()
    scoped = scoped_session(sessionmaker(plain))
    PersonaStore(scoped).upsert("bob", description="second")
    scoped.commit()
    scoped.remove()
    assert told == [frozenset({"personas"})] * 2


def test_async_engines(url, told):
    """Tells on the async side of an engine, too, whichever of the two is instrumented."""

    async def work(kind):
        engine = create_async_engine(sa.make_url(url).set(drivername=ASYNC[sa.make_url(url).get_backend_name()]))
        instrument(engine if kind == "engine" else async_sessionmaker(engine))
        async with AsyncSession(engine) as session:
            session.add(Persona(agent_name=kind))
            await session.commit()
            await session.run_sync(lambda sync: PersonaStore(sync).upsert(kind, description="changed"))
            await session.commit()
        await engine.dispose()

    for kind in ("engine", "sessionmaker"):
        asyncio.run(work(kind))
    assert told == [frozenset({"personas"})] * 4


def test_a_database_that_is_not_migrated(dialect, fresh_databases):
    """Names what is missing and what to run; for a table of the application's own, the error stays as it was."""
    url = sa.make_url(fresh_databases.url(dialect, migrated=False))
    engine = sa.create_engine(url.set(drivername=SYNC[dialect]))
    with Session(engine) as session, pytest.raises(UsageError, match=r"no table personas.*aragora-db migrate"):
        PersonaStore(session).get("ada")
    with Session(engine) as session, pytest.raises(sa.exc.DBAPIError, match="theirs"):
        session.execute(sa.text("SELECT * FROM theirs"))
    engine.dispose()


def test_a_database_that_is_gone_hears_nothing(plain, url):
    """An engine of the application lives as long as the process; it must not keep every `Database` alive."""
    heard = []
    database = Database(url)
    database.on_commit(heard.append)
    instrument(plain)
    database.close()
    del database
    with plain.begin() as connection:
        connection.execute(sa.insert(EloRating), [{"agent_name": "ada"}])
    assert heard == []


def test_what_cannot_be_tracked_says_why():
    """Without the reason, a store fails later with an error that names neither the session nor what it needs."""
    with ExitStack() as stack:
        engine = sa.create_mock_engine("postgresql+psycopg://", lambda *_: None)
        for target, message in (
            (sessionmaker(), "bound to no engine"),
            (engine, "cannot be instrumented"),
            (Session, "cannot be instrumented"),
        ):
            with pytest.raises(UsageError, match=message):
                instrument(target)
        with pytest.raises(UsageError, match="bound to no engine"):
            PersonaStore(stack.enter_context(Session()))
        with pytest.raises(UsageError, match="run_sync"):
            PersonaStore(AsyncSession())
        other = sa.create_engine("sqlite://")
        other.dialect.driver = "pysqlcipher"
        with pytest.raises(UsageError, match=r"sqlite\+pysqlcipher"):
            instrument(other)


def test_a_session_of_several_engines(plain):
    """The statements of a store would go to the one engine, and its words to the other."""
    other = sa.create_engine("sqlite://")
    with pytest.raises(UsageError, match="or to several"):
        EloStore(Session(plain, binds={Base: other}))
    with Session(other, binds={Base: plain}) as session:  # without a store the words go where the memory goes
        session.add(ContinuumMemory(id="a", content="First"))
        session.flush()
        found = session.scalars(
            sa.select(ContinuumKeywords.words), bind_arguments={"mapper": sa.inspect(ContinuumMemory)}
        )
        assert found.all() == ["first"]
    other.dispose()


def test_another_error_about_a_relation_is_left_alone(plain):
    """PostgreSQL has one code for a missing table and for a wrong alias."""
    with Session(plain) as session:
        EloStore(session)
        with pytest.raises(sa.exc.DBAPIError):
            session.execute(sa.text("SELECT debates.id FROM debates d"))
        session.rollback()
        with pytest.raises(sa.exc.DBAPIError):
            session.execute(sa.text("SELECT id FROM otherapp.debates"))


def test_an_engine_in_autocommit_mode_tells(url, told):
    """Its statements are stored one by one: there is no COMMIT to wait for."""
    engine = sa.create_engine(
        sa.make_url(url).set(drivername=SYNC[sa.make_url(url).get_backend_name()]), isolation_level="AUTOCOMMIT"
    )
    instrument(engine)
    with engine.connect() as connection:
        connection.execute(sa.text("UPDATE debates SET view_count = 1"))
        connection.rollback()
    engine.dispose()
    assert told == [frozenset({"debates"})]


def test_an_id_is_used_again_where_foreign_keys_are_off(plain):
    """SQLite leaves the words of a deleted debate then; they must not keep a new one from being published."""
    for _ in range(2):
        with Session(plain) as session, session.begin():
            DebateStore(session).create(NewDebate("Is quorum better?", ["ada"], {}, id="d"))
        with Session(plain) as session, session.begin():
            assert [each.id for each in DebateStore(session).search("quorum")] == ["d"]
            DebateStore(session).delete("d")

"""An application's own engines and sessions: stores work there, and what it writes is found, cached and replicated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool

from aragora_db import Database, errors, instrument
from aragora_db.models import ContinuumKeywords, ContinuumMemory, Debate
from aragora_db.search import index
from aragora_db.stores import DebateStore, EloStore, NewDebate
from aragora_db.testing.fresh import FreshDatabases

DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}
ASYNC_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg_async"}

_Case = tuple[Database, sa.URL]


@pytest.fixture(params=list(DRIVERS))
def case(request: pytest.FixtureRequest, fresh_databases: FreshDatabases) -> Iterator[_Case]:
    """A migrated `Database`, and the URL at which an application reaches it with its own engine."""
    database = Database(fresh_databases.url(request.param))
    yield database, sa.make_url(database.dsn.url())
    database.close()


@pytest.fixture
def own_engine(case: _Case) -> Iterator[sa.Engine]:
    """The application's own engine."""
    database, url = case
    engine = sa.create_engine(url.set(drivername=DRIVERS[database.dsn.backend]), poolclass=NullPool)
    yield engine
    engine.dispose()


@pytest.fixture
def heard(case: _Case) -> list[frozenset[str]]:
    """The tables of each commit that the `Database` hears of."""
    tables: list[frozenset[str]] = []
    case[0].on_commit(tables.append)
    return tables


def words_of(session: Session, memory_id: str) -> str | None:
    """Return what the keyword index has for a memory."""
    return session.scalar(sa.select(ContinuumKeywords.words).where(ContinuumKeywords.owner_id == memory_id))


def memory(text: str) -> ContinuumMemory:
    """Return a memory with this text."""
    return ContinuumMemory(id="m", tier="fast", content=text)


@pytest.mark.parametrize("of", [lambda engine: engine, sessionmaker], ids=["engine", "sessionmaker"])
def test_a_plain_session_keeps_the_index_and_is_heard(
    own_engine: sa.Engine, heard: list[frozenset[str]], of: Callable[[sa.Engine], Any]
) -> None:
    """An application need not know that searches have tables of their own, nor that answers are cached."""
    instrument(of(own_engine))
    instrument(of(own_engine))  # changes nothing: each commit is heard once
    with Session(own_engine) as session:
        session.add(memory("Rate limits"))
        session.commit()
        session.get_one(ContinuumMemory, "m").content = "Timeouts"
        session.commit()
        assert words_of(session, "m") == "timeouts"
    assert [tables & {"continuum_memory"} for tables in heard] == [{"continuum_memory"}] * 2


def test_async(case: _Case, heard: list[frozenset[str]]) -> None:
    """The listeners run beside the event loop, as they do for a `Database`."""
    database, url = case

    async def write() -> str | None:
        engine = create_async_engine(url.set(drivername=ASYNC_DRIVERS[database.dsn.backend]), poolclass=NullPool)
        instrument(engine)
        instrument(async_sessionmaker(engine))
        async with AsyncSession(engine) as session:
            session.add(memory("Rate limits"))
            await session.commit()
            found = await session.run_sync(lambda each: words_of(each, "m"))
        await engine.dispose()
        return found

    assert asyncio.run(write()) == "rate limits"
    assert len(heard) == 1


def test_stores_in_a_plain_session(own_engine: sa.Engine, heard: list[frozenset[str]]) -> None:
    """A store instruments the engine of the session it is given."""
    scores = {"a": 1.0, "b": 0.0}
    with Session(own_engine) as session, session.begin():
        changes = EloStore(session).record_match("d1", ["a", "b"], scores)
        assert EloStore(session).record_match("d1", ["a", "b"], scores) == changes
        debate_id = DebateStore(session).create(NewDebate("Do rate limits help?", ["a", "b"], {})).id
    assert changes == {"a": 16.0, "b": -16.0}
    assert {"elo_ratings", "debates"} <= heard[0]
    with Session(own_engine) as session:
        assert EloStore(session).rating("a").elo == 1516.0
        assert [each.id for each in DebateStore(session).search("limits").items] == [debate_id]


def test_a_session_without_an_engine() -> None:
    """The error says how to make one that has one."""
    with pytest.raises(errors.UsageError, match="bound to no engine"):
        EloStore(Session())
    with pytest.raises(errors.UsageError, match="bound to one"):
        instrument(sessionmaker())


def test_rebuild_counts_what_was_written_past_both(case: _Case) -> None:
    """Core's INSERT shows no object; `aragora-db reindex` finds its rows, and says how many."""
    with case[0].session() as session:
        session.execute(sa.insert(ContinuumMemory.__table__), {"id": "m", "tier": "fast", "content": "Rate limits"})
        session.add(Debate(id="d", slug="d", task="Cache?", agents=["a"], artifact_json={}))
        session.flush()
        assert index.rebuild(session) == {
            "continuum_keywords": 1,
            "debate_keywords": 0,
            "insight_keywords": 0,
            "consensus_topic_words": 0,
        }

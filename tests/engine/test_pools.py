"""The same pool arguments mean the same on sync and async engines, and none is dropped in silence."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import exc as sa_exc
from sqlalchemy import text
from sqlalchemy.pool import NullPool, StaticPool

from aragora_db.config import Settings
from aragora_db.engine import Target, create_async_engine, create_engine
from aragora_db.errors import ConfigurationError, PoolExhausted

MAKERS = {"sync": create_engine, "async": lambda *args, **kw: create_async_engine(*args, **kw).sync_engine}

# No server listens there: these engines never connect.
URLS = {"postgresql": "postgresql://nobody@127.0.0.1:9/none", "sqlite": "sqlite:///never.db"}


def _shape(pool):
    return {
        "pool_size": pool.size(),
        "max_overflow": pool._max_overflow,
        "pool_timeout": pool.timeout(),
        "pool_recycle": pool._recycle,
        "pool_pre_ping": pool._pre_ping,
        "pool_use_lifo": pool._pool.use_lifo,
    }


@pytest.fixture(params=MAKERS)
def make(request):
    """`create_engine`, or the sync engine inside of what `create_async_engine` makes."""
    return MAKERS[request.param]


def test_settings_reach_the_pool(make, dialect):
    """A pool of SQLAlchemy's default size in one of the two engines would halve the capacity that was asked for."""
    settings = Settings.explicit(
        database_url=URLS[dialect], pool_size=7, pool_max_overflow=3, pool_timeout=4.5, pool_recycle=61
    )
    expected = {
        "postgresql": {"pool_recycle": 61, "pool_pre_ping": True},
        # A file handle does not go stale.
        "sqlite": {"pool_recycle": -1, "pool_pre_ping": False},
    }[dialect]
    assert _shape(make(settings).pool) == expected | {
        "pool_size": 7,
        "max_overflow": 3,
        "pool_timeout": 4.5,
        "pool_use_lifo": True,
    }


def test_arguments_win_over_settings(make, dialect):
    """The factory is public: what the caller writes out is what the caller gets."""
    given = {
        "pool_size": 2,
        "max_overflow": 0,
        "pool_timeout": 0.5,
        "pool_recycle": 5,
        "pool_pre_ping": False,
        "pool_use_lifo": False,
    }
    assert _shape(make(Settings.explicit(database_url=URLS[dialect]), **given).pool) == given


def test_zero_overflow_is_zero(make, dialect):
    """Taken for "unset", 0 would let 15 more connections reach a server that has no room for them."""
    settings = Settings.explicit(database_url=URLS[dialect], pool_max_overflow=0)
    assert make(settings).pool._max_overflow == 0


@pytest.mark.parametrize("name", ["pool_size", "max_overflow", "pool_timeout", "pool_use_lifo"])
def test_a_pool_without_a_queue_refuses_its_arguments(make, dialect, name):
    """Dropped in silence, a limit on connections would not be one."""
    with pytest.raises(ConfigurationError, match=f"NullPool cannot take {name} .*pool_pre_ping, pool_recycle"):
        make(Settings.explicit(database_url=URLS[dialect]), poolclass=NullPool, **{name: 1})


def test_a_pool_without_a_queue_takes_the_others(make, dialect):
    """NullPool is what migrations use; the settings that it cannot take are not arguments."""
    pool = make(Settings.explicit(database_url=URLS[dialect]), poolclass=NullPool, pool_recycle=5).pool
    assert isinstance(pool, NullPool)
    assert pool._recycle == 5


def test_an_unknown_pool_takes_nothing(make):
    """What we do not know we cannot check."""
    with pytest.raises(ConfigurationError, match="StaticPool cannot take pool_pre_ping here; it takes nothing"):
        make(Settings.explicit(database_url=URLS["sqlite"]), poolclass=StaticPool, pool_pre_ping=True)


def test_an_unknown_argument_is_refused(make, dialect):
    """A misspelt limit is no limit."""
    with pytest.raises(ConfigurationError, match="cannot take poolsize"):
        make(Settings.explicit(database_url=URLS[dialect]), poolsize=3)


@pytest.mark.parametrize("given", [{"pool_size": 2}, {"max_overflow": 1}, {"pool_recycle": 60}], ids=str)
def test_memory_has_one_connection(make, given):
    """A second connection could only wait for the first, or see it half way through."""
    with pytest.raises(ConfigurationError, match=f"cannot take {next(iter(given))}"):
        make(Settings.explicit(database_url="sqlite://"), **given)
    assert make(Settings.explicit(database_url="sqlite://"), pool_size=1, max_overflow=0).pool.size() == 1


EXHAUSTED = (
    r"all 2 connections of the pool are in use \(pool_size 1, max_overflow 1\) and none came back within 0\.01 s\. "
    "Raise ARAGORA_DB_POOL_SIZE or ARAGORA_DB_POOL_MAX_OVERFLOW"
)


def _small(dialect, fresh_databases):
    target = Target.of(Settings.explicit(database_url=fresh_databases.url(dialect)))
    return target, {"pool_size": 1, "max_overflow": 1, "pool_timeout": 0.01}


def test_exhaustion_says_what_to_raise(dialect, fresh_databases):
    """SQLAlchemy's own message names neither our variables nor how many connections are out."""
    target, limits = _small(dialect, fresh_databases)
    engine = create_engine(target, **limits)
    with engine.connect(), engine.connect(), pytest.raises(PoolExhausted, match=EXHAUSTED) as caught:
        engine.connect()
    assert isinstance(caught.value, sa_exc.TimeoutError)
    assert caught.value.exit_code == 4
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


def test_exhaustion_says_what_to_raise_async(dialect, fresh_databases):
    """As above; an async pool waits in the event loop."""
    target, limits = _small(dialect, fresh_databases)

    async def main():
        engine = create_async_engine(target, **limits)
        async with engine.connect(), engine.connect():
            with pytest.raises(PoolExhausted, match=EXHAUSTED):
                await engine.connect()
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
        await engine.dispose()

    asyncio.run(main())


def test_exhaustion_is_not_retried(open_database, engine_case, fresh_databases):
    """Waits for a connection once: the next wait would be as long, and eight of them would look like a hang."""
    url = fresh_databases.url(engine_case.dialect)
    database = open_database(engine_case, url, fractions={"pool_timeout": 0.05}, pool_size=1, pool_max_overflow=0)
    runs = []

    def work(session):
        runs.append(session.scalar(text("SELECT 1")))

    async def async_work():
        async with database.async_engine.connect():
            await database.transact_async(work)

    def sync_work():
        with database.engine.connect():
            database.transact(work)

    run = (lambda: database._runner.run(async_work())) if engine_case.is_async else sync_work
    with pytest.raises(PoolExhausted, match="pool_size 1, max_overflow 0"):
        run()
    assert runs == []
    assert database.pool_metrics().timeouts == 1
    database.run(work)
    assert runs == [1]

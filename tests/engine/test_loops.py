"""Async engines belong to one event loop each."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import warnings

import pytest
from concurrent_work import Job, together
from sqlalchemy import text
from support import HANG_SECONDS, clean_environment

from aragora_db.database import Database
from aragora_db.errors import UsageError
from aragora_db.models import EloRating
from aragora_db.testing.engines import ENGINES

pytestmark = pytest.mark.slow


def pytest_generate_tests(metafunc):
    """Once for each async driver."""
    if "async_case" not in metafunc.fixturenames:
        return
    metafunc.parametrize("async_case", [case for case in ENGINES if case.is_async], ids=str)


@pytest.fixture
def opened(async_case, fresh_databases):
    """A database that its test closes."""
    return Database(fresh_databases.url(async_case.dialect))


def _add(session):
    session.add(EloRating(agent_name=f"agent {session.query(EloRating).count()}"))


def _count(session):
    return session.query(EloRating).count()


def _connections(database, observe):
    """How many connections the server counts for this database, but for ours."""
    other = observe(database.dsn.conninfo())
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return lambda: other.execute(count).fetchone()[0]


def test_several_loops_in_a_row(opened):
    """A script that calls asyncio.run twice met "attached to a different loop" at the second."""
    engines = []

    async def main():
        engines.append(opened.async_engine)
        await opened.transact_async(_add)
        assert opened.async_engine is engines[-1]

    for _ in range(3):
        asyncio.run(main())
    assert len({id(engine) for engine in engines}) == 3
    assert opened.transact(_count) == 3
    opened.close()


def test_loops_side_by_side(opened):
    """Threads with an event loop each, as in a server with workers."""
    opened.ensure_ready()

    async def main():
        for _ in range(5):
            await opened.transact_async(lambda session: session.execute(text("SELECT 1")))
        await opened._primary._loops.dispose_current()

    together(*[lambda: asyncio.run(main())] * 4)
    opened.close()


def test_no_loop_is_a_mistake(opened):
    """Without a message of its own this is a RuntimeError from the middle of asyncio."""
    with pytest.raises(UsageError, match="running event loop"):
        _ = opened.async_engine
    opened.close()


@pytest.mark.parametrize("collect", [False, True], ids=["loop kept", "loop collected"])
def test_a_loop_that_was_not_cleaned_up(opened, async_case, observe, eventually, collect):
    """asyncio.run without aclose: the next loop, or close(), gives the connections back, without a warning."""
    kept = []

    async def main():
        kept.append(asyncio.get_running_loop())
        await opened.transact_async(_add)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            asyncio.run(main())
            if collect:
                kept.clear()
                gc.collect()
        if async_case.server:
            count = _connections(opened, observe)
            # The first use is sync: one connection of that pool, and one of the last loop's.
            eventually(lambda: count() <= 2, "the connections of the loops before are closed")
        opened.close()
        if async_case.server:
            eventually(lambda: count() == 0, "every connection is closed")
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_aclose_closes_everything(opened, async_case, observe, eventually):
    """After it the server has forgotten us, and a later use opens a new pool."""

    async def main():
        await asyncio.gather(*(opened.transact_async(_count) for _ in range(5)))
        await opened.aclose()

    asyncio.run(main())
    if async_case.server:
        count = _connections(opened, observe)
        eventually(lambda: count() == 0, "every connection is closed")
    asyncio.run(main())


def test_close_from_a_thread_without_a_loop(opened):
    """A test's teardown, or atexit, has no loop to await in, and makes none that nobody closes."""

    async def main():
        await opened.transact_async(_count)

    Job(lambda: asyncio.run(main())).result()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        opened.close()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


SCRIPT = """
import asyncio, sys
from aragora_db import Database
from aragora_db.models import EloRating

databases = [Database(url) for url in sys.argv[1:]]

async def main():
    for db in databases:
        async with db.async_session() as session:
            session.add(EloRating(agent_name="claude"))
    for db in databases:
        {goodbye}

asyncio.run(main())
for db in databases:
    {end}
print("done")
"""


@pytest.mark.parametrize(
    ("goodbye", "end"),
    [("await db.aclose()", "pass"), ("pass", "db.close()"), ("pass", "pass")],
    ids=["aclose", "close", "neither"],
)
def test_a_script_ends(fresh_databases, goodbye, end):
    """A driver's thread that nobody stops keeps a script from ending; a warning at its end frightens people."""
    urls = [fresh_databases.url(dialect) for dialect in ("sqlite", "postgresql")]
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT.format(goodbye=goodbye, end=end), *urls],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "done\n"), ran.stderr
    if goodbye != end:
        assert ran.stderr == ""

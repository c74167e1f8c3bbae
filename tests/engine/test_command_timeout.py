"""The client gives up on a server that does not answer, and the pool is usable afterwards."""

from __future__ import annotations

import asyncio

import pytest
from concurrent_work import Job
from sqlalchemy import text
from support import HANG_SECONDS

from aragora_db.database import Database
from aragora_db.engine import liveness, watchdog
from aragora_db.errors import CommandTimeout, LockTimeout, StatementTimeout
from aragora_db.models import EloRating

pytestmark = pytest.mark.slow

QUICK = {"statement_timeout": 0.3, "command_timeout": 0.5}

# Counts without end; the index of a fetched row tells how far it came.
RUNAWAY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "


@pytest.fixture
def frozen(server_case, fresh_databases, open_database, proxy_to, no_grace):  # noqa: ARG001 -- it is set before the engine is made
    """A database behind a proxy, through each driver, with one connection open."""
    proxy = proxy_to(fresh_databases.url("postgresql"))
    database = open_database(server_case, proxy.url, fractions=QUICK)
    database.run(lambda session: session.scalar(text("SELECT 1")))
    return database, proxy


def test_silence_in_a_statement(frozen):
    """A server that was stopped, or a network that swallows packets, would hold a worker for ever."""
    database, proxy = frozen
    runs = []

    def work(session):
        runs.append(session.scalar(text("SELECT 1")))
        proxy.freeze()
        session.scalar(text("SELECT 2"))

    with pytest.raises(CommandTimeout, match="ARAGORA_DB_COMMAND_TIMEOUT") as caught:
        database.run(work)
    assert caught.value.exit_code == 4
    assert len(runs) == 1
    proxy.thaw()
    assert database.run(lambda session: session.scalar(text("SELECT 3"))) == 3


def test_silence_while_the_pool_looks(frozen, monkeypatch, eventually):
    """The ping of an idle connection comes before any statement, and would hang on its own."""
    database, proxy = frozen
    monkeypatch.setattr(liveness, "_TRUSTED_SECONDS", 0.0)
    proxy.freeze()

    # The old connection is given up, and the new one has to wait for the thaw.
    def thaw_when_a_second_client_comes():
        eventually(lambda: len(proxy._sockets) >= 4, "a second client comes")
        proxy.thaw()

    job = Job(thaw_when_a_second_client_comes)
    assert database.run(lambda session: session.scalar(text("SELECT 3"))) == 3
    job.result()


def test_silence_in_a_rollback(frozen):
    """An error in a unit of work on a dead network must reach the caller."""
    database, proxy = frozen

    def work(session):
        session.scalar(text("SELECT 1"))
        proxy.freeze()
        raise KeyError("ours")

    with pytest.raises(Exception, match=r"server closed the connection|ours") as caught:
        database.run(work, attempts=1)
    error = caught.value
    while error.__context__ is not None:
        error = error.__context__
    assert isinstance(error, KeyError)
    proxy.thaw()
    assert database.run(lambda session: session.scalar(text("SELECT 3"))) == 3


@pytest.mark.usefixtures("no_grace")
def test_an_answer_in_time_is_no_timeout(server_case, fresh_databases, open_database):
    """Counts each statement's time alone: four of them take longer than the limit of one."""
    database = open_database(server_case, fresh_databases.url("postgresql"), statement_timeout=1, command_timeout=1)

    def work(session):
        for _ in range(4):
            session.execute(text("SELECT pg_sleep(0.4)"))
        return session.scalar(text("SELECT pg_backend_pid()"))

    pid = database.run(work)
    assert database.run(lambda session: session.scalar(text("SELECT pg_backend_pid()"))) == pid


def test_a_cancelled_task_leaves_no_timer(fresh_databases, observe):
    """A timer that outlives its statement would cut the connection under the next user, or kill the watchdog."""
    url = fresh_databases.url("postgresql")
    other = observe(url)
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"

    async def main():
        database = Database(url)
        task = asyncio.create_task(
            database.transact_async(lambda session: session.execute(text("SELECT pg_sleep(30)")))
        )
        async with asyncio.timeout(HANG_SECONDS):
            while not other.execute(sleeping).fetchone()[0]:  # noqa: ASYNC110 -- the server has no event for it
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, HANG_SECONDS)
        one = await database.transact_async(lambda session: session.scalar(text("SELECT 1")))
        await database.aclose()
        return one

    before = len(watchdog._deadlines)
    assert asyncio.run(main()) == 1
    assert len(watchdog._deadlines) <= before  # what others left may have ended meanwhile


def test_a_runaway_query_on_sqlite(file_case, fresh_databases, open_database):
    """SQLite has no server to cancel it: a recursive query without an end would hold a thread for ever."""
    database = open_database(file_case, fresh_databases.url("sqlite"), fractions=QUICK)
    with pytest.raises(StatementTimeout, match="ARAGORA_DB_STATEMENT_TIMEOUT"):
        database.run(lambda session: session.scalar(text(f"{RUNAWAY} SELECT count(*) FROM n")))
    assert database.run(lambda session: session.scalar(text("SELECT 3"))) == 3


def test_a_runaway_query_on_sqlite_while_rows_are_fetched(file_case, fresh_databases, open_database):
    """The first rows come at once; the query is as endless as before."""
    database = open_database(file_case, fresh_databases.url("sqlite"), fractions=QUICK)

    def work(session):
        session.add(EloRating(agent_name="claude"))
        session.flush()
        for row in session.execute(text(f"{RUNAWAY} SELECT i FROM n"), execution_options={"yield_per": 1000}):
            last.append(row.i)
            del last[:-1]

    last = []
    with pytest.raises(StatementTimeout):
        database.run(work)
    assert database.run(lambda session: session.query(EloRating).count()) == 0


def test_a_slow_writer_is_not_a_slow_statement(file_case, fresh_databases, open_database):
    """Waiting for one's turn is bounded by the busy timeout, which has an error of its own."""
    url = fresh_databases.url("sqlite")
    first = open_database(file_case, url)
    second = open_database(file_case, url, busy_timeout=0.2, fractions={"statement_timeout": 0.1})
    second.ensure_ready()
    with first.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        with pytest.raises(LockTimeout, match="locked"):
            second.run(lambda session: session.scalar(text("SELECT 1")), attempts=1)

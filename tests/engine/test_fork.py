"""After os.fork parent and child have connections of their own, whatever the parent was doing."""

from __future__ import annotations

import asyncio
import os
import pickle
import select
import signal
import sqlite3
import threading
import traceback
from contextlib import ExitStack

import pytest
from concurrent_work import Job
from sqlalchemy import text
from support import HANG_SECONDS

from aragora_db.database import Database, default
from aragora_db.database.default import get_database
from aragora_db.engine import watchdog
from aragora_db.migrations import upgrade
from aragora_db.models import EloRating

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks on Windows")

PID = text("SELECT pg_backend_pid()")


def _in_child(work):
    """Run ``work`` in a forked child, and return its result or raise its error here."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # Nothing of pytest may run in the child: no finaliser, no second report.
        try:
            answer = ("result", work())
        except BaseException:  # noqa: BLE001 -- it is reported, below
            answer = ("error", traceback.format_exc())
        os.write(writer, pickle.dumps(answer))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        if not select.select([answer], [], [], HANG_SECONDS)[0]:
            os.kill(child, signal.SIGKILL)
        said = answer.read()
    os.waitpid(child, 0)
    assert said, "the child hung"
    kind, value = pickle.loads(said)  # noqa: S301 -- our own bytes
    assert kind == "result", value
    return value


def _add(name):
    return lambda session: session.add(EloRating(agent_name=name))


def _names(session):
    return sorted(session.scalars(text("SELECT agent_name FROM elo_ratings")))


@pytest.fixture
def opened(fresh_databases):
    """Opens new databases, and closes them after the test."""
    with ExitStack() as stack:

        def make(dialect, **options):
            database = Database(fresh_databases.url(dialect, **options))
            stack.callback(database.close)
            return database

        yield make


@pytest.fixture
def warm(dialect, opened):
    """A database with an idle connection in its pool."""
    database = opened(dialect)
    database.transact(_add("parent"))
    return database


def test_both_go_on(warm):
    """Gunicorn with preload: the application is imported, and used, before the workers are forked."""

    def child():
        warm.transact(_add("child"))
        return warm.transact(_names)

    assert _in_child(child) == ["child", "parent"]
    warm.transact(_add("parent again"))
    assert warm.transact(_names) == ["child", "parent", "parent again"]


def test_no_shared_backend(opened):
    """Two processes on one socket read each other's answers: rows of one user shown to another."""
    database = opened("postgresql")
    before = database.transact(lambda session: session.scalar(PID))
    in_child = _in_child(lambda: database.transact(lambda session: session.scalar(PID)))
    assert in_child != before
    # The child's end did not close it either.
    assert database.transact(lambda session: session.scalar(PID)) == before


def test_close_in_the_child_leaves_the_parent_alone(opened):
    """A worker that shuts down politely must not say goodbye in its parent's name."""
    database = opened("postgresql")
    before = database.transact(lambda session: session.scalar(PID))
    _in_child(database.close)
    assert database.transact(lambda session: session.scalar(PID)) == before


def test_an_async_engine_in_the_child(opened, dialect):
    """The parent's loop and its connections are of no use to the child, and not the child's to close."""
    database = opened(dialect)

    async def names():
        found = await database.transact_async(_names)
        await database._primary._loops.dispose_current()
        return found

    async def main():
        await database.transact_async(_add("parent"))
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(None, lambda: _in_child(lambda: (asyncio.run(names()), database.close())))
        await database.transact_async(_add("parent again"))
        return found[0], await database.transact_async(_names)

    assert asyncio.run(main()) == (["parent"], ["parent", "parent again"])


def test_a_childs_commits_outlive_the_parents_connections(opened):
    """SQLite believes that the child still holds the parent's locks: the WAL was removed under its later commits."""
    database = opened("sqlite")
    database.transact(_add("parent"))
    closed, done = os.pipe(), os.pipe()

    def child():
        database.transact(_add("before"))
        os.write(done[1], b"x")
        assert select.select([closed[0]], [], [], HANG_SECONDS)[0]
        os.read(closed[0], 1)
        database.transact(_add("after"))

    def close_meanwhile():
        assert select.select([done[0]], [], [], HANG_SECONDS)[0]
        os.read(done[0], 1)
        database.close()
        os.write(closed[1], b"x")

    job = Job(close_meanwhile)
    _in_child(child)
    job.result()
    with sqlite3.connect(database.dsn.path) as plain:
        names = [name for (name,) in plain.execute("SELECT agent_name FROM elo_ratings ORDER BY 1")]
    plain.close()
    assert names == ["after", "before", "parent"]
    for descriptor in (*closed, *done):
        os.close(descriptor)


@pytest.fixture
def held():
    """Hold locks in another thread until the test is over, as a busy thread of the parent would."""
    over, threads = threading.Event(), []

    def hold(*contexts):
        ready = threading.Event()

        def run():
            for context in contexts:
                context.__enter__()
            ready.set()
            over.wait(HANG_SECONDS)
            for context in contexts:
                context.__exit__(None, None, None)

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        assert ready.wait(HANG_SECONDS)

    yield hold
    over.set()
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert not any(thread.is_alive() for thread in threads)


def test_fork_while_another_thread_holds_a_connection(warm, held):
    """The child has no such thread: a pool that waits for it would wait for ever."""
    held(warm.engine.pool._overflow_lock, warm.engine.pool._pool.mutex)
    assert _in_child(lambda: warm.transact(_names, read_only=True)) == ["parent"]


def test_fork_while_another_thread_prepares(opened, dialect, held):
    """As above, for the lock of the first use."""
    database = opened(dialect)
    held(database._lock)
    assert _in_child(lambda: database.transact(_names)) == []


def test_fork_while_another_thread_gets_the_database(tmp_path, monkeypatch, held):
    """As above, for the lock of `get_database`."""
    monkeypatch.setattr(default, "_database", None)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/x.db")
    held(default._lock)
    assert _in_child(lambda: get_database().health_check()) is True


def test_fork_while_another_thread_migrates(opened, dialect, held):
    """As above, for the lock around Alembic."""
    database = opened(dialect, migrated=False)
    held(upgrade._one_at_a_time)
    assert len(_in_child(database.migrate)) > 1


def test_fork_while_another_thread_writes(opened, dialect, held):
    """The parent's open transaction is the parent's: the child neither ends it nor waits for it."""
    database = opened(dialect)
    database.transact(_add("parent"))
    held(database.engine.connect())
    assert _in_child(lambda: database.transact(_names, read_only=True)) == ["parent"]
    database.transact(_add("parent again"))


def test_the_watchdog_works_in_the_child(opened):
    """Threads do not survive a fork, and the client's timer is one."""
    database = opened("postgresql")
    database.transact(_names)
    rang = threading.Event()

    def child():
        watchdog.watch(0.0, rang.set)
        return rang.wait(HANG_SECONDS)

    assert _in_child(child)
    database.close()

"""One Database for all threads of a process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from aragora_db import process
from aragora_db.database import Database
from aragora_db.models import EloRating
from aragora_db.process import get_database

THREADS, UNITS = 8, 20


def _add(session):
    # Locks the row, so that no update is lost on a server either.
    rating = session.get(EloRating, "claude", with_for_update=True)
    rating.wins += 1


def test_no_update_is_lost(dialect, fresh_databases):
    """Eight debates that end at once move the same rating eight times."""
    database = Database(fresh_databases.url(dialect))
    database.transact(lambda session: session.add(EloRating(agent_name="claude", wins=0)))
    with ThreadPoolExecutor(THREADS) as executor:
        list(executor.map(lambda _: [database.transact(_add) for _ in range(UNITS)], range(THREADS)))
    assert database.transact(lambda session: session.get(EloRating, "claude").wins) == THREADS * UNITS
    database.close()


def test_first_use_by_many_threads(dialect, fresh_databases):
    """A web server's workers all open their first session in the same moment, some by way of the engine."""
    database = Database(fresh_databases.url(dialect, migrated=False))
    barrier = threading.Barrier(THREADS)

    def first(number):
        barrier.wait(60)
        if number % 2:
            # Both ways to the engine at once: with two locks in two orders they would wait for each other.
            return len({id(database.engine)})
        with database.session() as session:
            return session.query(EloRating).count() + 1

    with ThreadPoolExecutor(THREADS) as executor:
        assert list(executor.map(first, range(THREADS))) == [1] * THREADS
    database.close()


def test_engine_while_another_thread_prepares(fresh_databases):
    """The engine is made under the lock that the first use holds: one lock, taken in one order."""
    database = Database(fresh_databases.url("sqlite"))
    inside, engines = threading.Event(), []

    def look():
        inside.set()
        engines.append(database.engine)

    with database._primary._lock:
        thread = threading.Thread(target=look)
        thread.start()
        assert inside.wait(60)
        # Before Python 3.12 a cached_property would hold its own lock now, and we would wait for it.
        mine = threading.Thread(target=lambda: engines.append(Database(database.dsn.url()).engine))
        mine.start()
        mine.join(60)
        assert not mine.is_alive(), "another Database waits for this one's lock"
        engines.append(database.engine)
    thread.join(60)
    assert engines[1] is engines[2]
    for engine in engines:
        engine.dispose()


@pytest.fixture
def own_database(tmp_path, monkeypatch):
    """`get_database` as in a new process, with a folder of its own."""
    monkeypatch.setattr(process, "_database", None)
    monkeypatch.setenv("ARAGORA_DATA_DIR", str(tmp_path))
    for name in ("DATABASE_URL", "ARAGORA_POSTGRES_DSN", "ARAGORA_DB_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    if process._database is not None:
        process._database.close()


def test_get_database_is_one_object(own_database):
    """Two of them would be two pools, and twice the connections that the server has room for."""
    barrier = threading.Barrier(THREADS)

    def get(_):
        barrier.wait(60)
        return get_database()

    with ThreadPoolExecutor(THREADS) as executor:
        found = set(executor.map(get, range(THREADS)))
    assert len(found) == 1
    assert found.pop().health_check()
    assert (own_database / "aragora.db").exists()


def test_get_database_returns(tmp_path):
    """The guide's first snippet hung for ever: `get_database` waited for a lock that it held itself."""
    code = "from aragora_db import get_database; print('Connected:', get_database().health_check())"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ARAGORA", "DATABASE"))}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env=kept,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("Connected: True\n", "")

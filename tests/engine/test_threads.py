"""One Database for all threads of a process."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from concurrent_work import Job, together
from sqlalchemy.pool import NullPool
from support import HANG_SECONDS, clean_environment

from aragora_db import Settings
from aragora_db.database import Database, default
from aragora_db.database.default import get_database
from aragora_db.engine import create_engine
from aragora_db.models import EloRating

pytestmark = pytest.mark.slow

THREADS, UNITS = 4, 10


def _add(session):
    # Locks the row, so that no update is lost on a server either.
    rating = session.get(EloRating, "claude", with_for_update=True)
    rating.wins += 1


def test_no_update_is_lost(dialect, fresh_databases):
    """Debates that end at once each move the same rating."""
    database = Database(fresh_databases.url(dialect))
    database.transact(lambda session: session.add(EloRating(agent_name="claude", wins=0)))
    together(*[lambda: [database.transact(_add) for _ in range(UNITS)]] * THREADS)
    assert database.transact(lambda session: session.get(EloRating, "claude").wins) == THREADS * UNITS
    database.close()


def test_first_use_by_many_threads(dialect, fresh_databases):
    """A web server's workers all open their first session in the same moment, some by way of the engine."""
    database = Database(fresh_databases.url(dialect, migrated=False))

    def through_a_session():
        with database.session() as session:
            return session.query(EloRating).count()

    # Both ways to the engine at once: with two locks in two orders they would wait for each other.
    together(*[lambda: database.engine, through_a_session] * (THREADS // 2))
    assert through_a_session() == 0
    database.close()


def test_engine_while_another_thread_prepares(fresh_databases):
    """The engine is made under the lock that the first use holds: one lock, taken in one order."""
    database = Database(fresh_databases.url("sqlite"))
    inside, engines = threading.Event(), []

    def look():
        inside.set()
        engines.append(database.engine)

    with database._primary._lock:
        waiting = Job(look)
        assert inside.wait(HANG_SECONDS)
        # Before Python 3.12 a cached_property would hold its own lock now, and we would wait for it.
        engines.append(Job(lambda: Database(database.dsn.url()).engine).result())
        engines.append(database.engine)
    waiting.result()
    assert engines[1] is engines[2]
    for engine in engines:
        engine.dispose()


@pytest.fixture
def own_database(tmp_path, monkeypatch):
    """`get_database` as in a new process, with a folder of its own."""
    monkeypatch.setattr(default, "_database", None)
    monkeypatch.setenv("ARAGORA_DATA_DIR", str(tmp_path))
    for name in ("DATABASE_URL", "ARAGORA_POSTGRES_DSN", "ARAGORA_DB_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    if default._database is not None:
        default._database.close()


def test_get_database_is_one_object(own_database):
    """Two of them would be two pools, and twice the connections that the server has room for."""
    found = set(together(*[get_database] * THREADS))
    assert len(found) == 1
    assert found.pop().health_check()
    assert (own_database / "aragora.db").exists()


def test_get_database_returns(tmp_path):
    """The guide's first snippet hung for ever: `get_database` waited for a lock that it held itself."""
    code = "from aragora_db import get_database; print('Connected:', get_database().health_check())"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("Connected: True\n", "")


def test_a_new_file_switched_to_wal_by_many_at_once(tmp_path):
    """SQLite refuses some of them at once, however long they would wait, and workers of a first deployment end."""
    barrier = threading.Barrier(4, timeout=HANG_SECONDS)

    def connect(path):
        engine = create_engine(Settings.explicit(database_url=f"sqlite:///{path}"), poolclass=NullPool)
        barrier.wait()
        with engine.connect() as connection:
            return connection.exec_driver_sql("PRAGMA journal_mode").scalar()

    with ThreadPoolExecutor(4) as threads:
        for number in range(25):  # a tenth of the connections were refused
            assert list(threads.map(connect, [tmp_path / f"{number}.db"] * 4)) == ["wal"] * 4

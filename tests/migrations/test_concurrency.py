"""Processes that migrate at once, are killed half way, or find somebody in the way."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import psycopg
import pytest
import sqlalchemy as sa

from aragora_db.config import Settings
from aragora_db.database import Database
from aragora_db.errors import LockTimeout, MigrationLocked
from aragora_db.migrations import environment, lock, scripts

pytestmark = pytest.mark.slow

HALF_WAY = "20260106_consensus"
PROCESSES = 8
PATIENCE = 300.0

FIRST_USE = """
from aragora_db import get_database
from aragora_db.models import EloRating
with get_database().session(read_only=True) as session:
    assert session.query(EloRating).count() == 0
"""


def _start(url, *command):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ARAGORA_", "DATABASE_"))}
    return subprocess.Popen(
        [sys.executable, "-W", "error", *command],
        env=environment | {"DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


MIGRATE = ("-m", "aragora_db", "migrate")


def _all_succeed(processes):
    ended = [(process.communicate(timeout=PATIENCE)[0], process.returncode) for process in processes]
    assert [code for _, code in ended] == [0] * len(processes), "\n".join(text for text, code in ended if code)


def _assert_exact(url):
    """Every revision once, in order, and the schema at head."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        history = connection.scalars(sa.text("SELECT revision FROM schema_history ORDER BY id")).all()
        version = connection.scalars(sa.text("SELECT version_num FROM aragora_schema_version")).all()
    engine.dispose()
    assert tuple(history) == scripts.chain()
    assert version == [scripts.head()]
    database = Database(url)
    with database.session(read_only=True):
        pass
    database.close()


@pytest.mark.parametrize("start", ["empty", "half way"])
def test_eight_at_once(dialect, fresh_databases, start):
    """Replicas that start together: without a lock all but one crash, and some leave half a schema behind."""
    url = fresh_databases.url(dialect, migrated=False)
    if start == "half way":
        database = Database(url)
        database.migrate(HALF_WAY)
        database.close()
    _all_succeed([_start(url, *MIGRATE) for _ in range(PROCESSES)])
    _assert_exact(url)


def test_eight_first_uses_at_once(dialect, fresh_databases):
    """The guide's "on first connection", by every worker of a new deployment."""
    url = fresh_databases.url(dialect, migrated=False)
    _all_succeed([_start(url, "-c", FIRST_USE) for _ in range(PROCESSES)])
    _assert_exact(url)


def _applied(url):
    """How many revisions the history has; 0 while there is none, or while nobody may look."""
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            return connection.scalar(sa.text("SELECT count(*) FROM schema_history"))
    except sa.exc.DBAPIError:
        return 0
    finally:
        engine.dispose()


def test_killed_at_random_moments(dialect, fresh_databases):
    """The machine went away half way: the next start finishes the work, and nothing is applied twice."""
    url = fresh_databases.url(dialect, migrated=False)
    chance = random.Random(20260118)
    for number in range(5):
        process = _start(url, *MIGRATE)
        # Importing takes about a second; the revisions of an empty database take another.
        time.sleep(0.6 + 0.25 * number + chance.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    _all_succeed([_start(url, *MIGRATE)])
    _assert_exact(url)


@pytest.fixture
def slow_tree(tmp_path):
    """Makes a copy of ``alembic/`` in which one revision takes a minute once its statements have run."""

    def make(stem):
        tree = tmp_path / "alembic"
        shutil.copytree(scripts.script_location(), tree, ignore=shutil.ignore_patterns("__pycache__"))
        revision = tree / "versions" / f"{stem}.py"
        source = revision.read_text()
        revision.write_text(
            source + "\n\n_run = upgrade\n\n\ndef upgrade():\n    _run()\n    import time\n    time.sleep(60)\n"
        )
        (tree / scripts.RELEASED).write_text("")  # not released, so that the copy may be edited
        return tree

    return make


SLOWLY = """
import pathlib, sys
from aragora_db.migrations import scripts
scripts.script_location = lambda: pathlib.Path(sys.argv[1])
from aragora_db import get_database
get_database().migrate()
"""


IN_A_TRANSACTION, CONCURRENTLY = "20260206_debate_and_insight_keywords", "20260207_persona_window"


@pytest.mark.parametrize("stem", [IN_A_TRANSACTION, CONCURRENTLY])
def test_killed_inside_a_revision(stem, dialect, fresh_databases, slow_tree):
    """The revision that was under way is rolled back, full-text indexes and all; a concurrent index is built again."""
    url = fresh_databases.url(dialect, migrated=False)
    process = _start(url, "-c", SLOWLY, str(slow_tree(stem)))
    _wait_until_in_revision(process, url, dialect, scripts.chain().index(stem))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert _applied(url) < len(scripts.chain())
    _all_succeed([_start(url, *MIGRATE)])
    _assert_exact(url)


def _wait_until_in_revision(process, url, dialect, expected):
    """On PostgreSQL the finished revisions show; on SQLite nothing does, but the writer's lock."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        if {"postgresql": lambda: _applied(url) == expected, "sqlite": lambda: _is_busy(url)}[dialect]():
            # The slow part comes after the revision's statements.
            time.sleep(1)
            return
        time.sleep(0.1)
    pytest.fail("the slow revision was not reached")


def _is_busy(url):
    engine = sa.create_engine(url, connect_args={"timeout": 0, "isolation_level": None})
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    except sa.exc.OperationalError:
        return True
    finally:
        engine.dispose()
    return False


@pytest.fixture
def plain(fresh_databases):
    """An empty PostgreSQL database: its URL, and a way to open plain connections to it."""
    url = fresh_databases.url("postgresql", migrated=False)
    with ExitStack() as stack:

        def connect(**options):
            connection = psycopg.connect(url, **options)
            stack.callback(connection.close)
            return connection

        yield url, connect


def test_a_held_lock_names_its_holder(plain):
    """Somebody's laptop holds the lock since Friday: the message says which process to look for."""
    url, connect = plain
    holder = connect(application_name="somebody migrate")
    holder.execute("SELECT pg_advisory_xact_lock(%s)", (lock.KEY,))
    database = Database(Settings.explicit(database_url=url, migration_lock_timeout=1))
    with pytest.raises(MigrationLocked) as caught:
        database.migrate()
    message = str(caught.value)
    assert f"process {holder.info.backend_pid} (somebody migrate, " in message
    assert "waited 1 s" in message
    holder.rollback()
    assert database.migrate() == list(scripts.chain())
    database.close()


def test_a_held_lock_on_the_command_line(plain):
    """Exit code 4: something was in the way, try again."""
    url, connect = plain
    connect().execute("SELECT pg_advisory_xact_lock(%s)", (lock.KEY,))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ARAGORA_", "DATABASE_"))}
    ran = subprocess.run(
        [sys.executable, *MIGRATE],
        env=kept | {"DATABASE_URL": url, "ARAGORA_DB_MIGRATION_LOCK_TIMEOUT": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 4
    assert "holds the migration lock" in " ".join(ran.stderr.split())


def test_a_busy_file_is_named(fresh_databases):
    """SQLite does not say who writes, but the message says what was waited for, and how long."""
    url = fresh_databases.url("sqlite", migrated=False)
    database = Database(Settings.explicit(database_url=url, migration_lock_timeout=1))
    database.migrate(HALF_WAY)
    engine = sa.create_engine(url, connect_args={"isolation_level": None})
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(MigrationLocked, match="waited 1 s"):
            database.migrate()
        connection.exec_driver_sql("ROLLBACK")
    engine.dispose()
    assert database.migrate()
    database.close()
    _assert_exact(url)


def test_a_table_lock_is_waited_for_in_small_pieces(plain, monkeypatch):
    """An ALTER that waits makes every reader queue behind it: it gives up, lets them pass, and tries again."""
    url, connect = plain
    monkeypatch.setattr(environment, "LOCK_TIMEOUT", "50ms")
    database = Database(url)
    database.migrate("20260112_debates")
    reader, watcher = connect(), connect(autocommit=True)
    reader.execute("SELECT count(*) FROM debates")
    waits, over = threading.Event(), threading.Event()

    def let_go_after_the_first_failure():
        blocked = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while not waits.is_set() and not over.is_set():
            if watcher.execute(blocked).fetchone()[0]:
                waits.set()
            time.sleep(0.005)
        time.sleep(0.3)  # several times the lock timeout
        reader.rollback()

    thread = threading.Thread(target=let_go_after_the_first_failure)
    thread.start()
    try:
        applied = database.migrate()
    finally:
        over.set()
        thread.join(PATIENCE)
    database.close()
    assert waits.is_set()
    assert applied == list(scripts.chain()[scripts.chain().index("20260112_debates") + 1 :])
    _assert_exact(url)


def test_a_table_lock_for_ever_is_an_error(plain, monkeypatch):
    """Attempts are bounded, and what was applied before stays applied."""
    url, connect = plain
    monkeypatch.setattr(environment, "LOCK_TIMEOUT", "20ms")
    monkeypatch.setattr(environment, "LOCK_ATTEMPTS", 2)
    database = Database(url)
    database.migrate("20260112_debates")
    connect().execute("SELECT count(*) FROM debates")
    with pytest.raises(LockTimeout, match="lock timeout"):
        database.migrate()
    database.close()
    assert _applied(url) == scripts.chain().index("20260112_debates") + 1

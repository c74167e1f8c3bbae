"""Processes that migrate at once, are killed half way, or find somebody in the way."""

from __future__ import annotations

import json
import random
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
import support

from aragora_db.config import Settings
from aragora_db.database import Database
from aragora_db.engine import Target, retry
from aragora_db.errors import LockTimeout, MigrationLocked
from aragora_db.migrations import environment, lock, scripts
from aragora_db.migrations.status import status

pytestmark = pytest.mark.slow

HALF_WAY = "20260106_consensus"
PROCESSES = pytest.mark.parametrize("processes", [3, pytest.param(8, marks=pytest.mark.faults)])
"""One that migrates, one that waits, and one that arrives while another waits; more of them only wait longer."""


class Forks:
    """Processes with every module imported already, so that they reach the database at the same moment."""

    def __init__(self, folder: Path) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-W", "error", str(Path(__file__).with_name("forks.py"))],
            cwd=folder,
            env=support.clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, url: str, work: str = "migrate", *, processes: int = 1, **more: Any) -> list[tuple[int, str]]:
        """Run ``work`` in so many processes at once; see ``forks.py``.

        Returns:
            The exit code and the output of each; the code of a process that a signal ended is negative.
        """
        request = {"url": url, "work": work, "processes": processes, "seconds": int(support.HANG_SECONDS), **more}
        self._server.stdin.write(f"{json.dumps(request)}\n")
        self._server.stdin.flush()
        answers, _, _ = select.select([self._server.stdout], [], [], 2 * support.HANG_SECONDS)
        assert answers, f"no answer to {request}"
        return [(code, output) for code, output in json.loads(self._server.stdout.readline())]

    def end(self) -> None:
        """End the server."""
        support.end_process(self._server)


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """A process that forks others, in an empty folder."""
    forks = Forks(tmp_path_factory.mktemp("forks"))
    yield forks
    forks.end()


def _assert_exact(url):
    """Every revision once, in order, and the schema at head."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        history = connection.scalars(sa.text("SELECT revision FROM schema_history ORDER BY id")).all()
        version = connection.scalars(sa.text("SELECT version_num FROM aragora_schema_version")).all()
    engine.dispose()
    assert tuple(history) == scripts.chain()
    assert version == [scripts.head()]
    assert status(Target.of(Settings.explicit(database_url=url))).good


def _assert_that_migrating_goes_on(url):
    """The next start finishes the work, and nothing is applied twice."""
    with closing(Database(url)) as database:
        assert database.migrate()
    _assert_exact(url)


@PROCESSES
@pytest.mark.parametrize("start", [None, HALF_WAY])
def test_many_at_once(dialect, at_revision, forks, start, processes):
    """Replicas that start together: without a lock all but one crash, and some leave half a schema behind."""
    url = at_revision(dialect, start)
    ended = forks.run(url, processes=processes)
    assert [code for code, _ in ended] == [0] * processes, ended
    _assert_exact(url)


@PROCESSES
def test_many_first_uses_at_once(dialect, fresh_databases, forks, processes):
    """The guide's "on first connection", by every worker of a new deployment."""
    url = fresh_databases.url(dialect, migrated=False)
    ended = forks.run(url, "use", processes=processes)
    assert [code for code, _ in ended] == [0] * processes, ended
    _assert_exact(url)


def _applied(url):
    """Return the number of revisions in the history; 0 if there is no history."""
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            return connection.scalar(sa.text("SELECT count(*) FROM schema_history"))
    except sa.exc.DBAPIError:
        return 0
    finally:
        engine.dispose()


@pytest.mark.parametrize("kills", [5, pytest.param(40, marks=pytest.mark.faults)])
def test_killed_at_random_moments(dialect, fresh_databases, forks, kills):
    """The machine went away half way: the next start finishes the work, and nothing is applied twice."""
    url = fresh_databases.url(dialect, migrated=False)
    chance = random.Random(20260118)
    # After a kill SQLite begins with the first of some 350 statements, PostgreSQL after the last finished revision.
    statements = {"sqlite": 300, "postgresql": 500 // kills}[dialect]
    for _ in range(kills):
        [(code, output)] = forks.run(url, kill_at=chance.randint(1, statements))
        assert code == -signal.SIGKILL, output
    _assert_that_migrating_goes_on(url)


@pytest.fixture
def deadly_tree(tmp_path):
    """Makes a copy of ``alembic/`` in which one revision kills its process once its statements have run."""

    def make(stem):
        tree = tmp_path / "alembic"
        shutil.copytree(scripts.script_location(), tree, ignore=shutil.ignore_patterns("__pycache__"))
        revision = tree / "versions" / f"{stem}.py"
        with revision.open("a") as source:
            source.write(
                "\n\n_run = upgrade\n\n\ndef upgrade():\n    import os, signal\n"
                "    _run()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
            )
        (tree / scripts.RELEASED).write_text("")  # not released, so that the copy may be edited
        return tree

    return make


IN_A_TRANSACTION, CONCURRENTLY = "20260206_debate_and_insight_keywords", "20260207_persona_window"


@pytest.mark.parametrize("stem", [IN_A_TRANSACTION, CONCURRENTLY])
def test_killed_inside_a_revision(stem, dialect, at_revision, forks, deadly_tree):
    """The revision that was under way is rolled back, full-text indexes and all; a concurrent index is built again."""
    before = scripts.chain()[scripts.chain().index(stem) - 1]
    url = at_revision(dialect, before)
    [(code, output)] = forks.run(url, scripts=str(deadly_tree(stem)))
    assert code == -signal.SIGKILL, output
    assert _applied(url) == scripts.chain().index(stem)
    _assert_that_migrating_goes_on(url)


@pytest.fixture
def connect() -> Iterator[Callable[..., psycopg.Connection]]:
    """Opens plain connections to PostgreSQL and closes them."""
    with ExitStack() as stack:
        yield lambda url, **options: stack.enter_context(closing(psycopg.connect(url, **options)))


@pytest.fixture
def behind(at_revision, connect):
    """A PostgreSQL database with pending revisions that alter the table of debates, and plain connections to it."""
    url = at_revision("postgresql", "20260112_debates")
    return url, partial(connect, url)


def _impatient(url):
    """Return a database whose migrations wait 0.1 s for others; the setting itself takes whole seconds."""
    return Database(Settings.explicit(database_url=url).model_copy(update={"migration_lock_timeout": 0.1}))


def test_a_held_lock_names_its_holder(at_revision, connect):
    """Somebody's laptop holds the lock since Friday: the message says which process to look for."""
    url = at_revision("postgresql", scripts.chain()[-2])
    holder = connect(url, application_name="somebody migrate")
    holder.execute("SELECT pg_advisory_xact_lock(%s)", (lock.KEY,))
    with closing(_impatient(url)) as database:
        with pytest.raises(MigrationLocked) as caught:
            database.migrate()
        message = str(caught.value)
        assert f"process {holder.info.backend_pid} (somebody migrate, " in message
        assert "waited 0.1 s" in message
        holder.rollback()
        assert database.migrate() == [scripts.head()]


def test_a_busy_file_is_named(at_revision):
    """SQLite does not say who writes, but the message says what was waited for, and how long."""
    url = at_revision("sqlite", scripts.chain()[-2])
    engine = sa.create_engine(url, connect_args={"isolation_level": None})
    with closing(_impatient(url)) as database:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            with pytest.raises(MigrationLocked, match=r"waited 0\.1 s"):
                database.migrate()
            connection.exec_driver_sql("ROLLBACK")
        engine.dispose()
        assert database.migrate()
    _assert_exact(url)


def test_a_table_lock_is_waited_for_in_small_pieces(behind, monkeypatch):
    """An ALTER that waits makes every reader queue behind it: it gives up, lets them pass, and tries again."""
    url, connect = behind
    reader, another = connect(), connect(options="-c lock_timeout=10s")
    reader.execute("SELECT count(*) FROM debates")
    attempts = []

    def between_two_attempts(attempt):
        attempts.append(attempt)
        assert another.execute("SELECT count(*) FROM debates").fetchone() == (0,)  # does not queue
        another.rollback()
        if attempt == 2:
            reader.rollback()
        return 0.0

    monkeypatch.setattr(environment, "LOCK_TIMEOUT", "20ms")
    monkeypatch.setattr(retry, "delay", between_two_attempts)
    with closing(Database(url)) as database:
        assert database.migrate() == list(scripts.chain()[scripts.chain().index("20260112_debates") + 1 :])
    assert attempts == [1, 2]
    _assert_exact(url)


def test_a_table_lock_for_ever_is_an_error(behind, monkeypatch):
    """Attempts are bounded, and what was applied before stays applied."""
    url, connect = behind
    monkeypatch.setattr(environment, "LOCK_TIMEOUT", "20ms")
    monkeypatch.setattr(environment, "LOCK_ATTEMPTS", 2)
    connect().execute("SELECT count(*) FROM debates")
    with closing(Database(url)) as database, pytest.raises(LockTimeout, match="lock timeout"):
        database.migrate()
    assert _applied(url) == scripts.chain().index("20260112_debates") + 1

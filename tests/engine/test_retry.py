"""Units of work run again when another transaction was in the way, and only then."""

from __future__ import annotations

import sqlite3
import threading

import psycopg
import pytest
from concurrent_work import Job
from sqlalchemy import text, update
from support import HANG_SECONDS

from aragora_db.errors import DatabaseUnavailable, LockTimeout, UniqueViolation, UsageError
from aragora_db.models import EloRating

AGENT = "claude"


def _create(*names):
    return lambda session: session.add_all(EloRating(agent_name=name, wins=0) for name in names)


def _wins(database, name=AGENT):
    return database.run(lambda session: session.get(EloRating, name).wins, read_only=True)


def _win(session, name=AGENT):
    session.execute(update(EloRating).where(EloRating.agent_name == name).values(wins=EloRating.wins + 1))


def _runs(work):
    """The work, and a list that grows by one with every run."""
    runs = []

    def counted(session):
        runs.append(len(runs) + 1)
        return work(session, len(runs))

    return counted, runs


@pytest.fixture
def ratings(server_case, fresh_databases, open_database):
    """A PostgreSQL database with two agents, through each driver."""
    database = open_database(server_case, fresh_databases.url("postgresql"))
    database.run(_create(AGENT, "gpt"))
    return database


def test_a_serialization_failure_runs_the_work_again(ratings, observe):
    """Without it every reader of Aragora that asks for SERIALIZABLE would need a loop of its own."""
    other = observe(ratings.dsn.conninfo())

    def work(session, run):
        session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
        wins = session.get(EloRating, AGENT).wins
        if run == 1:
            other.execute("UPDATE elo_ratings SET wins = wins + 10")
        session.get(EloRating, AGENT).wins = wins + 1

    counted, runs = _runs(work)
    ratings.run(counted)
    assert runs == [1, 2]
    assert _wins(ratings) == 11


def test_a_deadlock_runs_the_loser_again(ratings, observe, eventually):
    """Two debates that end at once, each rating the same two agents in another order, must both be counted."""
    other = observe(ratings.dsn.conninfo(), options="-c deadlock_timeout=60s")
    watcher = observe(ratings.dsn.conninfo())

    def take_gpt_then_claude():
        with other.transaction():
            other.execute("UPDATE elo_ratings SET wins = wins + 1 WHERE agent_name = 'gpt'")
            held.set()
            assert first_is_in.wait(HANG_SECONDS)
            other.execute("UPDATE elo_ratings SET wins = wins + 1 WHERE agent_name = 'claude'")

    held, first_is_in = threading.Event(), threading.Event()
    jobs = []

    def work(session, run):
        if run == 1:
            # Ours looks for a deadlock long before the other does, so that ours is the one that loses.
            session.execute(text("SET LOCAL deadlock_timeout = '10ms'"))
        _win(session, AGENT)
        if run == 1:
            jobs.append(Job(take_gpt_then_claude))
            assert held.wait(HANG_SECONDS)
            first_is_in.set()
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid = %s"
            eventually(lambda: watcher.execute(waiting, (other.info.backend_pid,)).fetchone()[0], "the other waits")
        _win(session, "gpt")

    counted, runs = _runs(work)
    ratings.run(counted)
    jobs[0].result()
    assert runs == [1, 2]
    assert (_wins(ratings, AGENT), _wins(ratings, "gpt")) == (2, 2)


def test_a_lock_timeout_runs_the_work_again(ratings, observe):
    """A row that a long report holds for a moment is no reason to lose a match."""
    other = observe(ratings.dsn.conninfo())
    other.execute("BEGIN")
    other.execute("SELECT 1 FROM elo_ratings WHERE agent_name = 'claude' FOR UPDATE")

    def work(session, run):
        session.execute(text("SET LOCAL lock_timeout = '10ms'"))
        if run == 3:
            other.execute("ROLLBACK")
        _win(session)

    counted, runs = _runs(work)
    ratings.run(counted)
    assert runs == [1, 2, 3]
    assert _wins(ratings) == 1


@pytest.mark.parametrize("while_idle", [False, True], ids=["in the unit of work", "between two of them"])
def test_a_terminated_connection_runs_the_work_again(ratings, observe, while_idle):
    """A failover or a restart of the server must not surface as an error in the middle of a debate."""
    admin = observe(ratings.dsn.conninfo())
    terminate = "SELECT pg_terminate_backend(%s, 60000)"
    pid = ratings.run(lambda session: session.scalar(text("SELECT pg_backend_pid()")))
    if while_idle:
        admin.execute(terminate, (pid,))

    def work(session, run):
        session.add(EloRating(agent_name="gemini"))
        if run == 1 and not while_idle:
            pid = session.scalar(text("SELECT pg_backend_pid()"))
            admin.execute(terminate, (pid,))
        _win(session)

    counted, runs = _runs(work)
    ratings.run(counted)
    assert runs == ([1] if while_idle else [1, 2])
    assert _wins(ratings) == 1


def test_busy_runs_the_work_again(file_case, fresh_databases, open_database):
    """Another program that writes to the SQLite file for a moment must not lose a match."""
    database = open_database(file_case, fresh_databases.url("sqlite"), busy_timeout=0.01)
    database.run(_create(AGENT))
    other = sqlite3.connect(database.dsn.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    # The work itself cannot let go: it does not run before BEGIN IMMEDIATE has succeeded.
    timer = threading.Timer(0.2, lambda: other.execute("ROLLBACK"))
    timer.start()
    database.run(_win, attempts=50)
    timer.join(HANG_SECONDS)
    assert not timer.is_alive()
    other.close()
    assert _wins(database) == 1


@pytest.mark.parametrize("attempts", [1, 3])
def test_attempts_are_bounded(ratings, observe, attempts):
    """A lock that is never released must end in an error that names the cause, not in a loop."""
    other = observe(ratings.dsn.conninfo())
    other.execute("BEGIN")
    other.execute("LOCK TABLE elo_ratings")

    def work(session, _run):
        session.execute(text("SET LOCAL lock_timeout = '10ms'"))
        _win(session)

    counted, runs = _runs(work)
    with pytest.raises(LockTimeout, match="lock timeout"):
        ratings.run(counted, attempts=attempts)
    assert len(runs) == attempts


def test_busy_attempts_are_bounded(file_case, fresh_databases, open_database):
    """As above, for a SQLite file that another program keeps locked."""
    database = open_database(file_case, fresh_databases.url("sqlite"), busy_timeout=0)
    database.ensure_ready()
    other = sqlite3.connect(database.dsn.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LockTimeout, match="locked"):
        database.run(_win, attempts=2)
    other.close()


def test_no_attempt_at_all_is_a_mistake(database):
    """attempts=0 would otherwise return as if the work had been done."""
    for attempts in (0, 1.5, None):
        with pytest.raises(UsageError, match="attempts"):
            database.run(_win, attempts=attempts)


def test_a_commit_inside_is_refused(database):
    """A retry after a commit in the middle would do the first half twice."""

    def work(session, _run):
        session.add(EloRating(agent_name=AGENT))
        session.flush()
        session.commit()

    counted, runs = _runs(work)
    with pytest.raises(UsageError, match="do not commit inside"):
        database.run(counted)
    assert runs == [1]
    assert database.run(lambda session: session.get(EloRating, AGENT), read_only=True) is None


@pytest.mark.parametrize("error", [ValueError("ours"), KeyError("name")], ids=repr)
def test_other_errors_pass_at_once(database, error):
    """Running a broken function eight times hides the error for seconds, and its side effects happen eight times."""

    def work(session, _run):
        session.add(EloRating(agent_name=AGENT))
        session.flush()
        raise error

    counted, runs = _runs(work)
    with pytest.raises(type(error)) as caught:
        database.run(counted)
    assert caught.value is error
    assert runs == [1]
    assert database.run(lambda session: session.get(EloRating, AGENT), read_only=True) is None


def test_a_broken_constraint_passes_at_once(database):
    """The second try would break the same constraint."""
    database.run(_create(AGENT))
    counted, runs = _runs(lambda session, _run: _create(AGENT)(session))
    with pytest.raises(UniqueViolation):
        database.run(counted)
    assert runs == [1]


def test_a_savepoint_inside_is_fine(database):
    """Stores use savepoints for the part that may fail."""

    def work(session):
        session.add(EloRating(agent_name=AGENT))
        with pytest.raises(UniqueViolation), session.begin_nested():
            session.execute(text("INSERT INTO elo_ratings (agent_name) VALUES ('claude')"))
        return "done"

    assert database.run(work) == "done"
    assert _wins(database) == 0


def test_a_server_that_is_gone_is_unavailable(server_case, fresh_databases, open_database, proxy_to):
    """After the last attempt the error says that the database could not be reached, and the exit code is 3."""
    proxy = proxy_to(fresh_databases.url("postgresql"))
    database = open_database(server_case, proxy.url)
    database.run(_create(AGENT))
    proxy.close()
    with pytest.raises(DatabaseUnavailable) as caught:
        database.run(_win, attempts=2)
    assert isinstance(caught.value.orig, psycopg.OperationalError)

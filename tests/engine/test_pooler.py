"""Behind a real PgBouncer in transaction mode: every transaction may meet another server connection."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest
from concurrent_work import together
from sqlalchemy import text

from aragora_db.database import Database
from aragora_db.engine import liveness
from aragora_db.errors import CommitUnknown, DatabaseUnavailable, ReadOnlyViolation, StatementTimeout
from aragora_db.migrations import scripts
from aragora_db.migrations.status import status
from aragora_db.models import EloRating

pytestmark = pytest.mark.slow

OURS = {"pooler": "transaction", "statement_timeout": 7, "command_timeout": 9, "idle_in_transaction_timeout": 11}


@pytest.fixture
def pooled_url(fresh_databases, pgbouncer):
    """A PostgreSQL database at head, through the pooler."""
    return pgbouncer.url_for(urlsplit(fresh_databases.url("postgresql")).path[1:])


@pytest.fixture
def pooled(server_case, pooled_url, open_database):
    """The same through each driver."""
    return open_database(server_case, pooled_url, **OURS)


def test_each_transaction_has_our_settings(pooled, show):
    """A pooler refuses startup `options`; without another way a runaway query would have no limit at all."""
    for _ in range(3):
        assert show(pooled, "statement_timeout") == "7s"
        assert show(pooled, "idle_in_transaction_session_timeout", read_only=True) == "11s"
        assert show(pooled, "TimeZone") == "UTC"
    assert show(pooled, "application_name") == "aragora_db"


def test_nothing_leaks_to_another_client(pooled, pooled_url, observe, show):
    """A plain SET stays on the server connection: a report of another team would be cancelled after our timeout."""
    for _ in range(5):
        show(pooled, "TimeZone")
    with pytest.raises(ReadOnlyViolation):
        pooled.run(lambda session: session.add(EloRating(agent_name="claude")), read_only=True)
    other = observe(pooled_url)
    for _ in range(5):
        assert other.execute("SHOW statement_timeout").fetchone() == ("0",)
        assert other.execute("SHOW idle_in_transaction_session_timeout").fetchone() == ("0",)
        assert other.execute("SHOW TimeZone").fetchone() != ("UTC",)
        assert other.execute("SHOW transaction_read_only").fetchone() == ("off",)


def test_no_statement_is_prepared(pooled):
    """A statement prepared on one server connection does not exist on the next: "prepared statement does not exist"."""

    def work(session):
        for number in range(20):
            session.scalar(text("SELECT CAST(:number AS int)"), {"number": number})
        return session.scalar(text("SELECT count(*) FROM pg_prepared_statements"))

    for _ in range(3):
        assert pooled.run(work) == 0


def test_the_same_query_on_several_server_connections(pooled):
    """Sessions side by side spread over the pooler's server connections, and each finds what it needs there."""

    def work(session):
        session.execute(text("SELECT pg_sleep(0.02)"))
        return session.scalar(text("SELECT pg_backend_pid() WHERE 1 = :one"), {"one": 1})

    async def many():
        return await asyncio.gather(*(pooled.transact_async(work) for _ in range(8)))

    def in_threads():
        return together(*[lambda: pooled.transact(work)] * 8)

    pids = pooled._runner.run(many()) if pooled.case.is_async else in_threads()
    assert len(pids) == 8
    assert len(set(pids)) > 1


def test_read_only(pooled):
    """BEGIN is ours here, so READ ONLY has to be as well."""
    insert = text("INSERT INTO elo_ratings (agent_name) VALUES ('claude')")
    with pytest.raises(ReadOnlyViolation):
        pooled.run(lambda session: session.execute(insert), read_only=True)
    pooled.run(lambda session: session.execute(insert))
    assert pooled.run(lambda session: session.query(EloRating).count(), read_only=True) == 1


def test_isolation_level(pooled, show):
    """As with READ ONLY: a level that is dropped in silence is a lost update."""

    def level(session):
        session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
        return session.scalar(text("SHOW transaction_isolation"))

    assert pooled.run(level) == "serializable"
    assert show(pooled, "transaction_isolation") == "read committed"
    assert show(pooled, "statement_timeout") == "7s"


def test_a_failed_unit_of_work_rolls_back(pooled):
    """Psycopg runs in autocommit mode here: a BEGIN that went missing would keep half of the work."""

    def fail(session):
        session.add(EloRating(agent_name="claude"))
        session.flush()
        raise KeyError

    with pytest.raises(KeyError):
        pooled.run(fail)
    assert pooled.run(lambda session: session.query(EloRating).count()) == 0


def test_the_server_cancels_a_slow_statement(server_case, pooled_url, open_database):
    """The timeout is not only shown but kept."""
    database = open_database(server_case, pooled_url, fractions={"statement_timeout": 0.2}, pooler="transaction")
    with pytest.raises(StatementTimeout):
        database.run(lambda session: session.execute(text("SELECT pg_sleep(60)")))


def test_begin_and_settings_are_one_message(server_case, pooled_url, open_database, proxy_to, monkeypatch):
    """Four round trips instead of one would double the time of a short transaction."""
    proxy = proxy_to(pooled_url)
    database = open_database(server_case, proxy.url, **OURS)
    database.ensure_ready()
    monkeypatch.setattr(liveness, "_TRUSTED_SECONDS", 3600.0)
    for _ in range(2):  # the second time it is pinged
        database.run(lambda session: session.scalar(text("SELECT 1")))
    assert not any(b"options" in chunk for chunk in proxy.sent)
    proxy.sent.clear()
    database.run(lambda session: session.scalar(text("SELECT 1")))
    begins = [chunk for chunk in proxy.sent if b"BEGIN" in chunk]
    assert len(begins) == 1
    assert begins[0].startswith(b"Q")
    assert begins[0].count(b"SET LOCAL") == 4
    # BEGIN with the settings, the statement, COMMIT.
    assert len(proxy.sent) == 3, proxy.sent


def test_a_connection_lost_at_begin_is_no_mystery(server_case, pooled_url, open_database, proxy_to):
    """BEGIN is a statement here, sent over a connection whose last message may have been COMMIT."""
    proxy = proxy_to(pooled_url)
    database = open_database(server_case, proxy.url, **OURS)
    with database.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        connection.commit()
        proxy.cut()
        with pytest.raises(DatabaseUnavailable) as caught:
            connection.execute(text("SELECT 1"))
        assert not isinstance(caught.value, CommitUnknown)
        assert connection.scalar(text("SHOW statement_timeout")) == "7s"


def test_a_commit_that_is_cut_is_unknown(server_case, pooled_url, open_database, proxy_to):
    """As on a direct connection: never retried."""
    proxy = proxy_to(pooled_url)
    database = open_database(server_case, proxy.url, **OURS)
    database.ensure_ready()
    runs = []
    proxy.at_commit = "lose"
    with pytest.raises(CommitUnknown):
        database.run(lambda session: runs.append(session.add(EloRating(agent_name="claude"))))
    proxy.at_commit = None
    assert len(runs) == 1
    assert database.run(lambda session: session.query(EloRating).count()) == 1


@pytest.mark.slow
def test_migrations_through_the_pooler(fresh_databases, pgbouncer):
    """The lock, the version and a concurrent index build have to survive that each transaction may move elsewhere."""
    name = urlsplit(fresh_databases.url("postgresql", migrated=False)).path[1:]
    database = Database(f"{pgbouncer.url_for(name)}?pgbouncer=true")
    assert database.migrate() == list(scripts.chain())
    assert database.migrate() == []
    with database.session(read_only=True) as session:
        valid = text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_debates_workspace'::regclass")
        assert session.scalar(valid) is True
        # Of this database only: other tests on this server take advisory locks of their own.
        left = text(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            "WHERE l.locktype = 'advisory' AND d.datname = current_database()"
        )
        assert session.scalar(left) == 0
    database.close()


def test_status_and_check_through_the_pooler(fresh_databases, pgbouncer):
    """`aragora-db status` and `check` would stop with an error on every Supabase and Neon database."""
    name = urlsplit(fresh_databases.url("postgresql")).path[1:]
    database = Database(f"{pgbouncer.url_for(name)}?pgbouncer=true")
    found = status(database._target)
    assert found.good
    assert found.drift == ()
    database.close()

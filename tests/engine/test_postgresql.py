"""What a direct connection to PostgreSQL starts with, and what of a DSN reaches libpq."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, urlsplit

import psycopg
import pytest
from sqlalchemy import text

from aragora_db.errors import DatabaseUnavailable, StatementTimeout
from aragora_db.testing.plugin import missing
from aragora_db.testing.process import free_port

SLEEP = text("SELECT pg_sleep(60)")


def _with(url, **parameters):
    separator = "&" if "?" in url else "?"
    query = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
    return f"{url}{separator}{query}"


@pytest.fixture
def url(fresh_databases):
    """A PostgreSQL database at head, over TCP."""
    return fresh_databases.url("postgresql")


def test_a_session_starts_with_our_settings(server_case, url, open_database, show):
    """Without them a runaway query or a forgotten transaction stays until somebody finds it, in local time."""
    database = open_database(
        server_case,
        url,
        statement_timeout=7,
        command_timeout=9,
        idle_in_transaction_timeout=11,
        application_name="ours",
    )
    shown = {
        name: show(database, name)
        for name in ("statement_timeout", "idle_in_transaction_session_timeout", "application_name", "TimeZone")
    }
    assert shown == {
        "statement_timeout": "7s",
        "idle_in_transaction_session_timeout": "11s",
        "application_name": "ours",
        "TimeZone": "UTC",
    }


def test_defaults(server_case, url, open_database, show):
    """The documented defaults are what the server gets."""
    database = open_database(server_case, url)
    assert show(database, "statement_timeout") == "1min"
    assert show(database, "idle_in_transaction_session_timeout") == "5min"
    assert show(database, "application_name") == "aragora_db"


def test_zero_is_no_limit(server_case, url, open_database, show):
    """0 switches a timeout off; taken for "unset" it would cancel a migration after a minute."""
    database = open_database(server_case, url, statement_timeout=0, command_timeout=0, idle_in_transaction_timeout=0)
    assert show(database, "statement_timeout") == "0"
    assert show(database, "idle_in_transaction_session_timeout") == "0"


def test_settings_survive_a_rollback(server_case, url, open_database, show):
    """Startup options belong to the session: a SET in a transaction that rolls back would be gone."""
    database = open_database(server_case, url, statement_timeout=7)

    def fail(session):
        session.execute(text("SELECT 1"))
        raise KeyError

    with pytest.raises(KeyError):
        database.run(fail)
    assert show(database, "statement_timeout") == "7s"


def test_the_dsn_wins(server_case, url, open_database, show):
    """An operator who wrote `options` or `application_name` into the DSN meant them."""
    url = _with(url, options="-c statement_timeout=3s -c work_mem=5MB", application_name="theirs")
    database = open_database(server_case, url, statement_timeout=7)
    assert show(database, "statement_timeout") == "3s"
    assert show(database, "work_mem") == "5MB"
    assert show(database, "application_name") == "theirs"
    assert show(database, "TimeZone") == "UTC"


def test_sslmode_reaches_libpq(server_case, url, open_database, observe):
    """Dropped on the way, `sslmode=require` would send passwords in the clear to a server without TLS."""
    encrypted = observe(url).execute("SHOW ssl").fetchone() == ("on",)
    assert open_database(server_case, _with(url, sslmode="disable")).health_check()
    assert open_database(server_case, _with(url, sslmode="require")).health_check() is encrypted
    unverified = _with(url, sslmode="verify-full", sslrootcert="/nonexistent.crt")
    with pytest.raises(DatabaseUnavailable, match=r"nonexistent\.crt" if encrypted else "SSL"):
        open_database(server_case, unverified).run(lambda _: None)


def test_a_unix_socket(server_case, url, open_database, postgres_server, show):
    """`host=/folder` in the query is how a DSN names a socket; a host name parsed from the authority is not."""
    if postgres_server.socket_url is None:
        missing("a server that was given by URL has no socket that we know of")
    socket = parse_qs(urlsplit(postgres_server.socket_url).query)
    folder, port = socket["host"][0], socket["port"][0]
    name, user = urlsplit(url).path[1:], urlsplit(url).username
    database = open_database(server_case, f"postgresql://{user}@/{name}?host={quote(folder, safe='')}&port={port}")
    assert database.run(lambda session: session.scalar(text("SELECT inet_server_addr()"))) is None
    assert show(database, "TimeZone") == "UTC"


def test_several_hosts(server_case, url, open_database, free_port_of_nobody):
    """With a failover pair in the DSN the second host is asked when nobody listens on the first."""
    parts = urlsplit(url)
    hosts = f"127.0.0.1:{free_port_of_nobody},{parts.hostname}:{parts.port}"
    credentials = parts.netloc.rpartition("@")[0]
    several = f"postgresql://{credentials}@{hosts}{parts.path}?target_session_attrs=read-write"
    database = open_database(server_case, several)
    assert database.run(lambda session: session.scalar(text("SELECT inet_server_port()"))) == parts.port


@pytest.fixture
def free_port_of_nobody():
    """A port of this machine that nothing listens on."""
    return free_port()


def test_the_server_cancels_a_slow_statement(server_case, url, open_database):
    """The client's own timer is slower on purpose: a cancelled statement leaves the connection usable."""
    database = open_database(server_case, url, fractions={"statement_timeout": 0.2}, command_timeout=60)
    pids = []

    def work(session):
        pids.append(session.scalar(text("SELECT pg_backend_pid()")))
        session.execute(SLEEP)

    with pytest.raises(StatementTimeout, match="ARAGORA_DB_STATEMENT_TIMEOUT"):
        database.run(work)
    assert database.run(lambda session: session.scalar(text("SELECT pg_backend_pid()"))) == pids[0]


def test_statements_are_prepared_on_a_direct_connection(url, open_database, server_case):
    """Psycopg prepares a statement at its sixth run; switched off for everybody it would cost a third of the speed."""
    database = open_database(server_case, url)

    def work(session):
        for number in range(10):
            session.scalar(text("SELECT CAST(:number AS int)"), {"number": number})
        return session.scalar(text("SELECT count(*) FROM pg_prepared_statements"))

    assert database.run(work) > 0


def test_the_url_of_an_engine_holds_no_secret(url, open_database, server_case):
    """Engines are printed in logs and tracebacks."""
    database = open_database(server_case, url)
    password = urlsplit(url).password
    assert password
    for shown in (repr(database.engine), str(database.engine.url), repr(database), repr(database.engine.url)):
        assert password not in shown


def test_connections_are_psycopg3(url, open_database, server_case):
    """The whole package relies on psycopg 3's SQLSTATEs."""
    driver = open_database(server_case, url).engine.raw_connection()
    assert isinstance(driver.driver_connection, psycopg.Connection)
    driver.close()

"""Slow queries, filters without an index, query logs, sessions that sit, and indexes that failed."""

from __future__ import annotations

import re

import psycopg
import pytest

from aragora_db.operate.doctor.queries import without_literals
from aragora_db.testing.plugin import missing

pytestmark = pytest.mark.slow

NO_STATISTICS = "no pg_stat_statements here: this PostgreSQL is without contrib. Install the package postgresql-contrib"
SECRET = "Zk9-literal"  # noqa: S105 -- what a report must not show


@pytest.fixture
def database(own_postgres):
    """An empty database of the own server, whose superuser is who looks."""
    own_postgres.sql("DROP DATABASE IF EXISTS slow WITH (FORCE)", "CREATE DATABASE slow TEMPLATE template0")
    url = own_postgres.url(dbname="slow")
    with psycopg.connect(url, autocommit=True) as connection:
        yield url, connection
    own_postgres.sql("DROP DATABASE slow WITH (FORCE)")


@pytest.fixture
def statistics(own_postgres):
    """The own server has loaded pg_stat_statements."""
    if not own_postgres.has("pg_stat_statements"):
        missing(NO_STATISTICS)


def test_no_statement_statistics(fresh_databases, examine):
    """Without them nobody knows what to mend first."""
    report = examine(database_url=fresh_databases.url("postgresql"))
    assert report["no-statement-statistics"].level == "warn"
    assert "CREATE EXTENSION pg_stat_statements" in report["no-statement-statistics"].fix


def test_statement_statistics_that_are_not_loaded(postgres_server, fresh_databases, admin, examine):
    """The extension was created and the library was forgotten: every look at the view fails."""
    if not postgres_server.has("pg_stat_statements"):
        missing(NO_STATISTICS)
    url = fresh_databases.url("postgresql", migrated=False)
    admin(url).execute("CREATE EXTENSION pg_stat_statements")
    report = examine(database_url=url)
    assert "did not load" in report["no-statement-statistics"].message


@pytest.mark.slow
@pytest.mark.usefixtures("statistics")
def test_a_slow_statement(database, examine):
    """The statement that costs the most has to be named, without what was asked for."""
    url, connection = database
    connection.execute("CREATE SCHEMA extra; CREATE EXTENSION pg_stat_statements SCHEMA extra")
    quick = examine(database_url=url)
    assert quick["slow-statements"].level == "ok"
    connection.execute(f"SELECT pg_sleep(1.2), '{SECRET}' AS who")
    report = examine(database_url=url)
    found = report["slow-statement"]
    assert found.level == "warn"
    assert re.fullmatch(r"1 calls, [\d.]+ s on average: SELECT pg_sleep\(\$1\), \$2 AS who", found.message)
    assert SECRET not in found.message + found.fix


def test_literals_are_not_shown():
    """The extension keeps a statement as it came when its entry was evicted meanwhile, values and all."""
    for statement in (
        f"select '{SECRET}'",
        f"select E'it''s {SECRET}'",
        f"select $tag${SECRET}$tag$, 42",
        f"select 1 -- {SECRET}",
        f"select /* {SECRET} */ 1",
        f"select '{SECRET}",
    ):
        shown = without_literals(statement)
        assert SECRET not in shown
        assert "42" not in shown
    assert without_literals("select  a1\n from t where b = $1") == "select a1 from t where b = $1"


def test_a_filter_without_an_index(database, examine, eventually):
    """A table that is read from end to end at each request is fast in the test and slow in a year."""
    url, connection = database
    connection.execute("CREATE TABLE large (id int PRIMARY KEY, who text)")
    connection.execute("INSERT INTO large SELECT n, 'agent ' || n FROM generate_series(1, 20000) n")
    assert "filter-without-index" not in examine(database_url=url)
    for _ in range(25):
        connection.execute("SELECT count(*) FROM large WHERE who = 'nobody'")

    def found():
        connection.execute("SELECT pg_stat_force_next_flush()")
        report = examine(database_url=url)
        return "filter-without-index" in report and report["filter-without-index"]

    finding = eventually(found, "the server's statistics have arrived")
    assert finding.message.startswith("large was read from end to end")
    assert "large" in finding.fix


def test_a_small_table_needs_no_index(database, examine):
    """The planner is right to read ten rows: a warning about it would teach people to pass over warnings."""
    url, connection = database
    connection.execute("CREATE TABLE small (who text)")
    connection.execute("INSERT INTO small SELECT 'agent ' || n FROM generate_series(1, 10) n")
    for _ in range(60):
        connection.execute("SELECT count(*) FROM small WHERE who = 'nobody'")
    connection.execute("SELECT pg_stat_force_next_flush()")
    assert examine(database_url=url)["table-scans"].level == "ok"


@pytest.mark.parametrize(
    ("value", "name", "level"),
    [("-1", "no-query-log", "warn"), ("0", "every-query-logged", "warn"), ("1000", "query-log", "ok")],
)
def test_the_query_log(own_postgres, database, examine, value, name, level, eventually, request):
    """The guide's first advice about slow queries is to let the server log them."""
    request.addfinalizer(lambda: own_postgres.sql("ALTER SYSTEM RESET log_min_duration_statement"))
    own_postgres.set(log_min_duration_statement=value)
    eventually(
        lambda: (
            database[1].execute("SELECT setting FROM pg_settings WHERE name = 'log_min_duration_statement'").fetchone()
            == (value,)
        ),
        "the setting is in force",
    )
    found = examine(database_url=database[0])[name]
    assert found.level == level
    if level == "warn":
        own_postgres.sql(*found.fix.partition("  --")[0].split("; "))
        eventually(lambda: examine(database_url=database[0])["query-log"].level == "ok", "what mends it has mended it")


def test_a_session_that_sits_in_a_transaction(database, examine, eventually):
    """One forgotten transaction stops vacuum for the whole database."""
    url, _ = database
    with psycopg.connect(url, application_name="forgotten") as sitting:
        sitting.execute("SELECT 1")
        report = eventually(
            lambda: (
                (found := examine(database_url=url, idle_in_transaction_timeout=1))
                and "idle-in-transaction" in found
                and found
            ),
            "it sat long enough",
        )
        found = report["idle-in-transaction"]
        assert f"process {sitting.info.backend_pid} of postgres (forgotten)" in found.message
        assert f"pg_terminate_backend({sitting.info.backend_pid})" in found.fix


def test_an_index_that_failed(database, examine):
    """CREATE INDEX CONCURRENTLY leaves one behind that costs every write and helps no query."""
    url, connection = database
    connection.execute("CREATE TABLE twice (who text); INSERT INTO twice VALUES ('a'), ('a')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY one_each ON twice (who)")
    found = examine(database_url=url)["invalid-index"]
    assert found.fix == "REINDEX INDEX CONCURRENTLY one_each"

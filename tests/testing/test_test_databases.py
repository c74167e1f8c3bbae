"""Databases for tests: made, copied and dropped without getting into each other's way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from aragora_db.testing.databases import create_database, drop_database, drop_run, template_database
from aragora_db.testing.handles import PostgresServer, url_of_database


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p%40@h:1/a?sslmode=require", "postgresql://u:p%40@h:1/new?sslmode=require"),
        ("postgresql://u@/a?host=/tmp/x&port=1", "postgresql://u@/new?host=/tmp/x&port=1"),
        ("postgresql:///a?host=/tmp/x", "postgresql:///new?host=/tmp/x"),
        ("postgresql://h1:1,h2:2/a", "postgresql://h1:1,h2:2/new"),
        ("postgresql://h", "postgresql://h/new"),
    ],
)
def test_only_the_database_changes(url: str, expected: str) -> None:
    """A lost parameter would send a test to another server."""
    assert url_of_database(url, "new") == expected


def exists(server: PostgresServer, name: str) -> bool:
    """Whether the server has the database."""
    with psycopg.connect(server.admin_url) as connection:
        return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is not None


def test_a_database_in_use_can_be_dropped(postgres_server: PostgresServer) -> None:
    """A failed test leaves connections open; its database must go all the same."""
    name = f'{postgres_server.unique_name()} "odd" name'
    url = create_database(postgres_server.admin_url, name)
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (name,)
        drop_database(postgres_server.admin_url, name)
        with pytest.raises(psycopg.OperationalError, match="terminating connection"):
            connection.execute("SELECT 1")
    assert not exists(postgres_server, name)
    drop_database(postgres_server.admin_url, name)


def test_names_are_unique_per_worker_and_test(postgres_server: PostgresServer) -> None:
    """Two workers with the same name would drop each other's database."""
    other = replace(postgres_server, worker="other")
    names = [server.unique_name() for server in (postgres_server, other) for _ in range(3)]
    assert len(set(names)) == 6
    assert all(len(name.encode()) <= 63 for name in names)


def test_a_template_is_built_once_and_copied(postgres_server: PostgresServer) -> None:
    """Eight workers that each migrate would be slower than no template at all."""
    built = []

    def build(url: str) -> None:
        built.append(url)
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE t AS SELECT 42 AS answer")

    key = postgres_server.unique_name()
    with ThreadPoolExecutor(4) as pool:
        names = set(pool.map(lambda _: template_database(postgres_server, key, build), range(4)))
    assert len(built) == 1
    assert len(names) == 1
    template = names.pop()
    assert len(template.encode()) <= 63
    copy = postgres_server.unique_name()
    with psycopg.connect(create_database(postgres_server.admin_url, copy, template)) as connection:
        assert connection.execute("SELECT answer FROM t").fetchone() == (42,)
    drop_database(postgres_server.admin_url, copy)
    drop_database(postgres_server.admin_url, template)


def test_nobody_can_connect_to_a_template(postgres_server: PostgresServer) -> None:
    """One connection to it, and every CREATE DATABASE that copies it fails."""
    name = template_database(postgres_server, postgres_server.unique_name(), lambda _: None)
    with pytest.raises(psycopg.OperationalError, match="not currently accepting connections"):
        psycopg.connect(postgres_server.url_for(name))
    drop_database(postgres_server.admin_url, name)


def test_a_failed_build_is_never_taken_for_the_template(postgres_server: PostgresServer) -> None:
    """Half a schema, copied into every test, gives errors that have nothing to do with their cause."""
    key = postgres_server.unique_name()

    def fail(url: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE half (a int)")
        raise RuntimeError("the migration failed")

    with pytest.raises(RuntimeError, match="the migration failed"):
        template_database(postgres_server, key, fail)
    name = template_database(postgres_server, key, lambda _: None)
    copy = postgres_server.unique_name()
    with psycopg.connect(create_database(postgres_server.admin_url, copy, name)) as connection:
        assert connection.execute("SELECT to_regclass('half')").fetchone() == (None,)
    drop_database(postgres_server.admin_url, copy)
    drop_database(postgres_server.admin_url, name)


def test_dropping_a_run_leaves_other_runs_alone(postgres_server: PostgresServer) -> None:
    """Two people may test against one given server at the same time."""
    mine, theirs = (replace(postgres_server, run=f"{postgres_server.run}{suffix}") for suffix in "ab")
    names = [server.unique_name() for server in (mine, theirs)]
    for name in names:
        create_database(postgres_server.admin_url, name)
    drop_run(mine)
    assert [exists(postgres_server, name) for name in names] == [False, True]
    drop_database(postgres_server.admin_url, names[1])

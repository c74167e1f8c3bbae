"""Replicas: a real streaming one that follows, lags, is cut off, and servers that are none."""

from __future__ import annotations

import psycopg
import pytest

from aragora_db.testing.binaries import find_postgres
from aragora_db.testing.plugin import missing
from aragora_db.testing.process import free_port, server_account
from aragora_db.testing.standby import start_primary, start_standby
from aragora_db.testing.workspace import make_workspace, remove_workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    """A primary and its replica."""
    binaries, account = find_postgres(), server_account()
    if binaries is None:
        missing("no PostgreSQL here. Install the package postgresql")
    workspace = make_workspace(account)
    started = []
    try:
        started.append(start_primary(binaries, workspace, account))
        started.append(start_standby(started[0], binaries, workspace, account))
        yield started
    finally:
        for server in reversed(started):
            server.stop()
        remove_workspace(workspace)


@pytest.fixture
def of(cluster, examine):
    """Examines the primary with these read URLs."""
    primary, _ = cluster
    return lambda *urls, **more: examine(database_url=primary.url, read_urls=",".join(urls), **more)


@pytest.mark.slow
def test_a_replica_that_follows(cluster, of):
    """What is right must not be warned about."""
    report = of(cluster[1].url)
    assert report.errors == []
    assert report["replicas"].level == "ok"
    assert "has replayed everything" in report["replicas"].message


@pytest.mark.slow
def test_a_replica_as_the_database(cluster, examine):
    """The DSN names the replica: a real standby says so itself."""
    report = examine(database_url=cluster[1].url)
    assert report.errors == ["read-only-server"]
    assert "pg_is_in_recovery" in report["read-only-server"].message


@pytest.mark.slow
def test_a_replica_that_lags(cluster, of, eventually):
    """Its replay is paused while the primary goes on: readers would see yesterday."""
    primary, standby = cluster
    with psycopg.connect(primary.url, autocommit=True) as writer, psycopg.connect(standby.url, autocommit=True) as held:
        writer.execute("CREATE TABLE IF NOT EXISTS rows (id int)")
        held.execute("SELECT pg_wal_replay_pause()")
        try:
            writer.execute("INSERT INTO rows VALUES (1)")

            def found():
                report = of(standby.url, replica_max_lag=0.5)
                return "replica-lags" in report and report

            report = eventually(found, "it is behind for long enough")
            assert report["replica-lags"].level == "warn"
            assert report.errors == []
        finally:
            held.execute("SELECT pg_wal_replay_resume()")


@pytest.mark.slow
def test_what_is_no_replica(cluster, of, postgres_server):
    """The primary's own address, and another cluster's: neither follows."""
    primary, _ = cluster
    report = of(primary.url, postgres_server.admin_url, f"postgresql://127.0.0.1:{free_port()}")
    names = [finding.name for finding in report.of("replicas")]
    assert names == ["not-a-replica", "not-a-replica", "replica-unreachable"]
    assert report.errors == []


def test_replicas_of_what_has_none(examine):
    """The primary's DSN got lost, and the replicas' stayed: the instance does not start, and doctor must say why."""
    report = examine(database_url="sqlite://", read_urls="postgresql://one.example")
    assert report.errors == ["read-urls-refused"]

"""Forks, rotation, the end of a database, and a pooler in front of a replica."""

from __future__ import annotations

import gc
import multiprocessing
import threading
import weakref
from urllib.parse import quote

import pytest
from support import HANG_SECONDS

from aragora_db import Database, Settings
from aragora_db.testing.binaries import find_pgbouncer
from aragora_db.testing.engines import EngineCase
from aragora_db.testing.plugin import missing
from aragora_db.testing.servers import start_pgbouncer

pytestmark = pytest.mark.slow


def pollers() -> list[str]:
    """The names of the threads that look at servers."""
    return sorted(each.name for each in threading.enumerate() if each.name.startswith("aragora_db-poller-"))


def test_watches_begin_with_the_first_reader_and_end_with_close(cluster, open_database, server_case: EngineCase):
    """Programs that only write would watch replicas, and closed databases would go on connecting."""
    database = open_database(server_case, ready=False)
    database.write("CREATE TABLE t (n int)")
    assert pollers() == []
    database.read("SELECT 1")
    assert pollers() == ["aragora_db-poller-primary", "aragora_db-poller-replica-1", "aragora_db-poller-replica-2"]
    database.close()
    assert pollers() == []
    cluster.eventually(lambda: all(database.serving()), "it starts again when it is used again")
    assert database.where() != cluster.primary.port


def test_a_database_that_nobody_holds_is_watched_no_more(cluster):
    """Each forgotten `Database` would keep threads and connections for the life of the process."""
    url = cluster.url
    database = Database(
        Settings.explicit(database_url=url, read_urls=f"postgresql://127.0.0.1:{cluster.replicas[0].port}")
    )
    with database.session(read_only=True) as session:
        session.connection()
    assert pollers()
    database._primary.close()
    for replica in database._replicas._monitor.replicas:
        replica.connections.close()
    gone = weakref.ref(database)
    del database, session, replica
    gc.collect()
    assert gone() is None
    cluster.eventually(lambda: pollers() == [], "the watches have ended")


def _child(database, eventually, pipe):
    database.read("SELECT 1")
    eventually(lambda: all(database.serving()), "both replicas serve the child")
    found = [sorted(database.ports()), pollers()]
    database.write("INSERT INTO t VALUES (2)")
    found.append(database.read("SELECT count(*) FROM t"))
    database.close()
    pipe.send(found)
    pipe.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_watches_for_itself(cluster, open_database):
    """A prefork server's workers would share a parent's sockets, or never look at a replica."""
    database = open_database()
    database.write("CREATE TABLE t (n int)")
    database.write("INSERT INTO t VALUES (1)")
    ports = sorted(database.ports())
    here, there = multiprocessing.get_context("fork").Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_child, args=(database, cluster.eventually, there))
    child.start()
    try:
        assert here.poll(HANG_SECONDS)
        assert here.recv() == [
            ports,
            ["aragora_db-poller-primary", "aragora_db-poller-replica-1", "aragora_db-poller-replica-2"],
            2,
        ]
        child.join(HANG_SECONDS)
        assert child.exitcode == 0
    finally:
        child.kill()
        child.join(HANG_SECONDS)
        child.close()
        here.close()
        there.close()
    assert sorted(database.ports()) == ports


class Vault:
    """A secrets source whose secret a test changes."""

    def __init__(self, url):
        self.url = url

    def get(self, name):
        """The DSN."""
        return self.url if name == "DATABASE_URL" else None

    def refresh(self):
        """Nothing is cached."""
        return True

    def health(self):
        """All is well."""
        return {"source": "test", "age_seconds": 0.0, "stale": False, "error": None}


def test_a_new_password_reaches_the_replicas(cluster):
    """After a rotation every replica would be left out until a restart."""
    cluster.ask(cluster.url, "CREATE ROLE rotating LOGIN SUPERUSER PASSWORD 'first'")

    def url(password):
        return f"postgresql://rotating:{quote(password)}@127.0.0.1:{cluster.primary.port}/aragora"

    vault = Vault(url("first"))
    read_urls = ",".join(f"postgresql://127.0.0.1:{server.port}" for server in cluster.replicas)
    database = Database(Settings.explicit(use_secrets_manager=True, read_urls=read_urls), secrets=vault)
    try:
        with database.session(read_only=True) as session:
            session.connection()
        cluster.eventually(lambda: all(each["healthy"] for each in database.replicas_health()), "both serve")
        cluster.ask(cluster.url, "ALTER ROLE rotating PASSWORD 'second'")
        vault.url = url("second")
        cluster.eventually(lambda: all(cluster.follows(each) for each in cluster.replicas), "the role is replicated")
        for server in cluster.replicas:
            cluster.ask(
                server.url, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'rotating'"
            )
        cluster.eventually(lambda: all(each["healthy"] for each in database.replicas_health()), "both serve again")
        ports = {
            database.transact(
                lambda session: session.connection().exec_driver_sql("SELECT inet_server_port()").scalar(),
                read_only=True,
            )
            for _ in range(8)
        }
        assert ports == {server.port for server in cluster.replicas}
    finally:
        database.close()


def test_a_replica_behind_a_transaction_pooler(cluster, open_database, server_case: EngineCase):
    """Behind PgBouncer the replica would be refused, or an old value be taken for the new one."""
    binary = find_pgbouncer()
    if binary is None:
        missing("no PgBouncer here: no such program on PATH or in /usr/sbin. Install the package pgbouncer")
    folder = cluster.workspace / f"bouncer-{server_case}"
    folder.mkdir()
    folder.chmod(0o711)
    pooler, address = start_pgbouncer(binary, cluster.replicas[0].url, folder, cluster.account)
    try:
        url = f"postgresql://{address.host}:{address.port}?pgbouncer=true"
        database = open_database(server_case, urls=[url])
        assert database.ports() == {cluster.replicas[0].port}
        database.write("CREATE TABLE t (n int)")
        for expected in range(1, 20):
            database.write("INSERT INTO t VALUES (1)")
            assert database.read("SELECT count(*) FROM t") == expected
    finally:
        pooler.stop()

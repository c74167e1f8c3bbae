"""Replicas that lag, die, hang or are promoted: readers do not notice, and they come back."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack

import pytest
from concurrent_work import Job
from sqlalchemy import text

from aragora_db.errors import DatabaseUnavailable
from aragora_db.testing.engines import EngineCase

pytestmark = pytest.mark.slow

PAUSE, RESUME = "SELECT pg_wal_replay_pause()", "SELECT pg_wal_replay_resume()"


def test_a_replica_that_lags_is_left_out_and_comes_back(cluster, open_database, caplog):
    """Readers would see a state that gets older and older."""
    first, second = cluster.replicas
    database = open_database(replica_max_lag=0.5)
    database.write("CREATE TABLE t (n int)")
    caplog.set_level(logging.WARNING, "aragora_db.replicas")
    cluster.ask(first.url, PAUSE)
    database.write("INSERT INTO t VALUES (1)")
    cluster.eventually(lambda: database.serving() == [False, True], "the first one is left out")
    assert database.reasons() == ["is more than 0.5 s behind", None]
    assert database.replicas_health()[0]["lag_seconds"] > 0.5
    assert database.ports() == {second.port}
    cluster.eventually(lambda: "replica 1 is left out: is more than 0.5 s behind" in caplog.messages, "the log says so")
    cluster.ask(first.url, RESUME)
    cluster.eventually(lambda: database.serving() == [True, True], "it is back")
    assert database.ports() == {first.port, second.port}
    cluster.eventually(lambda: "replica 1 is back" in caplog.messages, "the log says so")


class Readers:
    """Threads that read all the time; each failure is kept."""

    def __init__(self, database, number=4):
        self.database, self.failures, self.reads = database, [], 0
        self._stop = threading.Event()
        self._jobs = [Job(self._read) for _ in range(number)]

    def _read(self):
        while not self._stop.is_set():
            try:
                self.database.transact(
                    lambda session: session.scalar(text("SELECT count(*) FROM pg_class")), read_only=True
                )
            except Exception as error:  # noqa: BLE001 -- each one is a reader that was let down
                self.failures.append(error)
            self.reads += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop.set()
        for job in self._jobs:
            job.result()

    def more(self, number=50):
        """A condition: that many reads have ended since now."""
        goal = self.reads + number
        return lambda: self.reads >= goal


def test_readers_survive_a_replica_that_is_killed(cluster, open_database):
    """A crash of one replica would be seen by users, or leave the replica unused for good."""
    database = open_database()
    with Readers(database) as readers:
        for server in cluster.replicas:
            cluster.eventually(readers.more(), "readers read")
            server.kill()
            cluster.eventually(readers.more(), "readers go on")
            server.start()
            cluster.eventually(lambda: database.serving() == [True, True], "it is back")
    assert readers.failures == []
    assert database.ports() == {server.port for server in cluster.replicas}
    assert database.pool_metrics().in_use == 0


def test_readers_survive_without_any_replica(cluster, open_database, server_case: EngineCase):
    """Replicas would make reading less reliable than it is without them."""
    database = open_database(server_case)
    for server in cluster.replicas:
        server.kill()
    assert database.ports() == {cluster.primary.port}
    cluster.eventually(lambda: database.serving() == [False, False], "both are left out")
    assert all("cannot be used (" in reason for reason in database.reasons())
    for server in cluster.replicas:
        server.start()
    cluster.eventually(lambda: database.serving() == [True, True], "both are back")
    assert database.ports() == {server.port for server in cluster.replicas}


@pytest.mark.slow
def test_a_replica_that_hangs_delays_nobody_for_long(cluster, open_database, monkeypatch):
    """A machine that swaps, and answers nothing, would hold readers for ARAGORA_DB_COMMAND_TIMEOUT, a minute."""
    monkeypatch.setattr("aragora_db.replicas.replica._PING_SECONDS", 0.5)
    monkeypatch.setattr("aragora_db.replicas.poller._OVERDUE_SECONDS", 0.5)
    database = open_database(command_timeout=600, statement_timeout=600)
    assert len(database.ports()) == 2, "each pool has a connection"
    cluster.replicas[0].freeze()
    with Readers(database, number=1) as readers:
        try:
            cluster.eventually(readers.more(), "readers go on")
            cluster.eventually(lambda: database.serving() == [False, True], "it is left out")
            cluster.eventually(readers.more(), "readers go on")
        finally:
            cluster.replicas[0].thaw()
    assert readers.failures == []
    cluster.eventually(lambda: database.serving() == [True, True], "it is back")


def test_a_promoted_replica_and_its_follower_are_left_out(cluster, open_database):
    """After a split, readers would see a database that goes its own way: the right cluster, and another history."""
    with ExitStack() as stack:
        leader = cluster.another_replica()
        stack.callback(leader.stop)
        follower = cluster.another_replica()
        stack.callback(follower.stop)
        cluster.ask(follower.url, f"ALTER SYSTEM SET primary_conninfo = '{leader.url}'")
        cluster.ask(follower.url, "SELECT pg_reload_conf()")
        database = open_database(replicas=[leader, follower, cluster.replicas[1]])
        leader.promote()
        cluster.ask(leader.url, "SELECT pg_switch_wal()")  # from here on its log is longer than the primary's
        reasons = [
            "is no replica: it was promoted, or never was one",
            "follows another primary: it is ahead of this one",
            None,
        ]
        cluster.eventually(lambda: database.reasons() == reasons, "both are left out, each for its reason")
        assert database.ports() == {cluster.replicas[1].port}


def test_an_endpoint_that_falls_back_to_the_primary_serves(cluster, open_database):
    """RDS sends its reader endpoint to the writer when there is no reader: that is no error."""
    database = open_database(replicas=[cluster.primary])
    database.write("CREATE TABLE t (n int)")
    assert database.replicas_health() == [{"replica": 1, "healthy": True, "lag_seconds": 0.0, "reason": None}]
    assert database.ports() == {cluster.primary.port}
    assert database.read("SELECT count(*) FROM t") == 0


def test_another_cluster_is_no_replica(cluster, open_database, postgres_server):
    """A wrong address would mix two environments' data."""
    database = open_database(url=cluster.primary.url, urls=[postgres_server.admin_url], ready=False)
    cluster.eventually(lambda: database.reasons() == ["belongs to another cluster than the primary"], "it is found out")
    assert database.ports() == {cluster.primary.port}


def test_reads_go_on_while_the_primary_is_away(cluster, open_database, server_case: EngineCase):
    """A failover of the primary would stop readers too, though replicas have the data."""
    database = open_database(server_case, connect_timeout=2)
    database.ports()
    cluster.primary.kill()
    assert database.ports() <= {server.port for server in cluster.replicas}
    cluster.eventually(lambda: "primary cannot be asked" in str(database.reasons()), "the primary is missed")
    assert database.serving() == [True, True]
    assert database.ports() == {server.port for server in cluster.replicas}
    with pytest.raises(DatabaseUnavailable):
        database.run(lambda session: session.execute(text("CREATE TABLE never (n int)")).close(), attempts=1)
    cluster.primary.start()
    cluster.eventually(lambda: database.reasons() == [None, None], "the primary is back")
    assert database.ports() == {server.port for server in cluster.replicas}


def test_health_names_no_address(cluster, open_database):
    """A health page would tell strangers where the servers are, or with what password."""
    database = open_database(
        urls=["postgresql://postgres:hunter2@127.0.0.1:1", "postgresql://10.255.255.1.invalid"], ready=False
    )
    cluster.eventually(lambda: "not asked yet" not in database.reasons(), "both were asked")
    assert database.serving() == [False, False]
    shown = str(database.replicas_health())
    assert "127.0.0.1" not in shown
    assert "10.255" not in shown
    assert "hunter2" not in shown


def test_a_query_in_the_way_of_replay_runs_again(cluster, open_database, server_case: EngineCase):
    """TRUNCATE or VACUUM on the primary cancels readers on replicas: users would see it, or the replica be left out."""
    database = open_database(server_case, replicas=cluster.replicas[:1])
    url = cluster.replicas[0].url
    cluster.ask(url, "ALTER SYSTEM SET max_standby_streaming_delay = '10ms'")
    cluster.ask(url, "SELECT pg_reload_conf()")
    database.write("CREATE TABLE t (n int)")
    cluster.eventually(lambda: cluster.follows(cluster.replicas[0]), "the table is there")
    attempts = []

    def read(session):
        attempts.append(session.scalar(text("SELECT inet_server_port()")))
        session.scalar(text("SELECT count(*) FROM t"))
        if len(attempts) == 1:
            cluster.ask(cluster.url, "TRUNCATE t")
            session.scalar(text("SELECT pg_sleep(30)"))
        return session.scalar(text("SELECT count(*) FROM t"))

    try:
        assert database.run(read, read_only=True) == 0
    finally:
        cluster.ask(url, "ALTER SYSTEM RESET max_standby_streaming_delay")
        cluster.ask(url, "SELECT pg_reload_conf()")
    assert attempts == [cluster.replicas[0].port] * 2
    assert database.serving() == [True]

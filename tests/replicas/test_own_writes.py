"""Who wrote reads what was written, wherever the read goes."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from contextlib import suppress

import pytest
from concurrent_work import Job
from sqlalchemy import text
from sqlalchemy.orm import Session
from support import HANG_SECONDS

from aragora_db import Database
from aragora_db.errors import InvalidValue
from aragora_db.testing.engines import EngineCase

pytestmark = pytest.mark.slow

TABLE = "CREATE TABLE counter (who int PRIMARY KEY, n int NOT NULL)"
COUNT_UP = text("INSERT INTO counter VALUES (:who, 1) ON CONFLICT (who) DO UPDATE SET n = counter.n + 1 RETURNING n")
COUNT = text("SELECT n FROM counter WHERE who = :who")
N = "SELECT n FROM counter WHERE who = 1"
PAUSE, RESUME = "SELECT pg_wal_replay_pause()", "SELECT pg_wal_replay_resume()"


@pytest.fixture
def paused(cluster):
    """Replicas that have the table, and then stop replaying."""

    def pause(database):
        database.write(TABLE)
        database.write("INSERT INTO counter VALUES (1, 0)")
        cluster.eventually(lambda: all(cluster.follows(each) for each in cluster.replicas), "the table is replicated")
        for server in cluster.replicas:
            cluster.ask(server.url, PAUSE)
            cluster.eventually(
                lambda server=server: cluster.ask(server.url, "SELECT pg_get_wal_replay_pause_state()") == "paused",
                "replay pauses",
            )
        cluster.eventually(lambda: all(database.serving()), "the replicas still serve")

    return pause


def in_thread(work):
    """What a new thread makes of it: nothing was written there."""
    return Job(work).result()


def test_an_own_write_is_seen_though_replicas_lag(cluster, open_database, paused, server_case: EngineCase):
    """A user who saves and reloads would see the old value, and save it again."""
    database = open_database(server_case)
    paused(database)
    database.write("UPDATE counter SET n = 7")
    assert database.read(N) == 7
    assert database.ports(2) == {cluster.primary.port}
    with database.session(read_only=True) as session:
        seen = session.scalar(text(N))
    # The sync session of an async test runs in another context than its tasks: it wrote nothing there.
    assert seen == (0 if server_case.is_async else 7)


def test_others_go_on_reading_a_replica_that_lags(cluster, open_database, paused):
    """One writer would send every reader to the primary."""
    database = open_database()
    paused(database)
    database.write("UPDATE counter SET n = 7")
    assert in_thread(lambda: database.read(N)) == 0
    assert in_thread(database.where) != cluster.primary.port
    assert database.where() == cluster.primary.port


def test_a_reader_waits_for_the_replica(cluster, open_database, paused, server_case: EngineCase):
    """Reads after writes would all land on the primary, though replicas are only milliseconds behind."""
    database = open_database(server_case, replica_wait=60)
    paused(database)
    database.write("UPDATE counter SET n = 7")
    timer = threading.Timer(0.3, lambda: [cluster.ask(server.url, RESUME) for server in cluster.replicas])
    timer.start()
    assert database.read(N) == 7
    assert database.where() != cluster.primary.port
    timer.join(HANG_SECONDS)
    assert not timer.is_alive()


def test_no_wait_goes_to_the_primary_at_once(cluster, open_database, paused):
    """ARAGORA_DB_REPLICA_WAIT=0 would wait after all, or read what is old."""
    database = open_database(replica_wait=0)
    paused(database)
    database.write("UPDATE counter SET n = 7")
    assert database.read(N) == 7
    assert database.where() == cluster.primary.port


class Switch:
    """An address with several servers behind it, as a load balancer has: a connection goes where ``port`` says."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"postgresql://127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets: list[socket.socket] = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port))
                self._sockets += [client, server]
                for pair in ((client, server), (server, client)):
                    self._threads.append(threading.Thread(target=self._forward, args=pair))
                    self._threads[-1].start()

    @staticmethod
    def _forward(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Hang up on everybody."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(HANG_SECONDS)
            assert not thread.is_alive()


def test_servers_behind_one_address_are_told_apart(cluster, open_database, server_case: EngineCase):
    """Behind a load balancer we would look at one replica and read from another one, which is behind."""
    fresh, old = cluster.replicas
    setup = open_database(ready=False)
    setup.write(TABLE)
    setup.write("INSERT INTO counter VALUES (1, 0)")
    cluster.eventually(lambda: cluster.follows(old), "the table is replicated")
    cluster.ask(old.url, PAUSE)
    switch = Switch(fresh.port)
    try:
        database = open_database(server_case, urls=[switch.url], replica_wait=60)
        switch.port = old.port
        database.write("UPDATE counter SET n = 7")
        assert database.read(N) == 7
    finally:
        switch.close()


@pytest.mark.parametrize("way", ["engine", "autocommit", "commit inside", "function"])
def test_every_way_to_write_counts(open_database, paused, way: str):
    """A write that the ORM does not see would be missing from the next read."""
    database = open_database(replica_wait=0)
    paused(database)
    if way == "engine":
        with database.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE counter SET n = 7")
    elif way == "autocommit":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("UPDATE counter SET n = 7")
    elif way == "commit inside":
        with database.session() as session:
            session.execute(text("UPDATE counter SET n = 7"))
            session.commit()
            assert database.read(N) == 7
    else:
        database.write("CREATE OR REPLACE FUNCTION up() RETURNS void LANGUAGE sql AS 'UPDATE counter SET n = 7'")
        database.write("SELECT up()")
    assert database.read(N) == 7


def test_a_read_is_no_write(cluster, open_database, paused):
    """Reads would send the reads after them to the primary."""
    database = open_database(replica_wait=0)
    paused(database)

    def read_only_here():
        database.read(N)
        database.read(N, primary=True)
        return database.where(), database.write_position()

    where, position = in_thread(read_only_here)
    assert where != cluster.primary.port
    assert position is None


def test_the_position_travels_between_threads(cluster, open_database, paused, server_case: EngineCase):
    """After a redirect the next request, in another thread or process, would show the page without the change."""
    database = open_database(server_case, replica_wait=0)
    other = open_database(server_case, replica_wait=0)
    paused(database)
    database.write("UPDATE counter SET n = 7")
    if database._runner is None:
        position = database.write_position()
    else:
        position = database._runner.run(database.write_position_async())
    assert other.read(N) == 0
    assert other.read(N, after=position) == 7
    assert other.where(after=position) == cluster.primary.port
    assert other.where(after="0/0") != cluster.primary.port
    with pytest.raises(InvalidValue, match=r"write_position\(\)"):
        other.read(N, after="made up")


async def _inherits(database: Database) -> list[int | None]:
    async def read():
        async with database.async_session(read_only=True) as session:
            return await session.scalar(text(N))

    await database.transact_async(lambda session: session.execute(text("UPDATE counter SET n = 7")).close())
    child = asyncio.create_task(read())
    here, there, thread = (
        await read(),
        await child,
        await asyncio.to_thread(lambda: database.transact(_read, read_only=True)),
    )
    return [here, there, thread]


def _read(session: Session) -> int | None:
    return session.scalar(text(N))


async def _child_writes(database: Database) -> list[int | None]:
    async def write() -> str | None:
        await database.transact_async(lambda session: session.execute(text("UPDATE counter SET n = 8")).close())
        return await database.write_position_async()

    position = await asyncio.create_task(write())
    without = await database.transact_async(_read, read_only=True)
    return [without, await database.transact_async(_read, read_only=True, after=position)]


def test_tasks_inherit_what_their_creator_wrote(open_database, paused):
    """What a task hands to asyncio.gather or to_thread would not see what the task wrote; docs/guide/replicas.md."""
    database = open_database(replica_wait=0)
    in_thread(lambda: paused(database))  # this context has written nothing

    async def all_of_it():
        found = await asyncio.create_task(_inherits(database)), await asyncio.create_task(_child_writes(database))
        await database.aclose()
        return found

    inherited, from_child = asyncio.run(all_of_it())
    assert inherited == [7, 7, 7]
    assert from_child == [0, 8], "a child's write does not reach back; its position does"


def disturb(cluster, stop: threading.Event) -> None:
    """Have replicas pause, resume and crash, in no order."""
    dice = random.Random(7)
    while not stop.wait(0.05):
        server = dice.choice(cluster.replicas)
        if dice.random() < 0.1:
            server.restart()
        cluster.ask(server.url, dice.choice([PAUSE, RESUME]))


@pytest.mark.slow
@pytest.mark.parametrize("wait", [0.0, 0.2])
@pytest.mark.parametrize("rounds", [20, pytest.param(200, marks=[pytest.mark.faults, pytest.mark.timeout(600)])])
def test_nobody_ever_reads_an_old_value_of_their_own(open_database, cluster, wait: float, rounds: int):
    """The promise itself, with threads and tasks, while replicas pause, resume and crash."""
    database = open_database(replica_wait=wait)
    database.write(TABLE)
    stop = threading.Event()

    def count(who: int):
        for expected in range(1, rounds + 1):
            assert database.transact(lambda session: session.scalar(COUNT_UP, {"who": who})) == expected
            for _ in range(2):
                seen = database.transact(lambda session: session.scalar(COUNT, {"who": who}), read_only=True)
                assert seen == expected

    async def count_async(who: int):
        for expected in range(1, rounds + 1):
            assert await database.transact_async(lambda session: session.scalar(COUNT_UP, {"who": who})) == expected
            seen = await database.transact_async(lambda session: session.scalar(COUNT, {"who": who}), read_only=True)
            assert seen == expected

    async def all_async():
        await asyncio.gather(*(count_async(who) for who in range(100, 108)))
        await database.aclose()

    disturber = Job(lambda: disturb(cluster, stop))
    try:
        jobs = [Job(lambda who=who: count(who)) for who in range(4)] + [Job(lambda: asyncio.run(all_async()))]
        for job in jobs:
            job.result(10 * HANG_SECONDS)
    finally:
        stop.set()
        disturber.result()

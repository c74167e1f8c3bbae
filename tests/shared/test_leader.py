"""Leaders: one at a time, another one when it dies, and none that believes it leads for too long."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from concurrent_work import Job, forked, line_of
from support import HANG_SECONDS, end_process, output_of

from aragora_db import Database
from aragora_db.errors import Fenced, InvalidValue
from aragora_db.models import FencingToken

pytestmark = pytest.mark.slow


def test_alone_we_lead(make):
    """A laptop would never consolidate."""
    state = make()
    with state.leader("job") as leader:
        assert leader.is_leader
        assert leader.wait(0)
        state._transact(leader.guard)
        assert leader.token == 1
    assert not leader.is_leader
    with pytest.raises(Fenced):
        state._transact(leader.guard)


def test_who_waits_to_lead_is_let_go(instances):
    """A service that is stopped would never end: its job waits for a lead that cannot come any more."""
    one, two = instances(2)
    with one.leader("job", ttl=60) as first:
        assert first.wait(HANG_SECONDS)
        with two.leader("job", ttl=60) as second:
            job = Job(second.wait)
        assert job.result() is False


def test_one_leads_and_the_next_one_at_once(instances):
    """A job that must run once would run twice, or for a while not at all after each deployment."""
    one, two = instances(2)
    with two.leader("job", ttl=60) as second:
        with one.leader("other", ttl=60) as other:
            assert other.wait(HANG_SECONDS)
        assert second.wait(HANG_SECONDS)
        with one.leader("job", ttl=60) as first:
            assert not first.wait(0.2)
            assert second.is_leader
            with pytest.raises(Fenced, match="'job'"):
                one._transact(first.guard)
    with one.leader("job", ttl=60) as first:
        assert first.wait(HANG_SECONDS)  # much less than 60 seconds, which a lease that was not given back would take
        assert first.token == 2


def test_a_leader_renews(instances):
    """Leadership would wander every few seconds, and each time a job is broken off."""
    one, two = instances(2)
    with one.leader("job", ttl=0.5) as first:
        assert first.wait(HANG_SECONDS)
        with two.leader("job", ttl=0.5) as second:
            assert not second.wait(1.2)  # more than two leases
        assert first.token == 1


def test_redis_away_steps_down_and_comes_back(make, servers, eventually):
    """Cut off from Redis, an instance would lead on beside the one that took over."""
    server = servers.start()
    state = make(server.url)
    with state.leader("job", ttl=1) as leader:
        assert leader.wait(HANG_SECONDS)
        server.stop()
        eventually(lambda: not leader.is_leader, "it has stepped down")
        assert leader.token is None
        server.start()
        eventually(lambda: leader.is_leader, "it leads again")
        assert leader.token == 2


def test_a_lease_that_vanished_is_noticed(instances, redis_server, eventually):
    """After an eviction two would lead until the first one is restarted."""
    import redis  # noqa: PLC0415 -- next to its use

    one, two = instances(2)
    client = redis.Redis.from_url(redis_server.url)
    with one.leader("job", ttl=1.5) as first:
        assert first.wait(HANG_SECONDS)
        lease = two._lease("leader", "job", 60)
        eventually(lambda: client.delete(f"{one._namespace}:leader:job") and lease.acquire(), "another has the lease")
        eventually(lambda: not first.is_leader, "the first one has noticed")
        lease.release()
        assert first.wait(HANG_SECONDS)
    client.close()


def test_a_database_that_is_away_leads_nowhere(instances, eventually):
    """A leader without a token could not be told from an old one, and would keep out those who can have one."""
    one, two = instances(2)
    calls = []

    def refuse(_):
        calls.append(1)
        raise LookupError

    one._transact = refuse
    with one.leader("job", ttl=1) as leader:
        eventually(lambda: len(calls) >= 2, "it has tried twice")
        assert not leader.is_leader
        with two.leader("job", ttl=60) as other:
            assert other.wait(HANG_SECONDS)


def test_a_forked_child_does_not_lead(make):
    """A worker process would believe that it leads because its parent does."""
    with make().leader("job") as leader:
        assert forked(lambda: not leader.is_leader)
        assert leader.is_leader


def test_times_out_of_range(make):
    """A lease of a moment would never be renewed in time."""
    with pytest.raises(InvalidValue, match="ttl"), make().leader("job", ttl=0.1):
        pass


_LEADER = """
import json, sys, time
from aragora_db import Database, Settings
from aragora_db.shared import SharedState
redis_url, namespace, database_url = sys.argv[1:]
database = Database(database_url)
state = SharedState(Settings.explicit(redis_namespace=namespace), lambda: redis_url, database.transact)
with state.leader("job", ttl=1.5) as leader:
    assert leader.wait(60)
    print("leading", flush=True)
    sys.stdin.readline()
    believed = leader.is_leader
    try:
        database.transact(leader.guard)
        said = "written"
    except Exception as refused:
        said = type(refused).__name__
    print(json.dumps([believed, said]), flush=True)
"""


@pytest.fixture
def other_process(instances, redis_server, fresh_databases, dialect):
    """A process that leads, and an instance of this process that competes with it."""
    url = fresh_databases.url(dialect)
    database = Database(url)
    [state] = instances(1, database=database)
    command = [sys.executable, "-c", _LEADER, redis_server.url, state._namespace, url]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert line_of(process) == "leading\n"
        yield process, state
    finally:
        end_process(process)
        database.close()


def test_a_leader_that_is_killed_is_replaced(other_process):
    """Nothing would be cleaned up any more until somebody notices."""
    process, state = other_process
    with state.leader("job", ttl=1.5) as leader:
        assert not leader.wait(0.2)
        process.kill()
        assert leader.wait(HANG_SECONDS)
        assert leader.token == 2
        state._transact(leader.guard)


def test_a_leader_that_was_frozen_steps_down_by_its_own_clock(other_process):
    """A machine that was paused would go on with a job that another one has begun."""
    process, state = other_process
    process.send_signal(signal.SIGSTOP)
    with state.leader("job", ttl=1.5) as leader:
        assert leader.wait(HANG_SECONDS)
        state._transact(leader.guard)
        process.send_signal(signal.SIGCONT)
        process.stdin.write("go\n")
        process.stdin.flush()
        said, _ = output_of(process)
    assert json.loads(said) == [False, "Fenced"]
    token = state._transact(lambda session: session.get(FencingToken, "job").token)
    assert token == 2

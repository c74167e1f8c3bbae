"""Locks: one holder at a time, and an expired holder's write is refused by the database."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading

import pytest
import sqlalchemy as sa
from concurrent_work import Job, forked, line_of, together
from support import end_process, output_of

from aragora_db import Database
from aragora_db.errors import Fenced, InvalidValue, LockLost, LockNotAcquired, RedisUnavailable
from aragora_db.models import EloRating, FencingToken

pytestmark = pytest.mark.slow

BOTH = pytest.mark.parametrize("configured", [True, False], ids=["redis", "alone"])


@pytest.fixture
def pair(instances, make):
    """Two instances; without Redis one, which stands for two threads."""

    def pair(configured, **more):
        if configured:
            return instances(2, **more)
        state = make(**more)
        return [state, state]

    return pair


@BOTH
def test_one_holder_at_a_time(pair, configured):
    """Two instances would consolidate the same memories at the same moment."""
    inside, most, done = [], [], []

    def working(state):
        def work():
            for _ in range(5):
                with state.lock("job", wait=60):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
                    done.append(1)

        return work

    together(*map(working, pair(configured) * 2))
    assert (max(most), len(done)) == (1, 20)


@BOTH
def test_who_waits_too_long_is_told_which_lock(pair, configured):
    """A job that hangs would hang all others, and nobody would know on what."""
    one, two = pair(configured)
    with one.lock("job"):
        with pytest.raises(LockNotAcquired, match="'job'"), two.lock("job", wait=0.1):
            pytest.fail("it was entered")
        with two.lock("another", wait=0):
            pass
    with two.lock("job", wait=0):
        pass


@BOTH
def test_tokens_grow(pair, configured):
    """The database could not tell an old holder from a new one."""
    tokens = []
    for state in pair(configured) * 2:
        with state.lock("job") as held:
            tokens.append(held.token)
    assert tokens == [1, 2, 3, 4]


@BOTH
def test_an_expired_holder_is_passed_over_and_finds_out(pair, configured):
    """A holder that was paused would work on beside the next one and believe all is well."""
    one, two = pair(configured)
    with pytest.raises(Fenced), one.lock("job", ttl=0.2) as held:  # noqa: PT012 -- the block is what is tested
        with two.lock("job") as newer:
            assert newer.token == held.token + 1
            assert held.lost
            with pytest.raises(LockLost, match="'job'"):
                held.extend()
            assert not newer.lost
        one._transact(held.guard)


@BOTH
def test_extending_keeps_it(pair, configured):
    """A long job could not keep its lock between steps."""
    one, two = pair(configured)
    with one.lock("job", ttl=60) as held:
        ends = held._ends
        held.extend()
        assert held._ends > ends
        with pytest.raises(LockNotAcquired), two.lock("job", wait=0):
            pass
        one._transact(held.guard)


@BOTH
def test_work_that_lost_its_lock_is_told_at_the_end(pair, configured, eventually):
    """The block would end as if nobody else had been in it."""
    [state, _] = pair(configured)
    with pytest.raises(LockLost), state.lock("job", ttl=0.1) as held:
        eventually(lambda: held.lost, "the lock has expired")
    with state.lock("job", ttl=0.1) as held:
        state._transact(held.guard)  # the database was asked, and that is what counts
        eventually(lambda: held.lost, "the lock has expired")
    with pytest.raises(LookupError), state.lock("job", ttl=0.1) as held:  # noqa: PT012 -- the block is what is tested
        eventually(lambda: held.lost, "the lock has expired")
        raise LookupError


@BOTH
def test_arguments_out_of_range(pair, configured):
    """0 would mean for ever in one place and never in another."""
    [state, _] = pair(configured)
    for arguments in ({"ttl": 0}, {"ttl": 1e9}, {"wait": -1}, {"ttl": float("nan")}):
        with pytest.raises(InvalidValue), state.lock("job", **arguments):
            pass
    for name in ("", "a\x00b", "x" * 1025, "\ud800"):
        with pytest.raises(InvalidValue, match="name"):
            state.lock(name)
        with pytest.raises(InvalidValue, match="name"):
            state.leader(name)


def test_a_lock_that_redis_lost(instances, redis_server):
    """After a failover, or an eviction, two would hold it: the database lets only the newer one write."""
    import redis  # noqa: PLC0415 -- next to its use

    one, two = instances(2)
    client = redis.Redis.from_url(redis_server.url)
    with pytest.raises(LockLost), one.lock("job") as held:  # noqa: PT012 -- the block is what is tested
        client.delete(f"{one._namespace}:lock:job")
        with two.lock("job", wait=0) as newer:
            two._transact(newer.guard)
            with pytest.raises(Fenced):
                one._transact(held.guard)
            with pytest.raises(LockLost):
                held.extend()
    client.close()


@pytest.mark.parametrize("name", ["a{b}c", "é🙂", "two words\n", "'\"", "%s", "x" * 1024])
@BOTH
def test_odd_names(pair, configured, name):
    """A lock named after a debate's title could not be taken, or never be given back."""
    for state in pair(configured):
        with state.lock(name, wait=0) as held:
            state._transact(held.guard)


def test_a_forked_child_does_not_give_it_back(instances):
    """A worker process that ends inside the block would let others in while its parent works on."""
    one, two = instances(2)
    block = one.lock("job", ttl=60)
    with block:
        assert forked(lambda: block.__exit__(None, None, None) or True)
        with pytest.raises(LockNotAcquired), two.lock("job", wait=0):
            pass
    with two.lock("job", wait=0):
        pass


def test_our_own_attempt_does_not_keep_us_out(instances):
    """An answer that was lost on the way would lock us out until the time is over."""
    [state] = instances(1)
    lease = state._lease("lock", "job", 60)
    assert lease.acquire()
    assert lease.acquire()
    assert not state._lease("lock", "job", 60).acquire()
    assert lease.release()
    assert not lease.release()


@BOTH
def test_a_token_that_is_not_given_leaves_the_lock_free(pair, configured):
    """A database that was away for a moment would leave a lock that nobody holds."""
    [state, _] = pair(configured)
    transact, state._transact = state._transact, _refuse
    with pytest.raises(LookupError), state.lock("job"):
        pytest.fail("it was entered")
    state._transact = transact
    with state.lock("job", wait=0):
        pass


def _refuse(_):
    raise LookupError


def test_redis_away_is_an_error_and_not_a_local_lock(make, servers):
    """Each instance would lock itself, and all would write."""
    server = servers.start()
    state = make(server.url)
    with pytest.raises(RedisUnavailable), state.lock("job") as held:  # noqa: PT012 -- the block is what is tested
        server.stop()
        held.extend()
    for _ in range(5):
        with pytest.raises(RedisUnavailable), state.lock("job"):
            pytest.fail("it was entered")


def test_guard_lets_no_newer_holder_in_until_the_commit(fresh_databases, dialect, instances, eventually):
    """A new holder could read what the old one is just about to change."""
    database = Database(fresh_databases.url(dialect))
    one, two = instances(2, database=database)
    came = threading.Event()

    def newer():
        with two.lock("job", wait=60) as held:
            came.set()
            return held.token, database.transact(lambda session: session.get(EloRating, "ada") is not None)

    with one.lock("job", ttl=0.2) as held:

        def write(session):
            held.guard(session)
            session.add(EloRating(agent_name="ada"))
            session.flush()
            later = Job(newer)
            eventually(lambda: held.lost, "the lock has expired")
            assert not came.wait(0.5)  # it has the lock in Redis by now, and waits for our commit
            return later

        later = database.transact(write)
        assert later.result() == (2, True)
    database.close()


_HOLDER = """
import json, sys
from aragora_db import Database, Settings
from aragora_db.errors import Fenced
from aragora_db.models import EloRating
from aragora_db.shared import SharedState
redis_url, namespace, database_url = sys.argv[1:]
database = Database(database_url)
state = SharedState(Settings.explicit(redis_namespace=namespace), lambda: redis_url, database.transact)
with state.lock("job", ttl=0.5) as held:
    print("held", flush=True)
    sys.stdin.readline()
    def write(session):
        session.merge(EloRating(agent_name="ada", elo=1.0))
        session.flush()
        held.guard(session)
    try:
        database.transact(write)
        said = "written"
    except Fenced as refused:
        said = f"refused {refused.exit_code}"
    print(json.dumps([said, held.lost]), flush=True)
"""


def test_a_frozen_holders_write_is_refused_by_the_database(fresh_databases, dialect, instances, redis_server):
    """A process that the machine paused would wake up and write over what its successor did."""
    url = fresh_databases.url(dialect)
    database = Database(url)
    [state] = instances(1, database=database)
    command = [sys.executable, "-c", _HOLDER, redis_server.url, state._namespace, url]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert line_of(process) == "held\n"
        process.send_signal(signal.SIGSTOP)
        with state.lock("job", wait=60) as held:

            def write(session):
                held.guard(session)
                session.merge(EloRating(agent_name="ada", elo=2.0))

            database.transact(write)
        process.send_signal(signal.SIGCONT)
        process.stdin.write("go\n")
        process.stdin.flush()
        said, _ = output_of(process)
    finally:
        end_process(process)
    assert json.loads(said) == ["refused 4", True]
    stored = database.transact(lambda session: session.get(EloRating, "ada").elo)
    holders = database.transact(lambda session: session.execute(sa.select(FencingToken.token)).all())
    assert (stored, holders) == (2.0, [(2,)])
    database.close()

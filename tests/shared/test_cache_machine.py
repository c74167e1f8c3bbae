"""Writers, slow readers, lost invalidations, vanished keys and cut connections in any order: no answer is too old."""

from __future__ import annotations

import secrets
import threading
from queue import Queue

import pytest
from concurrent_work import Job
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from support import HANG_SECONDS

pytestmark = pytest.mark.slow

COUNT = 3
TOPIC, KEY = "leaderboard", "ada"

INSTANCES = st.integers(0, COUNT - 1)


class Reader:
    """A reader in a thread, that stops before and after it reads the database until it is told to go on."""

    def __init__(self, cache, world):
        self._cache = cache
        self._world = world
        self._arrived = Queue()
        self._go = threading.Semaphore(0)
        self.job = Job(self._run)

    def _run(self):
        self._arrived.put(("done", self._cache.get_or_load(TOPIC, KEY, self._load, ttl=self._world.ttl)))

    def _load(self):
        self._stop()
        value = self._world.read()
        self._stop()
        return value

    def _stop(self):
        self._arrived.put(("stopped", None))
        assert self._go.acquire(timeout=HANG_SECONDS)

    def arrives(self):
        """Wait until it stops or is done; its value if it is done."""
        where, value = self._arrived.get(timeout=HANG_SECONDS)
        return value if where == "done" else None

    def step(self):
        """Let it go on to where it stops next."""
        self._go.release()
        return self.arrives()


class CacheMachine(RuleBasedStateMachine):
    """Several instances over one Redis and one row, a number that only grows.

    What is known about each read: it returns no less than what its instance, or anybody whom Redis heard, had made
    known when it began; and nothing that was overwritten more than the time to live before it began.

    Rules draw nothing that depends on what happened: whether a value has run out is decided by a real clock.
    """

    def __init__(self, world):
        super().__init__()
        self.world = world

    @initialize()
    def begin(self):
        """Fresh instances, each with a Redis user of its own so that it can be cut off."""
        self.world.admin.flushall()
        namespace = f"machine-{secrets.token_hex(4)}"
        self.cut = [False] * COUNT
        self.clock = 0.0
        self.states = []
        for number in range(COUNT):
            self.world.admin.execute_command(
                "ACL", "SETUSER", f"user{number}", "reset", "on", ">pw", f"~{namespace}:*", "+@all"
            )
            state = self.world.make(f"redis://user{number}:pw@127.0.0.1:{self.world.port}/0", namespace)
            state._gateway.breaker._clock = lambda: self.clock
            state.cache._wait = 0
            self.states.append(state)
        self.namespace = namespace
        self.value = 0
        self.overwritten = {}
        self.known = 0
        self.own = [0] * COUNT
        self.readers = {}
        self.unsaid = [False] * COUNT
        self.world.write(0)

    def now(self):
        """Redis's clock, in milliseconds."""
        seconds, microseconds = self.world.admin.time()
        return seconds * 1000 + microseconds / 1000

    def commit(self):
        """Write the next value."""
        self.value += 1
        self.world.write(self.value)
        self.overwritten[self.value - 1] = self.now()

    def invalidate(self, number):
        """What an instance does after a commit."""
        value = self.value
        told = self.states[number].cache.invalidate(TOPIC)
        assert not (told and self.cut[number])
        self.own[number] = value
        self.listen()

    def listen(self):
        """What Redis has been told by now is known to all."""
        for number, state in enumerate(self.states):
            if state.cache._pending.pending(TOPIC) is None:
                self.known = max(self.known, self.own[number])

    @rule(number=INSTANCES)
    def write(self, number):
        """A commit, and what follows it."""
        self.commit()
        self.invalidate(number)

    @rule(number=INSTANCES)
    def commit_only(self, number):
        """A commit; its process is slow to say so, or dies before."""
        self.commit()
        self.unsaid[number] = True

    @rule(number=INSTANCES)
    def say(self, number):
        """What follows a commit, later."""
        if self.unsaid[number]:
            self.unsaid[number] = False
            self.invalidate(number)

    @rule(number=INSTANCES)
    def read(self, number):
        """A read, or the beginning of one that has to load."""
        if number in self.readers:
            return
        at_least, began = max(self.known, self.own[number]), self.now()
        self.world.reads += 1
        reader = Reader(self.states[number].cache, self.world)
        value = reader.arrives()
        self.listen()
        if value is None:
            self.readers[number] = reader, at_least, began
        else:
            self.world.hits += 1
            self.judge(value, at_least, began)

    @rule(number=INSTANCES, times=st.integers(1, 3))
    def read_at_once(self, number, times):
        """Reads that nothing comes in between of."""
        for _ in range(times):
            self.read(number)
            while number in self.readers:
                self.step(number)

    @rule(number=INSTANCES)
    def go_on(self, number):
        """A reader reads the database, or stores what it read."""
        if number in self.readers:
            self.step(number)

    def step(self, number):
        """Let a reader go on, and judge what it returns."""
        reader, at_least, began = self.readers[number]
        value = reader.step()
        if value is not None:
            del self.readers[number]
            self.judge(value, at_least, began)

    def judge(self, value, at_least, began):
        """Whether a read may have returned this."""
        assert value >= at_least, f"{value} was returned after {at_least} had been made known"
        if value in self.overwritten:
            assert self.overwritten[value] >= began - self.world.ttl * 1000 - 2, "older than the time to live"

    @rule(number=INSTANCES)
    def write_cut_off(self, number):
        """A commit while its instance cannot reach Redis, for a moment."""
        self.cut_off(number)
        self.write(number)
        self.mend(number)

    @rule(number=INSTANCES)
    def overtaken(self, number):
        """A commit that nobody hears of and the time to live, while a reader is between reading and storing."""
        self.read(number)
        if number in self.readers:
            self.step(number)
        self.commit()
        self.wait()
        if number in self.readers:
            self.step(number)
        self.read((number + 1) % COUNT)

    def wait(self):
        """Let the time to live pass, by Redis's clock, where it is short."""
        until = self.now() + self.world.ttl * 1000
        while self.world.ttl < 1 and self.now() < until:
            pass

    def cut_off(self, number):
        """Redis knows the instance no more."""
        self.cut[number] = True
        self.world.admin.execute_command("ACL", "SETUSER", f"user{number}", "off")
        self.world.admin.execute_command("CLIENT", "KILL", "USER", f"user{number}")

    def mend(self, number):
        """Redis knows it again, and its breaker lets it try."""
        self.cut[number] = False
        self.clock += 60
        self.world.admin.execute_command("ACL", "SETUSER", f"user{number}", "on")

    @rule(what=st.sampled_from(["evict", "flush", "cut", "mend", "wait"]), number=INSTANCES, place=st.integers(0, 10))
    def mishap(self, what, number, place):
        """Something happens to Redis, or to an instance's way to it."""
        if what == "evict":
            keys = sorted(self.world.admin.keys(f"{self.namespace}:*"))
            self.world.admin.delete(keys[place % len(keys)], "none") if keys else None
        elif what == "flush":
            self.world.admin.flushall()
        elif what == "cut":
            self.cut_off(number)
        elif what == "mend":
            self.mend(number)
        else:
            self.wait()

    def teardown(self):
        """Let the readers end."""
        for reader, _, _ in getattr(self, "readers", {}).values():
            while reader.step() is None:
                pass
            reader.job.result()
        for state in getattr(self, "states", []):
            state.close()


class World:
    """What the machine acts on: one Redis, and one row. The cache never sees the database: a number stands for it."""

    def __init__(self, server, make, ttl):
        self._make = make
        self.ttl = ttl
        self.admin = server.client()
        self.port = server.port
        self.hits = self.reads = self.row = 0

    def make(self, url, namespace):
        """An instance."""
        return self._make(url, redis_namespace=namespace)

    def write(self, value):
        """Commit a value."""
        self.row = value

    def read(self):
        """The value in the database."""
        return self.row


LONG = (pytest.mark.faults, pytest.mark.timeout(900))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ttl", "examples"),
    [
        pytest.param(3600.0, 40, id="versions"),
        pytest.param(0.1, 10, id="age"),
        pytest.param(3600.0, 500, id="versions-long", marks=LONG),
        pytest.param(0.1, 60, id="age-long", marks=LONG),
    ],
)
def test_no_answer_is_too_old(servers, make, ttl, examples):
    """A leaderboard would miss a match that was recorded: at once, or for longer than the time to live."""
    world = World(servers.start(), make, ttl)
    run_state_machine_as_test(
        lambda: CacheMachine(world),
        settings=settings(
            max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    assert 0 < world.hits < world.reads  # else nothing was shown
    world.admin.close()

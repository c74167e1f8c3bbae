"""The cache: a hit is what a miss was, one round trip, and nothing that Redis does reaches the caller."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import threading
import time

import pytest
from concurrent_work import Job, line_of, together
from support import HANG_SECONDS, end_process, output_of

from aragora_db.errors import InvalidValue, RedisUnavailable
from aragora_db.shared import cache as cache_module
from aragora_db.shared.cache import PendingInvalidations
from aragora_db.shared.versioned_cache import CacheKeys

TOPIC = "leaderboard"
VALUES = [None, True, 0, -1, 1.5, 1e300, 10**16, "", "ü🙂", [], {}, [[None, {"a": [1, 2.5]}]], {"": 0, "ключ": []}]


def never():
    """A load that must not happen."""
    pytest.fail("it was loaded")


@pytest.mark.parametrize("value", [*VALUES, (1, (2, 3))], ids=repr)
def test_a_hit_is_what_the_miss_was(instances, make, value):
    """A caller that works with the first answer would fail with the second, or only where there is no Redis."""
    one, two = instances(2)
    loaded = one.cache.get_or_load(TOPIC, "key", lambda: value)
    assert two.cache.get_or_load(TOPIC, "key", never) == loaded
    assert make().cache.get_or_load(TOPIC, "key", lambda: value) == loaded
    assert type(loaded) is (list if isinstance(value, tuple) else type(value))


def test_each_caller_has_its_own(instances):
    """One caller that changes its answer would change everybody's."""
    [one] = instances(1)
    value = {"names": ["ada"]}
    first = one.cache.get_or_load(TOPIC, "key", lambda: value)
    first["names"].append("bob")
    assert value == {"names": ["ada"]}
    assert one.cache.get_or_load(TOPIC, "key", never) == {"names": ["ada"]}


def test_a_hit_is_one_round_trip(make, servers):
    """A cached leaderboard would cost as much as an uncached one."""
    server = servers.start()
    state = make(server.url)
    state.cache.get_or_load(TOPIC, "key", lambda: 1)
    with server.client() as client:
        client.config_resetstat()
        for _ in range(100):
            state.cache.get_or_load(TOPIC, "key", never)
        calls = {name: each["calls"] for name, each in client.info("commandstats").items()}
    assert calls.pop("cmdstat_mget") == 100
    assert set(calls) <= {"cmdstat_config|resetstat", "cmdstat_config", "cmdstat_info", "cmdstat_client|setinfo"}


def test_keys_of_a_topic_share_a_slot_and_the_namespace():
    """On a Cluster one command over two nodes is refused; an ACL that allows our namespace would not fit."""
    from redis.crc import key_slot  # noqa: PLC0415 -- next to its use

    all_keys = [CacheKeys.of("ns", TOPIC, key) for key in ("a", "b{x}", "")]
    names = [name for keys in all_keys for name in (keys.version, keys.value, keys.fill)]
    assert len({key_slot(name.encode()) for name in names}) == 1
    assert all(name.startswith("ns:") for name in names)
    assert len({keys.value for keys in all_keys}) == 3


def test_invalidate_reaches_every_instance_and_one_topic_only(instances):
    """The other instance would go on showing yesterday's leaderboard."""
    one, two = instances(2)
    for state in (one, two):
        assert state.cache.get_or_load(TOPIC, "key", lambda: "old") == "old"
        assert state.cache.get_or_load("personas", "key", lambda: "kept") == "kept"
    assert one.cache.invalidate(TOPIC)
    assert two.cache.get_or_load(TOPIC, "key", lambda: "new") == "new"
    assert one.cache.get_or_load(TOPIC, "key", never) == "new"
    assert one.cache.get_or_load("personas", "key", never) == "kept"


def test_a_late_write_of_an_old_value_does_not_win(instances):
    """A reader that was slow would put the old leaderboard back for five minutes."""
    one, two = instances(2)

    def slow():
        two.cache.invalidate(TOPIC)  # somebody commits while we compute
        return "old"

    assert one.cache.get_or_load(TOPIC, "key", slow) == "old"
    assert one.cache.get_or_load(TOPIC, "key", lambda: "new") == "new"


def test_who_comes_after_an_invalidation_does_not_join_who_began_before(instances):
    """Somebody records a match, asks for the leaderboard at once, and does not find the match."""
    [one] = instances(1)
    one.cache._single_flight._seconds = 10 * HANG_SECONDS  # one that joined would outlast the test
    began, go_on = threading.Event(), threading.Event()

    def slow():
        began.set()
        assert go_on.wait(HANG_SECONDS)
        return "old"

    early = Job(lambda: one.cache.get_or_load(TOPIC, "key", slow))
    assert began.wait(HANG_SECONDS)
    one.cache.invalidate(TOPIC)
    late = Job(lambda: one.cache.get_or_load(TOPIC, "key", lambda: "new"))
    assert late.result() == "new"
    go_on.set()
    assert early.result() == "old"
    assert one.cache.get_or_load(TOPIC, "key", never) == "new"


def test_an_invalidation_during_another_ones_sending_is_sent_too():
    """Two commits together: the first one's answer from Redis would count for the second one, which Redis never saw."""
    pending = PendingInvalidations()
    pending.add(TOPIC)
    first = pending.pending(TOPIC)
    pending.add(TOPIC)
    pending.sent(TOPIC, first)
    second = pending.pending(TOPIC)
    assert second not in {None, first}
    pending.sent(TOPIC, second)
    assert pending.pending(TOPIC) is None


def test_age_counts_from_before_the_load(instances, redis_server):
    """A load that takes a minute would make answers a minute older than anybody allowed."""
    import redis  # noqa: PLC0415 -- next to its use

    [one] = instances(1)
    client = redis.Redis.from_url(redis_server.url)
    began = []

    def slow():
        began.append(_milliseconds(client))
        while _milliseconds(client) < began[0] + 50:
            pass
        return "value"

    before = _milliseconds(client)
    one.cache.get_or_load(TOPIC, "key", slow, ttl=60)
    keys = one.cache._values.keys(TOPIC, "key")
    with client.pipeline() as both:  # in one transaction: no pause of this process comes in between
        left, (seconds, microseconds) = both.pttl(keys.value).time().execute()
    now = seconds * 1000 + microseconds // 1000
    assert before + 60_000 <= now + left + 1
    assert now + left <= began[0] + 60_001
    client.close()


def _milliseconds(client):
    seconds, microseconds = client.time()
    return seconds * 1000 + microseconds // 1000


def test_values_run_out(instances, eventually):
    """An invalidation that was lost would never heal."""
    [one] = instances(1)
    assert one.cache.get_or_load(TOPIC, "key", lambda: "old", ttl=0.1) == "old"
    eventually(
        lambda: one.cache.get_or_load(TOPIC, "key", lambda: "new", ttl=0.1) == "new", "the old value has expired"
    )


@pytest.mark.parametrize("configured", [True, False])
def test_what_load_raises_passes(instances, make, configured):
    """A caller could not tell that the database is away."""
    state = instances(1)[0] if configured else make()
    for error in (LookupError, RedisUnavailable):
        calls = []

        def load(error=error, calls=calls):
            calls.append(1)
            raise error("mine")

        with pytest.raises(error, match="mine"):
            state.cache.get_or_load(TOPIC, "key", load)
        assert calls == [1]
    assert state.cache.get_or_load(TOPIC, "key", lambda: "value") == "value"


@pytest.mark.parametrize("configured", [True, False])
@pytest.mark.parametrize("value", [b"bytes", float("nan"), {1: 2}, "\x00", 2**64], ids=repr)
def test_what_is_no_json_is_refused(instances, make, configured, value):
    """It would work on a laptop and fail in production, or come back changed."""
    state = instances(1)[0] if configured else make()
    with pytest.raises(InvalidValue, match=TOPIC):
        state.cache.get_or_load(TOPIC, "key", lambda: value)


@pytest.mark.parametrize("ttl", [0, -1, 0.05, 86_401, float("nan"), float("inf")])
def test_times_to_live_that_are_none(instances, ttl):
    """0 would mean for ever in one place and never in another."""
    with pytest.raises(InvalidValue, match="ttl"):
        instances(1)[0].cache.get_or_load(TOPIC, "key", lambda: 1, ttl=ttl)


@pytest.mark.parametrize("topic", ["", "Upper", "a b", "a{b}", "a:b", "x" * 65])
def test_topics_that_are_none(instances, topic):
    """Braces would send a topic's keys to two nodes of a Cluster."""
    cache = instances(1)[0].cache
    for call in (lambda: cache.get_or_load(topic, "key", never), lambda: cache.invalidate(topic)):
        with pytest.raises(InvalidValue, match="topic"):
            call()


def test_foreign_keys_in_our_place_do_no_harm(instances, redis_server):
    """Somebody's experiment with redis-cli would break every leaderboard."""
    import redis  # noqa: PLC0415 -- next to its use

    [one] = instances(1)
    client = redis.Redis.from_url(redis_server.url)
    keys = one.cache._values.keys(TOPIC, "key")
    client.set(keys.version, "x")
    client.set(keys.value, "x")
    assert one.cache.get_or_load(TOPIC, "key", lambda: 1) == 1
    client.delete(keys.version, keys.value)
    client.rpush(keys.version, "a list")
    assert one.cache.get_or_load(TOPIC, "key", lambda: 2) == 2
    assert one.cache.invalidate(TOPIC)
    assert one.cache.get_or_load(TOPIC, "key", lambda: 3) == 3
    assert one.cache.get_or_load(TOPIC, "key", never) == 3
    client.close()


def test_a_load_that_asks_the_cache(instances):
    """A leaderboard made of cached personas, or of itself by mistake, would wait for itself."""
    [one] = instances(1)

    def outer():
        return [one.cache.get_or_load("personas", "a", lambda: 1), one.cache.get_or_load(TOPIC, "key", lambda: 2)]

    one.cache._wait = 0
    assert one.cache.get_or_load(TOPIC, "key", outer) == [1, 2]


def test_threads_that_ask_together_load_once(instances):
    """The moment a leaderboard is invalidated, every request of the second would compute it."""
    [one] = instances(1)
    loads = []

    def load():
        loads.append(1)
        time.sleep(0.05)  # as long as a leaderboard takes; the others come meanwhile
        return "value"

    values = together(*[lambda: one.cache.get_or_load(TOPIC, "key", load)] * 32)
    assert set(values) == {"value"}
    assert len(loads) <= 3


_ASK = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
from aragora_db import Settings
from aragora_db.shared import SharedState, cache
cache._WAIT_SECONDS = 30.0  # however busy the machine is, nobody gives up waiting for the other process
url, namespace = sys.argv[1:]
state = SharedState(Settings.explicit(redis_namespace=namespace), lambda: url, None)
loads = []
def load():
    loads.append(1)
    time.sleep(0.7)
    return "value"
def ask(_):
    return state.cache.get_or_load("leaderboard", "key", load)
state.health()
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(8) as pool:
    values = set(pool.map(ask, range(8)))
print(json.dumps([len(loads), sorted(values)]))
"""


@pytest.fixture
def asking(redis_server):
    """Starts processes that ask the cache for one key in eight threads, when they are told to go."""
    processes = []

    def start(count):
        command = [sys.executable, "-c", _ASK, redis_server.url, f"test-{secrets.token_hex(6)}"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        processes.extend(subprocess.Popen(command, **pipes) for _ in range(count))
        return processes

    yield start
    for process in processes:
        end_process(process)


def test_processes_that_ask_together_load_once(asking):
    """Every instance would send the same query to the database at the same moment."""
    processes = asking(2)
    for process in processes:
        assert line_of(process) == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [json.loads(output_of(process)[0]) for process in processes]
    assert all(values == ["value"] for _, values in answers)
    assert sum(loads for loads, _ in answers) == 1  # 16 asked


def test_who_was_to_load_and_died_holds_nobody_up_for_long(instances):
    """A process that is killed while it computes would keep everybody waiting."""
    one, two = instances(2)
    keys = one.cache._values.keys(TOPIC, "key")
    assert one.cache._values.begin_fill(keys, 60_000).granted
    two.cache._wait = 0.2
    assert two.cache.get_or_load(TOPIC, "key", lambda: "value") == "value"
    assert one.cache.get_or_load(TOPIC, "key", never) == "value"


def test_a_load_that_fails_lets_the_next_one_try(instances):
    """A statement that timed out once would make others wait for nobody."""
    one, two = instances(2)

    def fails():
        raise LookupError

    with pytest.raises(LookupError):
        one.cache.get_or_load(TOPIC, "key", fails)
    keys = two.cache._values.keys(TOPIC, "key")
    assert two.cache._values.begin_fill(keys, 1).granted


def test_without_redis_it_loads_every_time(make):
    """A laptop would show old answers that nothing invalidates."""
    state, values = make(), iter(range(3))
    assert [state.cache.get_or_load(TOPIC, "key", lambda: next(values)) for _ in range(3)] == [0, 1, 2]
    assert state.cache.invalidate(TOPIC)


def test_defaults_are_those_of_the_settings():
    """Two limits for one thing would disagree one day."""
    from aragora_db import Settings  # noqa: PLC0415 -- next to its use

    least, most = (
        each for each in Settings.model_fields["cache_ttl"].metadata if hasattr(each, "ge") or hasattr(each, "le")
    )
    assert (least.ge, most.le) == (cache_module.MIN_TTL, cache_module.MAX_TTL)

"""Redis killed, frozen, missing at start, back again, full, or forgetting: answers stay right and nobody waits long."""

from __future__ import annotations

import logging
from contextlib import suppress

import pytest
import redis
from concurrent_work import forked, together

from aragora_db.errors import ConfigurationError, RedisUnavailable

pytestmark = pytest.mark.slow

TOPIC = "leaderboard"


@pytest.fixture
def heals(eventually):
    """Asks for the health until Redis is found again."""
    return lambda state: eventually(lambda: state.health()["connected"], "Redis is found again")


def cached(state, value="again"):
    """Whether an answer is kept: the second time nothing is loaded."""
    state.cache.get_or_load(TOPIC, "probe", lambda: value)
    return state.cache.get_or_load(TOPIC, "probe", lambda: None) == value


def test_killed_and_restarted(make, servers, heals):
    """After a restart of Redis a process would do without it until it is restarted too, as Aragora's did."""
    server = servers.start()
    state = make(server.url)
    assert cached(state)
    assert state.health() == {
        "configured": True,
        "connected": True,
        "latency_ms": pytest.approx(0, abs=10_000),
        "breaker": "closed",
        "error": None,
    }
    server.stop()
    values = iter(range(100))
    assert [state.cache.get_or_load(TOPIC, "key", lambda: next(values)) for _ in range(10)] == list(range(10))
    health = state.health()
    assert (health["connected"], health["latency_ms"], health["error"]) == (False, None, "ConnectionRefusedError")
    assert health["breaker"] in {"open", "half_open"}
    server.start()
    heals(state)
    assert cached(state)
    assert state.health()["breaker"] == "closed"


def test_down_at_start(make, servers, eventually):
    """A Redis that starts a second later would never be used."""
    server = servers.new()
    state = make(server.url)
    assert state.configured
    assert state.cache.get_or_load(TOPIC, "key", lambda: 1) == 1
    server.start()
    eventually(lambda: cached(state), "Redis is used")  # by reads alone, nobody asks for the health


def test_frozen_costs_three_timeouts_and_then_nothing(make, servers, heals):
    """A Redis that hangs would hold every request for as long as it hangs."""
    server = servers.start()
    state = make(server.url)
    assert cached(state)
    breaker, connector, asked = state._gateway.breaker, state._gateway._connect(), []
    clock, run = breaker._clock, connector.run
    breaker._clock = lambda: 0.0  # no time for a probe passes
    connector.run = lambda work: asked.append(1) or run(work)
    server.freeze()
    for value in range(200):
        assert state.cache.get_or_load(TOPIC, "key", lambda value=value: value) == value
    assert len(asked) == 3
    assert state.health()["breaker"] == "open"
    breaker._clock = clock
    server.thaw()
    heals(state)
    assert cached(state)


def test_frozen_while_many_wait(make, servers, heals):
    """Twenty threads would each find out for themselves, one after the other."""
    server = servers.start()
    state = make(server.url)
    assert cached(state)
    server.freeze()

    def asking(number):
        return lambda: [state.cache.get_or_load(TOPIC, f"key{number}", lambda: number) for _ in range(20)]

    assert together(*map(asking, range(20))) == [[number] * 20 for number in range(20)]
    server.thaw()
    heals(state)


def test_an_invalidation_that_could_not_be_sent(make, servers, heals):
    """Redis comes back and with it the leaderboard from before the match that was recorded meanwhile."""
    server = servers.start()
    one, two = make(server.url), make(server.url)
    for state in (one, two):
        assert state.cache.get_or_load(TOPIC, "key", lambda: "old") == "old"
    server.freeze()
    assert not one.cache.invalidate(TOPIC)
    assert one.cache.get_or_load(TOPIC, "key", lambda: "new") == "new"
    server.thaw()  # with everything that it had
    heals(one)
    assert one.cache.get_or_load(TOPIC, "key", lambda: "new") == "new"
    heals(two)
    assert two.cache.get_or_load(TOPIC, "key", lambda: "new") == "new"


def test_evicted_all_the_time(make, servers):
    """allkeys-lru, as the guide sets it: what is gone is loaded, and never is one answer taken for another."""
    server = servers.start("--maxmemory", "2mb", "--maxmemory-policy", "allkeys-lru")
    one, two = make(server.url), make(server.url)
    client = server.client()
    for number in range(250):
        for state in (one, two):
            value = {"number": number % 150, "text": "x" * 20_000}
            assert (
                state.cache.get_or_load(f"topic{number % 5}", f"key{number % 150}", lambda value=value: value) == value
            )
        if number % 50 == 0:
            one.cache.invalidate("topic0")
    assert client.info("stats")["evicted_keys"] > 50
    client.close()


def test_full_without_eviction(make, servers):
    """With noeviction Redis refuses to store: the answer is there all the same."""
    server = servers.start("--maxmemory", "2mb", "--maxmemory-policy", "noeviction")
    state = make(server.url)
    client = server.client()
    with suppress(redis.exceptions.OutOfMemoryError):
        for number in range(100):
            client.set(f"foreign{number}", "x" * 100_000)
    assert client.dbsize() < 100
    for value in range(10):
        assert state.cache.get_or_load(TOPIC, "key", lambda value=value: value) == value
    assert state.health()["connected"]
    with pytest.raises(RedisUnavailable), state.lock("job"):
        pass
    client.flushall()
    assert cached(state)
    client.close()


def test_a_replica_that_takes_no_writes(make, servers, eventually, heals):
    """After a failover behind one address the old connections lead to a replica, which refuses for ever."""
    server = servers.start()
    state = make(server.url)
    assert cached(state)
    client = server.client()
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    values = iter(range(100))
    for _ in range(5):
        assert state.cache.invalidate(TOPIC) is False
        state.cache.get_or_load(TOPIC, "key", lambda: next(values))
    client.execute_command("REPLICAOF", "NO", "ONE")
    heals(state)
    eventually(lambda: cached(state), "it is used again")
    client.close()


def test_more_threads_than_connections(make, servers):
    """A pool that is used up is no outage: who gets no connection loads, and Redis stays in use."""
    server = servers.start()
    state = make(server.url, redis_max_connections=2)

    def asking(number):
        return lambda: [
            state.cache.get_or_load(TOPIC, f"key{number}-{each}", lambda each=each: each) for each in range(20)
        ]

    assert together(*map(asking, range(20))) == [list(range(20))] * 20
    assert state.health()["breaker"] == "closed"
    assert cached(state)


def test_committed_never_raises(make, servers, caplog):
    """A commit that has happened would be reported as failed."""
    server = servers.start()
    state = make(server.url)
    assert state.cache.get_or_load("personas", "key", lambda: 1) == 1
    state.committed(frozenset({"debates"}))
    assert state.cache.get_or_load("personas", "key", lambda: 2) == 1
    state.committed(frozenset({"debates", "personas"}))
    assert state.cache.get_or_load("personas", "key", lambda: 3) == 3
    server.stop()
    state.committed(frozenset({"personas"}))
    with caplog.at_level(logging.WARNING):
        make("redis://a/b").committed(frozenset({"personas"}))
    assert "ConfigurationError" in caplog.text


def test_health_never_raises_and_names_nothing(make):
    """A health check is asked by strangers."""
    for url in ("redis://:hunter2@127.0.0.1:1/x", "redis://:hunter2@127.0.0.1:1/0"):
        health = make(url).health()
        assert health["configured"]
        assert not health["connected"]
        assert not {"hunter2", "127.0.0.1"} & set(str(health).replace("'", " ").split())
    assert make("redis://:hunter2@127.0.0.1:1/x").health()["error"] == "ConfigurationError"
    assert make().health() == {
        "configured": False,
        "connected": False,
        "latency_ms": None,
        "breaker": "closed",
        "error": None,
    }


def test_configured_is_decided_once(make):
    """A secret that is gone for a moment would make this instance lock and lead alone."""
    urls = iter(["redis://127.0.0.1:1/0", None, None])
    state = make(redis_url=lambda: next(urls))
    assert [state.configured, state.configured, state.configured] == [True] * 3
    assert forked(lambda: state.configured)


def test_a_malformed_url_is_no_outage(make):
    """It would look like a Redis that is away, and go on like that for months."""
    state = make("redis://:hunter2@host/x")
    for call in (
        lambda: state.configured,
        lambda: state.cache.get_or_load(TOPIC, "key", lambda: 1),
        lambda: state.events.subscribe().__enter__(),
    ):
        with pytest.raises(ConfigurationError) as caught:
            call()
        assert "hunter2" not in str(caught.value)


def test_used_after_close(make, servers):
    """A Database that was closed and is used again connects again; so does this."""
    state = make(servers.start().url)
    assert cached(state)
    state.close()
    assert cached(state)
    assert state.health()["connected"]

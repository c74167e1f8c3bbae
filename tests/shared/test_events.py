"""Events: everyone hears them, and hears when some may have been missed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
from concurrent_work import Job, line_of
from hypothesis import given
from hypothesis import strategies as st
from support import HANG_SECONDS, end_process, output_of

from aragora_db.errors import InvalidValue
from aragora_db.shared import DEBATE_CREATED, DEBATE_FINISHED, GAP, Event
from aragora_db.shared.events import MAX_BYTES, from_wire, to_wire
from aragora_db.shared.pubsub import Subscription

BOTH = pytest.mark.parametrize("configured", [True, False], ids=["redis", "alone"])

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(codec="utf-8", exclude_characters="\x00")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("a") | st.just("ü"), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True).filter(lambda word: word != GAP),
    st.none() | st.just("debate-1"),
    st.dictionaries(st.just("a") | st.just("b"), JSON),
    st.datetimes(timezones=st.just(UTC)),
)
def test_what_is_sent_arrives(word, debate_id, data, at):
    """A watcher would be told something else than what happened."""
    event = Event(word, debate_id, data, at)
    assert from_wire(to_wire(event)) == event


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_what_is_none_of_ours_is_skipped(text):
    """One message of another program on the channel would end every subscription."""
    assert from_wire(text) is None


@pytest.mark.parametrize(
    "change",
    [
        {"type": 1},
        {"type": "UPPER"},
        {"type": GAP},
        {"debate_id": 1},
        {"data": []},
        {"at": "yesterday"},
        {"at": "2026-01-01T00:00:00"},
        {"at": 1},
    ],
    ids=str,
)
def test_what_is_half_ours_is_skipped(change):
    """A message of an older version would reach code that cannot read it."""
    whole = json.loads(to_wire(Event(DEBATE_CREATED)))
    assert from_wire(json.dumps(whole).encode()) is not None
    assert from_wire(json.dumps(whole | change).encode()) is None
    assert from_wire(b"[" * MAX_BYTES) is None
    assert from_wire(to_wire(Event(DEBATE_CREATED)) + b" " * MAX_BYTES) is None


@BOTH
@pytest.mark.parametrize(
    "event",
    [
        Event(GAP),
        Event("Upper"),
        Event(""),
        Event("a", data={"a": object()}),
        Event("a", data={"a": "x" * MAX_BYTES}),
        Event("a", at=datetime(2026, 1, 1)),  # noqa: DTZ001 -- that is the mistake
    ],
    ids=lambda event: event.type,
)
def test_what_cannot_be_sent_is_refused(instances, make, configured, event):
    """It would vanish without a word where there is a Redis, and arrive where there is none."""
    state = instances(1)[0] if configured else make()
    with pytest.raises(InvalidValue):
        state.events.publish(event)


@BOTH
def test_everyone_hears_them_in_order(instances, make, configured):
    """A page that shows a debate would miss its end."""
    one, two = instances(2) if configured else [make()] * 2
    sent = [Event(DEBATE_CREATED, "d1", {"task": "?"}), Event(DEBATE_FINISHED, "d1")]
    with one.events.subscribe() as here, two.events.subscribe() as there, two.events.subscribe() as also:
        assert all(one.events.publish(event) for event in sent)
        for subscription in (here, there, also):
            assert [subscription.get(HANG_SECONDS), subscription.get(HANG_SECONDS)] == sent
            assert subscription.get(0) is None


def test_one_connection_however_many_listen(instances, redis_server, eventually):
    """A hundred watchers would use up the pool, and the cache with it."""
    import redis  # noqa: PLC0415 -- next to its use

    [one] = instances(1, redis_max_connections=5)
    client = redis.Redis.from_url(redis_server.url)
    channel = f"{one._namespace}:events"
    subscriptions = [one.events.subscribe() for _ in range(100)]
    for each in subscriptions:
        each.__enter__()
    assert client.pubsub_numsub(channel) == [(channel.encode(), 1)]
    for each in subscriptions:
        each.__exit__(None, None, None)
    eventually(lambda: client.pubsub_numsub(channel) == [(channel.encode(), 0)], "nobody listens")
    with one.events.subscribe() as again:
        assert one.events.publish(Event(DEBATE_CREATED))
        assert again.get(HANG_SECONDS).type == DEBATE_CREATED
    client.close()


def test_messages_that_are_none_are_skipped_and_counted(instances, redis_server):
    """A stranger's message would end the subscription, or go unnoticed."""
    import redis  # noqa: PLC0415 -- next to its use

    [one] = instances(1)
    client = redis.Redis.from_url(redis_server.url)
    with one.events.subscribe() as subscription:
        client.publish(f"{one._namespace}:events", b"\xff")
        one.events.publish(Event(DEBATE_CREATED))
        assert subscription.get(HANG_SECONDS).type == DEBATE_CREATED
    assert one.events.skipped == 1
    client.close()


def test_a_lost_connection_is_a_gap(make, servers, eventually):
    """A page would show a debate as running that ended while Redis was away."""
    server = servers.start()
    state = make(server.url)
    with state.events.subscribe() as subscription:
        state.events.publish(Event(DEBATE_CREATED))
        assert subscription.get(HANG_SECONDS).type == DEBATE_CREATED
        server.stop()
        eventually(lambda: not state.events.publish(Event(DEBATE_CREATED)), "Redis is away")
        server.start()
        assert subscription.get(HANG_SECONDS).type == GAP
        eventually(lambda: state.events.publish(Event(DEBATE_FINISHED)), "Redis is back")
        assert subscription.get(HANG_SECONDS).type == DEBATE_FINISHED


def test_a_connection_that_was_cut_is_a_gap(make, servers, eventually):
    """redis-py connects again by itself, and says nothing about what was missed."""
    server = servers.start()
    state = make(server.url)
    client = server.client()
    with state.events.subscribe() as subscription:
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        assert subscription.get(HANG_SECONDS).type == GAP
        eventually(lambda: client.pubsub_numsub("aragora:events")[0][1] == 1, "we listen again")
        assert state.events.publish(Event(DEBATE_FINISHED))
        while (event := subscription.get(HANG_SECONDS)).type == GAP:
            pass
        assert event.type == DEBATE_FINISHED
    client.close()


def test_a_redis_that_hangs_is_noticed(make, servers, monkeypatch, eventually):
    """A cut cable says nothing: the page would wait for events for ever."""
    monkeypatch.setattr("aragora_db.shared.pubsub._SILENCE_SECONDS", 0.5)
    server = servers.start()
    state = make(server.url)
    with state.events.subscribe() as subscription:
        listener = state.events._listener
        server.freeze()
        eventually(lambda: not listener.connected.is_set(), "the silence is noticed")
        server.thaw()
        assert subscription.get(HANG_SECONDS).type == GAP


def test_silence_alone_is_no_gap(make, servers, monkeypatch, eventually):
    """At night every page would load itself again every few seconds."""
    monkeypatch.setattr("aragora_db.shared.pubsub._SILENCE_SECONDS", 0.01)
    server = servers.start()
    state = make(server.url)
    client = server.client()
    with state.events.subscribe() as subscription:
        eventually(
            lambda: client.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"] >= 3, "it has pinged thrice"
        )
        assert subscription.get(0) is None
    client.close()


def test_subscribing_while_redis_is_away(make, servers, eventually):
    """A page could not be opened during an outage."""
    server = servers.new()
    state = make(server.url)
    with state.events.subscribe() as subscription:
        assert not state.events.publish(Event(DEBATE_CREATED))
        server.start()
        assert subscription.get(HANG_SECONDS).type == GAP
        eventually(lambda: state.events.publish(Event(DEBATE_FINISHED)), "Redis is back")
        assert subscription.get(HANG_SECONDS).type == DEBATE_FINISHED


def test_who_does_not_keep_up_gets_a_gap():
    """One slow watcher would fill the memory of the process."""
    subscription = Subscription()
    for number in range(2500):
        subscription.put(Event(DEBATE_CREATED, str(number)))
    events = []
    while (event := subscription.get(0)) is not None:
        events.append(event)
    assert len(events) <= 1000
    assert events[0].type == GAP
    assert [event.debate_id for event in events[1:]] == [str(number) for number in range(2501 - len(events), 2500)]


@BOTH
def test_closing_ends_the_loops(instances, make, configured, eventually):
    """The process could not shut down while somebody watches."""
    state = instances(1)[0] if configured else make()
    got, listening = [], threading.Event()

    def watch():
        with state.events.subscribe() as subscription:
            listening.set()
            got.extend(subscription)

    job = Job(watch)
    assert listening.wait(HANG_SECONDS)
    state.events.publish(Event(DEBATE_CREATED))
    eventually(lambda: got, "the event has arrived")
    state.close()
    job.result()
    assert [event.type for event in got] == [DEBATE_CREATED]


_WATCH = """
import sys
from aragora_db import Settings
from aragora_db.shared import SharedState
url, namespace = sys.argv[1:]
state = SharedState(Settings.explicit(redis_namespace=namespace), lambda: url, None)
with state.events.subscribe() as subscription:
    print("listening", flush=True)
    while (event := subscription.get(60)).type == "gap":
        print("gap", flush=True)
    print(event.debate_id, flush=True)
"""


def test_across_processes(instances, redis_server, eventually):
    """The debate that instance A runs would be seen by those who asked A only."""
    [one] = instances(1)
    command = [sys.executable, "-c", _WATCH, redis_server.url, one._namespace]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert line_of(process) == "listening\n"
        # On a slow machine it listens before Redis has confirmed, and hears of a gap then.
        eventually(
            lambda: one.events.publish(Event(DEBATE_CREATED, "d-1")) and process.poll() is not None,
            "the other process has heard it",
        )
        assert output_of(process)[0].splitlines()[-1] == "d-1"
    finally:
        end_process(process)

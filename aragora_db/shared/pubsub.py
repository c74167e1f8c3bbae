"""Publish and subscribe through Redis's pub/sub, with one connection per process for all its subscribers."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from aragora_db.errors import AragoraDBError, RedisUnavailable
from aragora_db.shared.events import Event, from_wire, gap, to_wire
from aragora_db.shared.gateway import Gateway

__all__ = ["EventChannel", "Subscription"]

log = logging.getLogger("aragora_db.shared")

_BACKLOG = 1000  # events
_POLL_SECONDS = 0.5
_RETRY_SECONDS = 0.5
_SILENCE_SECONDS = 5.0  # then it sends a PING: a cut cable alone is not noticed


class Subscription:
    """The events of one subscriber: iterate, or call `get` with a timeout."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._backlog: deque[Event] = deque()
        self._ended = False

    def __iter__(self) -> Iterator[Event]:
        """Yield events until the subscription, or the whole `SharedState`, is closed."""
        while (event := self.get()) is not None:
            yield event

    def get(self, timeout: float | None = None) -> Event | None:
        """Return the next event; None after ``timeout`` seconds without one, or when closed (see `ended`)."""
        with self._changed:
            self._changed.wait_for(lambda: self._backlog or self._ended, timeout)
            return self._backlog.popleft() if self._backlog else None

    @property
    def ended(self) -> bool:
        """Whether no event will follow."""
        return self._ended and not self._backlog

    def put(self, event: Event) -> None:
        """Add an event. If the backlog is full, one gap event replaces it."""
        with self._changed:
            if len(self._backlog) >= _BACKLOG:
                self._backlog.clear()
                event = gap()
            self._backlog.append(event)
            self._changed.notify_all()

    def end(self) -> None:
        """End the subscription; its subscriber waits no more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class _Subscriptions:
    """The open subscriptions of this process. An event is handed to each without waiting for any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: set[Subscription] = set()

    def add(self, subscription: Subscription) -> None:
        """Deliver to it from now on."""
        with self._lock:
            self._all.add(subscription)

    def remove(self, subscription: Subscription) -> None:
        """End a subscription and deliver nothing more to it."""
        with self._lock:
            self._all.discard(subscription)
        subscription.end()

    def put(self, event: Event) -> None:
        """Add an event to all."""
        with self._lock:
            for each in self._all:
                each.put(event)

    def end(self) -> None:
        """End all."""
        with self._lock:
            ended, self._all = self._all, set()
        for each in ended:
            each.end()


class _Listener(threading.Thread):
    """The thread that holds the process's subscription, and subscribes again whenever the connection is lost.

    Args:
        gateway: calls Redis.
        channel: the channel's name.
        timeout: how long Redis has to answer, in seconds.
        deliver: called with each message.
        missed: called after each start of the subscription: messages published before it were missed.
    """

    def __init__(
        self,
        gateway: Gateway,
        channel: str,
        timeout: float,
        deliver: Callable[[bytes], None],
        missed: Callable[[], None],
    ) -> None:
        super().__init__(name=f"events {channel}", daemon=True)
        self._gateway = gateway
        self._channel = channel
        self._timeout = timeout
        self._deliver = deliver
        self._missed = missed
        self._stopping = threading.Event()
        self.connected = threading.Event()

    def stop(self) -> None:
        """End the thread soon."""
        self._stopping.set()

    def run(self) -> None:
        """Subscribe and deliver until `stop`."""
        while not self._stopping.is_set():
            try:
                self._listen()
            except AragoraDBError as problem:
                log.warning("events: %s; subscribing again", type(problem).__name__)
            except Exception:
                if self._stopping.is_set():
                    return  # redis-py's pool was closed under it
                log.exception("events: unexpected; subscribing again")  # the thread must go on: nobody would hear more
            self._stopping.wait(_RETRY_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311 -- no cryptography here

    def _listen(self) -> None:
        pubsub = self._gateway.call(self._subscribe)
        from aragora_db.shared.client import REDIS_ERRORS  # noqa: PLC0415 -- the optional extra "redis"

        try:
            self._missed()
            self.connected.set()
            with suppress(*REDIS_ERRORS, OSError):
                self._read(pubsub)
        finally:
            self.connected.clear()
            with suppress(*REDIS_ERRORS, OSError):
                if pubsub.connection is not None:
                    # The pool it goes back to may be closed by now, and would keep its socket.
                    pubsub.connection.disconnect()
                pubsub.close()

    def _subscribe(self, client: Any) -> Any:
        """Return a subscription that Redis has confirmed."""
        from redis.exceptions import TimeoutError as RedisTimeoutError  # noqa: PLC0415 -- the optional extra "redis"

        pubsub = client.pubsub()
        confirmed = False
        try:
            pubsub.subscribe(self._channel)
            confirmed = pubsub.get_message(timeout=self._timeout) is not None
        finally:
            if not confirmed:
                pubsub.close()
        if not confirmed:
            raise RedisTimeoutError("no answer to SUBSCRIBE")
        return pubsub

    def _read(self, pubsub: Any) -> None:
        """Deliver until it is time to stop, or Redis does not answer."""
        heard, asked = time.monotonic(), None
        while not self._stopping.is_set():
            message = pubsub.get_message(timeout=_POLL_SECONDS)
            now = time.monotonic()
            if message is not None:
                heard, asked = now, None
                if message["type"] == "message":
                    self._deliver(message["data"])
                elif message["type"] == "subscribe":
                    self._missed()  # redis-py has connected again by itself
            elif asked is not None and now - asked > self._timeout:
                return
            elif asked is None and now - heard > _SILENCE_SECONDS:
                pubsub.ping()
                asked = now


class EventChannel:
    """Publishes and delivers events; `SharedState.events` is one. Without Redis it delivers inside the process.

    Args:
        gateway: calls Redis.
        channel: the channel's name.
        timeout: how long to wait for Redis to confirm a subscription, and for its answer after a silence, in seconds.
    """

    def __init__(self, gateway: Gateway, channel: str, timeout: float) -> None:
        self._gateway = gateway
        self._channel = channel
        self._timeout = timeout
        self._subscriptions = _Subscriptions()
        self._lock = threading.Lock()
        self._listener: _Listener | None = None
        self._leaving: list[_Listener] = []
        self._interested = 0
        self.skipped = 0
        """How many messages on the channel were not events."""

    def publish(self, event: Event) -> bool:
        """Send an event to every instance.

        Returns:
            False if Redis is away. After a lost connection it may arrive twice.

        Raises:
            InvalidValue: the event cannot be sent; see `aragora_db.shared.events.to_wire`.
        """
        text = to_wire(event)
        if not self._gateway.configured:
            self._deliver(text)
            return True
        with suppress(RedisUnavailable):
            self._gateway.call(lambda client: client.publish(self._channel, text))
            return True
        return False

    @contextmanager
    def subscribe(self) -> Generator[Subscription]:
        """Subscribe for the length of a block.

        If Redis is away, the subscription starts all the same. An event of type ``gap`` follows whenever events may
        have been missed: after Redis is reachable again, and if the subscriber was too slow.
        """
        subscription = Subscription()
        listener = self._join()
        try:
            if listener is not None:
                listener.connected.wait(self._timeout)
            self._subscriptions.add(subscription)
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
            self._leave()

    def close(self) -> None:
        """End every subscription."""
        self._subscriptions.end()
        with self._lock:
            leaving, self._leaving = self._leaving, []
            if self._listener is not None:
                self._listener.stop()
                leaving.append(self._listener)
                self._listener = None
        # Before the pool is closed: redis-py would open their connections again.
        for listener in leaving:
            listener.join(_POLL_SECONDS + self._timeout)

    def _join(self) -> _Listener | None:
        if not self._gateway.configured:
            return None
        with self._lock:
            self._interested += 1
            if self._listener is None:
                self._listener = _Listener(self._gateway, self._channel, self._timeout, self._deliver, self._missed)
                self._listener.start()
            return self._listener

    def _leave(self) -> None:
        if self._gateway.configured:
            with self._lock:
                self._interested -= 1
                if self._interested == 0 and self._listener is not None:
                    self._listener.stop()
                    self._leaving = [*(each for each in self._leaving if each.is_alive()), self._listener]
                    self._listener = None

    def _deliver(self, text: bytes) -> None:
        event = from_wire(text)
        if event is None:
            self.skipped += 1
        else:
            self._subscriptions.put(event)

    def _missed(self) -> None:
        self._subscriptions.put(gap())

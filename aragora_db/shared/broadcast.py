"""Events through Redis's pub/sub: one connection per process, however many listen."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

from aragora_db.errors import RedisUnavailable
from aragora_db.shared.events import Event, from_wire, gap, to_wire
from aragora_db.shared.gateway import Door
from aragora_db.shared.listener import POLL_SECONDS, Listener
from aragora_db.shared.subscriptions import Subscription, Subscriptions

__all__ = ["Broadcast"]


class Broadcast:
    """Publishes and delivers events. Without Redis it delivers inside the process.

    Args:
        door: the way to Redis.
        channel: the channel's name.
        timeout: how long to wait for Redis to confirm a subscription, and for its answer after a silence, in seconds.
    """

    def __init__(self, door: Door, channel: str, timeout: float) -> None:
        self._door = door
        self._channel = channel
        self._timeout = timeout
        self._subscriptions = Subscriptions()
        self._lock = threading.Lock()
        self._listener: Listener | None = None
        self._leaving: list[Listener] = []
        self._interested = 0
        self.skipped = 0
        """How many messages on the channel were no events."""

    def publish(self, event: Event) -> bool:
        """Tell every instance.

        Returns:
            Whether Redis has it; False when it is away. After a lost connection it may arrive twice.

        Raises:
            InvalidValue: no such event can be sent.
        """
        text = to_wire(event)
        if not self._door.configured:
            self._deliver(text)
            return True
        with suppress(RedisUnavailable):
            self._door.call(lambda client: client.publish(self._channel, text))
            return True
        return False

    @contextmanager
    def subscribe(self) -> Generator[Subscription]:
        """Listen, from now on.

        When Redis is away the subscription begins all the same. An event of type ``gap`` says whenever events may have
        been missed: after Redis came back, and to a listener that did not keep up.
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
            listener.join(POLL_SECONDS + self._timeout)

    def _join(self) -> Listener | None:
        if not self._door.configured:
            return None
        with self._lock:
            self._interested += 1
            if self._listener is None:
                self._listener = Listener(self._door, self._channel, self._timeout, self._deliver, self._missed)
                self._listener.start()
            return self._listener

    def _leave(self) -> None:
        if self._door.configured:
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

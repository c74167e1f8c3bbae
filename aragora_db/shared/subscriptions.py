"""Hands each event to everyone in this process who listens, without waiting for any of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

from aragora_db.shared.events import Event, gap

__all__ = ["Subscription", "Subscriptions"]

_BACKLOG = 1000


class Subscription:
    """Events as they come: iterate, or ask with a timeout. Belongs to one listener."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._backlog: deque[Event] = deque()
        self._ended = False

    def __iter__(self) -> Iterator[Event]:
        """Events until the subscription, or the whole `SharedState`, is closed."""
        while (event := self.get()) is not None:
            yield event

    def get(self, timeout: float | None = None) -> Event | None:
        """The next event; None after ``timeout`` seconds without one, or when closed (see `ended`)."""
        with self._changed:
            self._changed.wait_for(lambda: self._backlog or self._ended, timeout)
            return self._backlog.popleft() if self._backlog else None

    @property
    def ended(self) -> bool:
        """Whether nothing will come any more."""
        return self._ended and not self._backlog

    def put(self, event: Event) -> None:
        """Add an event. Who does not keep up gets a gap instead of everything that waits."""
        with self._changed:
            if len(self._backlog) >= _BACKLOG:
                self._backlog.clear()
                event = gap()
            self._backlog.append(event)
            self._changed.notify_all()

    def end(self) -> None:
        """Let the listener go."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class Subscriptions:
    """Everyone in this process who listens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: set[Subscription] = set()

    def add(self, subscription: Subscription) -> None:
        """Begin to deliver to it."""
        with self._lock:
            self._all.add(subscription)

    def remove(self, subscription: Subscription) -> None:
        """Deliver nothing more to it."""
        with self._lock:
            self._all.discard(subscription)
        subscription.end()

    def put(self, event: Event) -> None:
        """Deliver to all."""
        with self._lock:
            for each in self._all:
                each.put(event)

    def end(self) -> None:
        """Let all go."""
        with self._lock:
            ended, self._all = self._all, set()
        for each in ended:
            each.end()

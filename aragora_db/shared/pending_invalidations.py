"""Invalidations that have not reached Redis yet."""

from __future__ import annotations

import threading

__all__ = ["Unsent"]


class Unsent:
    """Remembers for each topic that Redis has to be told, until it was told after the last time somebody asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._topics: dict[str, int] = {}

    def add(self, topic: str) -> None:
        """Remember a topic. Before it is sent: the send may fail in any way."""
        with self._lock:
            self._count += 1
            self._topics[topic] = self._count

    def pending(self, topic: str) -> int | None:
        """The number to hand to `sent`, or None when Redis has been told. Costs no lock: every cached read asks."""
        return self._topics.get(topic)

    def sent(self, topic: str, number: int) -> None:
        """Forget what was asked for up to ``number``; what another thread asked for since then stays."""
        with self._lock:
            if self._topics.get(topic) == number:
                del self._topics[topic]

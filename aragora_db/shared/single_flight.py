"""One computation for all threads of a process that ask for the same thing at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

__all__ = ["Flights"]


class _Flight:
    """A computation under way: who runs it, and what came of it."""

    def __init__(self) -> None:
        self.pilot = threading.get_ident()
        self.landed = threading.Event()
        self.text: bytes | None = None


class Flights:
    """Runs each computation once at a time; who comes while it runs gets the same answer.

    Args:
        seconds: how long to wait for another thread before computing alone.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, _Flight] = {}

    def run(self, key: Hashable, compute: Callable[[], bytes]) -> bytes:
        """The answer of ``compute``, or of the one that another thread runs under this key.

        An error goes to the thread that ran into it. The others compute alone then: they may fare better.
        """
        with self._lock:
            flight = self._under_way.get(key)
            ours = flight is None
            if flight is None:
                flight = self._under_way[key] = _Flight()
        if ours:
            try:
                flight.text = compute()
            finally:
                with self._lock:
                    del self._under_way[key]
                flight.landed.set()
            return flight.text
        # A computation that asks for itself would wait for itself.
        if flight.pilot != threading.get_ident():
            flight.landed.wait(self._seconds)
        return compute() if flight.text is None else flight.text

"""Single flight: one computation for all threads of a process that ask for the same key at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

__all__ = ["SingleFlight"]


class _Call:
    """A running computation.

    Attributes:
        thread_id: the thread that computes.
        done: set when it has returned or raised.
        result: what it returned; None while it runs, and after an error.
    """

    def __init__(self) -> None:
        self.thread_id = threading.get_ident()
        self.done = threading.Event()
        self.result: bytes | None = None


class SingleFlight:
    """Runs one computation per key at a time; callers that come while it runs get its result.

    Args:
        seconds: how long to wait for another thread before computing without it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._running: dict[Hashable, _Call] = {}

    def run(self, key: Hashable, compute: Callable[[], bytes]) -> bytes:
        """Return the result of ``compute``, or of the computation that another thread runs under this key.

        An error is raised in the thread that computed. The waiting threads then compute on their own.
        """
        with self._lock:
            call = self._running.get(key)
            ours = call is None
            if call is None:
                call = self._running[key] = _Call()
        if ours:
            try:
                call.result = compute()
            finally:
                with self._lock:
                    del self._running[key]
                call.done.set()
            return call.result
        # A computation that asks for its own key would wait for itself.
        if call.thread_id != threading.get_ident():
            call.done.wait(self._seconds)
        return compute() if call.result is None else call.result

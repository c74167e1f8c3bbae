"""A circuit breaker: opens after three failures in a row; then one probe at a time decides when to close."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Literal, TypeVar

__all__ = ["BreakerState", "CircuitBreaker", "CircuitOpen"]

T = TypeVar("T")

BreakerState = Literal["closed", "open", "half_open"]

_FAILURES = 3
_SHORTEST, _LONGEST = 1.0, 30.0  # seconds


class CircuitOpen(Exception):
    """The circuit is open: the call was not made."""


class CircuitBreaker:
    """Opens after three failures in a row, for one second, then two, four, at most 30. Then one call is the probe.

    Thread-safe. The lock is not held during a call. A call that began before the circuit changed its state is not
    counted, so that fifty threads that fail together open it once.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._generation = 0
        self._failures = 0
        self._openings = 0
        self._open_until: float | None = None
        self._probing = False

    @property
    def state(self) -> BreakerState:
        """Return ``closed``, ``open`` (refuses calls) or ``half_open`` (the next or running call is the probe)."""
        with self._lock:
            if self._open_until is None:
                return "closed"
            return "half_open" if self._probing or self._clock() >= self._open_until else "open"

    def call(self, work: Callable[[], T], failed: Callable[[BaseException], bool | None]) -> T:
        """Run ``work`` unless the circuit is open.

        Args:
            work: the call.
            failed: classifies an exception of ``work``: True if the server is away, False if it answered, else None.

        Raises:
            CircuitOpen: it is open, or another call is the probe.
        """
        generation = self._enter()
        try:
            value = work()
        except BaseException as error:
            self._leave(generation, failed=failed(error))
            raise
        self._leave(generation, failed=False)
        return value

    def _enter(self) -> int:
        with self._lock:
            if self._open_until is not None:
                if self._probing or self._clock() < self._open_until:
                    raise CircuitOpen
                self._probing = True
                self._generation += 1
            return self._generation

    def _leave(self, generation: int, *, failed: bool | None) -> None:
        with self._lock:
            if generation != self._generation:
                return
            if failed is None:
                self._probing = False
            elif not failed:
                self._failures, self._openings = 0, 0
                self._open_until, self._probing = None, False
            else:
                self._failures += 1
                if self._probing or self._failures >= _FAILURES:
                    self._open()

    def _open(self) -> None:
        seconds = min(_LONGEST, _SHORTEST * 2**self._openings)
        # Jitter: instances that lost Redis together should not all probe it together.
        self._open_until = self._clock() + seconds * random.uniform(0.5, 1.0)  # noqa: S311 -- no cryptography here
        self._openings = min(self._openings + 1, 16)
        self._probing = False
        self._failures = 0
        self._generation += 1

"""A circuit breaker: who was failed three times waits no more, and one caller at a time looks whether it is over."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Literal, TypeVar

__all__ = ["Breaker", "BreakerOpen", "State"]

T = TypeVar("T")

State = Literal["closed", "open", "half_open"]

_FAILURES = 3
_SHORTEST, _LONGEST = 1.0, 30.0  # seconds


class BreakerOpen(Exception):
    """The breaker is open: nothing was tried."""


class Breaker:
    """Lets calls through until three in a row failed; then for one second, two, four, at most 30, none but a probe.

    Thread-safe. The lock is never held during a call. What a call that began earlier finds out late is not counted, so
    that fifty threads that fail together open it once.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._turn = 0
        self._failures = 0
        self._openings = 0
        self._closed_again: float | None = None
        self._probing = False

    @property
    def state(self) -> State:
        """``closed``; ``open``, which refuses; ``half_open``, where the next call is the probe, or one is under way."""
        with self._lock:
            if self._closed_again is None:
                return "closed"
            return "half_open" if self._probing or self._clock() >= self._closed_again else "open"

    def call(self, work: Callable[[], T], failed: Callable[[BaseException], bool | None]) -> T:
        """Run ``work`` if the breaker lets it through.

        Args:
            work: the call.
            failed: what an error of it means: True that the other side is away, False that it answered, None nothing.

        Raises:
            BreakerOpen: it does not.
        """
        turn = self._enter()
        try:
            value = work()
        except BaseException as error:
            self._leave(turn, failed=failed(error))
            raise
        self._leave(turn, failed=False)
        return value

    def _enter(self) -> int:
        with self._lock:
            if self._closed_again is not None:
                if self._probing or self._clock() < self._closed_again:
                    raise BreakerOpen
                self._probing = True
                self._turn += 1
            return self._turn

    def _leave(self, turn: int, *, failed: bool | None) -> None:
        with self._lock:
            if turn != self._turn:
                return
            if failed is None:
                self._probing = False
            elif not failed:
                self._failures, self._openings = 0, 0
                self._closed_again, self._probing = None, False
            else:
                self._failures += 1
                if self._probing or self._failures >= _FAILURES:
                    self._open()

    def _open(self) -> None:
        seconds = min(_LONGEST, _SHORTEST * 2**self._openings)
        # Instances that lost Redis together should not come back together.
        self._closed_again = self._clock() + seconds * random.uniform(0.5, 1.0)  # noqa: S311 -- no cryptography here
        self._openings = min(self._openings + 1, 16)
        self._probing = False
        self._failures = 0
        self._turn += 1

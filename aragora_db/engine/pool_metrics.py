"""What a pool's users wait for and how long they hold on, which SQLAlchemy's pools do not count themselves."""

from __future__ import annotations

import bisect
import threading
import time
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol
from weakref import WeakSet

from sqlalchemy import Engine, event

from aragora_db.at_fork import reset_after_fork

__all__ = ["BOUNDS", "Durations", "Meter", "Observer", "PoolMetrics"]

# Seconds. From a checkout without pre-ping (20 us) to the longest pool timeout that can be set (300 s).
BOUNDS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0)

_SINCE = "aragora_since"


@dataclass(frozen=True)
class Durations:
    """A histogram of durations.

    Attributes:
        count: how many there were.
        total: their sum, in seconds.
        longest: the longest, in seconds.
        buckets: upper bounds in seconds, each with how many were not longer, as Prometheus counts them.
    """

    count: int
    total: float
    longest: float
    buckets: tuple[tuple[float, int], ...]


@dataclass(frozen=True)
class PoolMetrics:
    """The pools of one process towards one database, sync and async together.

    Attributes:
        size: connections that are kept open, over all pools.
        max_overflow: connections beyond them, over all pools.
        in_use: connections that are checked out now.
        idle: connections that are open and free now.
        checkouts: how often a connection was checked out.
        timeouts: how often none became free in time.
        wait: from asking for a connection to having one that works.
        hold: from there to giving it back.
    """

    size: int
    max_overflow: int
    in_use: int
    idle: int
    checkouts: int
    timeouts: int
    wait: Durations
    hold: Durations


class Observer(Protocol):
    """Hears of everything that is counted, in the thread or task it happens in; must not raise."""

    def attached(self, engine: Engine) -> None:
        """An engine's pool is counted from now on."""

    def waited(self, seconds: float) -> None:
        """A connection was handed out after this time."""

    def held(self, seconds: float) -> None:
        """A connection came back after this time."""


class _Histogram:
    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self._total = self._longest = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect.bisect_left(BOUNDS, seconds)] += 1
        self._total += seconds
        self._longest = max(self._longest, seconds)

    def snapshot(self) -> Durations:
        cumulative = list(accumulate(self._counts))
        return Durations(cumulative[-1], self._total, self._longest, tuple(zip(BOUNDS, cumulative, strict=False)))


class Meter:
    """Counts for any number of engines' pools, from any number of threads."""

    def __init__(self) -> None:
        self._engines: WeakSet[Engine] = WeakSet()
        self._observers: list[Observer] = []
        self.reset_after_fork()
        reset_after_fork(self)

    def attach(self, engine: Engine) -> None:
        """Count this engine's pool along. It must be a `BoundedPool` or `AsyncBoundedPool`."""
        with self._lock:
            self._engines.add(engine)
        pool: Any = engine.pool
        pool.meter = self

        @event.listens_for(engine, "checkout")
        def _out(_connection: Any, record: Any, _proxy: Any) -> None:
            record.record_info[_SINCE] = time.perf_counter()

        @event.listens_for(engine, "checkin")
        def _in(_connection: Any, record: Any) -> None:
            since = record.record_info.pop(_SINCE, None)
            if since is not None:
                held = time.perf_counter() - since
                self._observe(self._hold, held)
                for observer in self._observers:
                    observer.held(held)

        for observer in self._observers:
            observer.attached(engine)

    def detach(self, engine: Engine) -> None:
        """Leave the pool of an engine that nobody uses any more out of sizes and use."""
        with self._lock:
            self._engines.discard(engine)

    def tell(self, observer: Observer) -> None:
        """Have an observer hear of everything from now on, and of the engines that are there."""
        with self._lock:
            engines = list(self._engines)
        for engine in engines:
            observer.attached(engine)
        self._observers.append(observer)

    def waited(self, seconds: float) -> None:
        """A connection was handed out after this time."""
        self._observe(self._wait, seconds)
        for observer in self._observers:
            observer.waited(seconds)

    def timed_out(self) -> None:
        """None became free in time."""
        with self._lock:
            self._timeouts += 1

    def metrics(self) -> PoolMetrics:
        """All of it, at this moment."""
        with self._lock:
            pools: list[Any] = [engine.pool for engine in self._engines]
            wait, hold, timeouts = self._wait.snapshot(), self._hold.snapshot(), self._timeouts
        return PoolMetrics(
            size=sum(pool.size() for pool in pools),
            max_overflow=sum(pool.max_overflow for pool in pools),
            in_use=sum(pool.checkedout() for pool in pools),
            idle=sum(pool.checkedin() for pool in pools),
            checkouts=wait.count,
            timeouts=timeouts,
            wait=wait,
            hold=hold,
        )

    def reset_after_fork(self) -> None:
        """A forked child cannot know who held the lock, and counts what it does itself."""
        # The garbage collector gives forgotten connections back, at any moment: also to the thread that holds it.
        self._lock = threading.RLock()
        self._wait, self._hold, self._timeouts = _Histogram(), _Histogram(), 0

    def _observe(self, histogram: _Histogram, seconds: float) -> None:
        with self._lock:
            histogram.observe(seconds)

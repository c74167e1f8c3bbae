"""`SharedState`: what instances share through Redis, behind one object."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from aragora_db.at_fork import reset_after_fork
from aragora_db.config import Settings
from aragora_db.errors import AragoraDBError
from aragora_db.shared.broadcast import Broadcast
from aragora_db.shared.cache import Cache
from aragora_db.shared.fencing import Transact, check_name
from aragora_db.shared.gateway import Door
from aragora_db.shared.leader import Leader, lead
from aragora_db.shared.leases import Lease, LocalLeases, RedisLease
from aragora_db.shared.locks import HeldLock, hold
from aragora_db.shared.topics import topics_of

__all__ = ["SharedState"]

log = logging.getLogger("aragora_db.shared")


class SharedState:
    """Cache, locks, leaders and events, for a whole process: thread-safe, fork-safe. Nothing is connected to yet.

    Without Redis (a laptop) the cache loads every time, locks and events are the process's own, and we lead. With a
    Redis that is away nothing falls back to that: the cache loads, locks raise, leaders step down, events are not
    published. Then no call waits longer than ``ARAGORA_REDIS_SOCKET_TIMEOUT`` and the connect timeout together, for
    each Sentinel or node of a Cluster that hangs, and after three that failed none waits at all, until a probe finds
    Redis again. Looking up the host's name is not covered: nothing can interrupt the system's resolver.

    Async code calls the methods through ``asyncio.to_thread``.

    Args:
        settings: the settings.
        redis_url: the URL of now, asked at each new connection for the password; None where there is none.
        transact: `Database.transact`, for fencing tokens.
        refresh: asked when Redis refuses the password: looks whether there is a new one, True when there is.

    Attributes:
        cache: read-through, see `aragora_db.shared.cache`.
        events: publish and subscribe, see `aragora_db.shared.broadcast`.
    """

    def __init__(
        self,
        settings: Settings,
        redis_url: Callable[[], str | None],
        transact: Transact,
        refresh: Callable[[], bool] | None = None,
    ) -> None:
        self._settings = settings
        self._transact = transact
        self._namespace = settings.redis_namespace
        self._begin(Door(settings, redis_url, refresh))
        reset_after_fork(self)

    def _begin(self, door: Door) -> None:
        settings = self._settings
        self._door = door
        self._local = LocalLeases()
        self.cache = Cache(self._door, self._namespace, settings.cache_ttl)
        self.events = Broadcast(self._door, f"{self._namespace}:events", settings.redis_timeout)

    @property
    def configured(self) -> bool:
        """Whether the settings name a Redis. Decided at the first question, for good.

        Raises:
            ConfigurationError: they name one that cannot be used as it stands; of a URL only its scheme is shown.
        """
        return self._door.configured

    def lock(self, name: str, ttl: float = 30.0, wait: float = 10.0) -> AbstractContextManager[HeldLock]:
        """A lock that one instance holds at a time.

        Call ``held.guard(session)`` in the transaction that writes: a holder that was paused for longer than ``ttl`` is
        refused by the database when another one has come.

        Args:
            name: what is locked.
            ttl: after this a holder that died, or hangs, is passed over, in seconds.
            wait: how long to wait for another holder, in seconds.

        Raises:
            LockNotAcquired, LockLost, RedisUnavailable, DatabaseError: from the block, see `aragora_db.shared.locks`.
            InvalidValue: an argument is out of range.
        """
        return hold(check_name(name), self._lease("lock", name, ttl), self._transact, ttl, wait)

    def leader(self, name: str, ttl: float = 15.0) -> AbstractContextManager[Leader]:
        """An election that we take part in for the length of a block.

        Args:
            name: what is led, such as ``consolidation``.
            ttl: after this others take over from an instance that died, in seconds.

        Raises:
            InvalidValue: an argument is out of range.
        """
        lease = self._lease("leader", name, ttl) if self.configured else None
        return lead(check_name(name), lease, self._transact, ttl)

    def committed(self, tables: frozenset[str]) -> None:
        """For `Database.on_commit`: what is cached about these tables counts no more. Never raises."""
        topics = topics_of(tables)
        if topics:
            try:
                self.cache.invalidate(*topics)
            except AragoraDBError as problem:  # a configuration that no read can use either
                log.warning("cache: nothing to invalidate: %s", type(problem).__name__)

    def health(self) -> dict[str, Any]:
        """Whether Redis answers a PING now, how fast, and how the breaker stands. Never raises, names no address.

        Being asked is also a probe: an instance that nobody uses finds Redis again by its health checks.
        """
        started = time.perf_counter()
        configured, connected, error = True, False, None
        try:
            configured = self.configured
            if configured:
                self._door.call(lambda client: client.ping())
                connected = True
        except AragoraDBError as problem:
            error = self._door.last_error or type(problem).__name__
        return {
            "configured": configured,
            "connected": connected,
            "latency_ms": round((time.perf_counter() - started) * 1000, 3) if connected else None,
            "breaker": self._door.breaker.state,
            "error": error,
        }

    def close(self) -> None:
        """End subscriptions and close every connection. What is used afterwards connects again."""
        self.events.close()
        self._door.close()

    def reset_after_fork(self) -> None:
        """What a forked child does first, by itself: the parent's threads, and who held which lock, stayed behind."""
        self._begin(self._door.of_child())

    def _lease(self, kind: str, name: str, ttl: float) -> Lease:
        if self.configured:
            return RedisLease(self._door, f"{self._namespace}:{kind}:{name}", ttl)
        return self._local.lease(name, ttl)

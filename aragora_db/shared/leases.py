"""Leases: a name has one holder until a time, in Redis for all instances, or in memory where there is no Redis."""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from aragora_db.errors import InvalidValue, RedisUnavailable
from aragora_db.shared.gateway import Gateway

if TYPE_CHECKING:
    from redis.lock import Lock

__all__ = ["Lease", "LocalLeases", "RedisLease", "check_seconds"]


class Lease(Protocol):
    """A lease that can be acquired, extended and released. Every method may be called again."""

    def acquire(self) -> bool:
        """Acquire it if it is free. If it is ours already, its time starts again.

        Raises:
            RedisUnavailable: Redis is away.
        """
        ...

    def extend(self) -> bool:
        """Start its time again. False: it is not ours any more.

        Raises:
            RedisUnavailable: Redis is away.
        """
        ...

    def release(self) -> bool:
        """Release it. False: it was not ours any more, or Redis is away and the lease will expire."""
        ...


class RedisLease:
    """A `redis.lock.Lock` that uses one token in every attempt.

    redis-py makes a new token for each attempt. If Redis executed one whose answer was lost, the next attempt would
    wait for our own lease to expire.

    Args:
        gateway: calls Redis.
        key: the lock's key.
        ttl: the time of the lease, in seconds.
    """

    def __init__(self, gateway: Gateway, key: str, ttl: float) -> None:
        self._gateway = gateway
        self._key = key
        self._ttl = ttl
        self._token = uuid.uuid4().hex

    def acquire(self) -> bool:
        """See `Lease`."""

        def work(client: Any) -> bool:
            lock = self._lock(client)
            # It is nearly always free or held by another instance, so our own is tried last.
            return bool(lock.acquire(blocking=False, token=self._token)) or self._reacquire(client)

        return self._gateway.call(work)

    def extend(self) -> bool:
        """See `Lease`."""
        return self._gateway.call(self._reacquire)

    def release(self) -> bool:
        """See `Lease`."""

        def work(client: Any) -> bool:
            from redis.exceptions import LockNotOwnedError  # noqa: PLC0415 -- the optional extra "redis"

            with suppress(LockNotOwnedError):
                self._owned_lock(client).release()
                return True
            return False

        with suppress(RedisUnavailable):
            return self._gateway.call(work)
        return False

    def _reacquire(self, client: Any) -> bool:
        from redis.exceptions import LockNotOwnedError  # noqa: PLC0415 -- the optional extra "redis"

        with suppress(LockNotOwnedError):
            return bool(self._owned_lock(client).reacquire())
        return False

    def _owned_lock(self, client: Any) -> Lock:
        lock = self._lock(client)
        lock.local.token = self._token.encode()
        return lock

    def _lock(self, client: Any) -> Lock:
        from redis.lock import Lock  # noqa: PLC0415 -- the optional extra "redis"

        return Lock(client, self._key, timeout=self._ttl, thread_local=False)


class LocalLeases:
    """Leases of one process, which expire as those in Redis do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: dict[str, tuple[object, float]] = {}

    def lease(self, name: str, ttl: float) -> Lease:
        """Return a lease that is not acquired yet."""
        return _LocalLease(self, name, ttl)

    def hold(self, name: str, holder: object, ttl: float, *, new: bool) -> bool:
        """Start a holder's time; for a new holder only if the name is free."""
        now = time.monotonic()
        with self._lock:
            other, ends = self._holders.get(name, (None, now))
            running = ends > now
            if other is not holder and (running or not new):
                return False
            if other is holder and not running and not new:
                return False
            self._holders[name] = holder, now + ttl
            return True

    def release(self, name: str, holder: object) -> bool:
        """End a holder's time; return whether it was still running."""
        with self._lock:
            other, ends = self._holders.get(name, (None, 0.0))
            if other is not holder:
                return False
            del self._holders[name]
            return ends > time.monotonic()


class _LocalLease:
    """See `Lease`."""

    def __init__(self, leases: LocalLeases, name: str, ttl: float) -> None:
        self._leases = leases
        self._name = name
        self._ttl = ttl

    def acquire(self) -> bool:
        return self._leases.hold(self._name, self, self._ttl, new=True)

    def extend(self) -> bool:
        return self._leases.hold(self._name, self, self._ttl, new=False)

    def release(self) -> bool:
        return self._leases.release(self._name, self)


def check_seconds(argument: str, value: float, least: float) -> None:
    """Check a time in seconds.

    Raises:
        InvalidValue: it is below ``least``, or longer than a day.
    """
    if not least <= value <= 86_400.0:  # noqa: PLR2004 -- a day
        raise InvalidValue(f"{argument} is {value!r}; it must lie between {least:g} and 86400 seconds")

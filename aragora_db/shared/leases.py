"""A name that one holder has at a time, for a time: in Redis for all instances, in memory where there is no Redis."""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from aragora_db.errors import RedisUnavailable
from aragora_db.shared.gateway import Door

if TYPE_CHECKING:
    from redis.lock import Lock

__all__ = ["Lease", "LocalLeases", "RedisLease"]


class Lease(Protocol):
    """What can be taken, kept and given back. Every method is safe to call again."""

    def take(self) -> bool:
        """Take it if nobody has it; a lease that is ours already begins anew.

        Raises:
            RedisUnavailable: Redis is away.
        """
        ...

    def extend(self) -> bool:
        """Begin the time anew. False: it is not ours any more.

        Raises:
            RedisUnavailable: Redis is away.
        """
        ...

    def give_back(self) -> bool:
        """Let others have it at once. False: it was not ours any more, or Redis is away and it runs out by itself."""
        ...


class RedisLease:
    """A `redis.lock.Lock` whose holder is told apart by one word in every attempt.

    redis-py makes a new word for each attempt. If Redis carried out one whose answer was lost, the next would be kept
    out by ourselves until the time is over.

    Args:
        door: the way to Redis.
        key: the lock's key.
        ttl: for how long, in seconds.
    """

    def __init__(self, door: Door, key: str, ttl: float) -> None:
        self._door = door
        self._key = key
        self._ttl = ttl
        self._word = uuid.uuid4().hex

    def take(self) -> bool:
        """See `Lease`."""

        def work(client: Any) -> bool:
            lock = self._lock(client)
            # Nearly always free or somebody else's, so ours is looked for last.
            return bool(lock.acquire(blocking=False, token=self._word)) or self._again(client)

        return self._door.call(work)

    def extend(self) -> bool:
        """See `Lease`."""
        return self._door.call(self._again)

    def give_back(self) -> bool:
        """See `Lease`."""

        def work(client: Any) -> bool:
            from redis.exceptions import LockNotOwnedError  # noqa: PLC0415 -- redis-py is loaded when used

            with suppress(LockNotOwnedError):
                self._ours(client).release()
                return True
            return False

        with suppress(RedisUnavailable):
            return self._door.call(work)
        return False

    def _again(self, client: Any) -> bool:
        from redis.exceptions import LockNotOwnedError  # noqa: PLC0415 -- redis-py is loaded when used

        with suppress(LockNotOwnedError):
            return bool(self._ours(client).reacquire())
        return False

    def _ours(self, client: Any) -> Lock:
        lock = self._lock(client)
        lock.local.token = self._word.encode()
        return lock

    def _lock(self, client: Any) -> Lock:
        from redis.lock import Lock  # noqa: PLC0415 -- redis-py is loaded when used

        return Lock(client, self._key, timeout=self._ttl, thread_local=False)


class LocalLeases:
    """Leases of one process, which run out as Redis's do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: dict[str, tuple[object, float]] = {}

    def lease(self, name: str, ttl: float) -> Lease:
        """A lease that is not taken yet."""
        return _LocalLease(self, name, ttl)

    def hold(self, name: str, holder: object, ttl: float, *, new: bool) -> bool:
        """Begin a holder's time; for a new one only if nobody's is running."""
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

    def drop(self, name: str, holder: object) -> bool:
        """End a holder's time."""
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

    def take(self) -> bool:
        return self._leases.hold(self._name, self, self._ttl, new=True)

    def extend(self) -> bool:
        return self._leases.hold(self._name, self, self._ttl, new=False)

    def give_back(self) -> bool:
        return self._leases.drop(self._name, self)

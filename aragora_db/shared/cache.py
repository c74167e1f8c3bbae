"""A cache that all instances share. Redis is never the only copy, and never a reason to fail."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aragora_db.errors import InvalidValue, RedisUnavailable
from aragora_db.shared.gateway import Gateway
from aragora_db.shared.single_flight import SingleFlight
from aragora_db.shared.versioned_cache import CacheKeys, FillAttempt, Lookup, VersionedCache
from aragora_db.types import json_text

__all__ = ["MAX_TTL", "MIN_TTL", "Cache", "PendingInvalidations"]

MIN_TTL, MAX_TTL = 0.1, 86_400.0  # seconds, as ARAGORA_CACHE_TTL

_WAIT_SECONDS = 1.0  # for another process, which may be gone
_SINGLE_FLIGHT_SECONDS = 10.0  # for another thread, which is not
_POLL_SECONDS = 0.01
_TOPIC = re.compile(r"[a-z0-9_.-]{1,64}")


class PendingInvalidations:
    """Topics whose invalidation has not reached Redis yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._topics: dict[str, int] = {}

    def add(self, topic: str) -> None:
        """Add a topic. Call it before sending, since the send may fail in any way."""
        with self._lock:
            self._count += 1
            self._topics[topic] = self._count

    def pending(self, topic: str) -> int | None:
        """Return the number to pass to `sent`, or None if nothing is pending. Lock-free: every cached read calls it."""
        return self._topics.get(topic)

    def sent(self, topic: str, number: int) -> None:
        """Remove a topic, unless another thread has added it again since `pending` returned ``number``."""
        with self._lock:
            if self._topics.get(topic) == number:
                del self._topics[topic]


class Cache:
    """Read-through: what is not in Redis is loaded from the database and kept there.

    What a read may return, in the order of what has to go wrong:

    * Nothing wrong: no value from before an `invalidate` that has returned, on any instance.
    * Redis away: the database's own. Nothing is cached.
    * An invalidation did not reach Redis: this instance sends it before it uses the topic again and reads the database
      until then. Other instances may return values of at most the time to live.
    * The process ended between its commit and the invalidation, a failover of Redis lost it, or a commit that nobody
      knows about (`CommitUnknown`) was carried out after it: at most the time to live, on every instance.

    Args:
        gateway: calls Redis.
        namespace: the prefix of all keys.
        ttl: age at which a value is computed again, in seconds.
    """

    def __init__(self, gateway: Gateway, namespace: str, ttl: float) -> None:
        self._gateway = gateway
        self._values = VersionedCache(gateway, namespace)
        self._ttl = ttl
        self._wait = _WAIT_SECONDS
        self._single_flight = SingleFlight(_SINGLE_FLIGHT_SECONDS)
        self._pending = PendingInvalidations()

    def get_or_load(self, topic: str, key: str, load: Callable[[], Any], ttl: float | None = None) -> Any:
        """The cached value, or what ``load`` returns.

        Many threads and processes that ask together load it once, or a few times when it takes longer than a second.

        Args:
            topic: what is invalidated together: lower-case letters, digits, dots, dashes, underscores.
            key: which of the topic's values; any text.
            load: computes the value. It must read the primary: a replica that lags would have its old value kept under
                the new version.
            ttl: how old an answer may be, in seconds; ``ARAGORA_CACHE_TTL`` by default.

        Returns:
            JSON values, each caller's own; the same whether they were cached or not: tuples are lists.

        Raises:
            InvalidValue: an argument is out of range, or what was loaded is no JSON.
            Exception: whatever ``load`` raised.
        """
        seconds = self._ttl if ttl is None else ttl
        if not MIN_TTL <= seconds <= MAX_TTL:
            raise InvalidValue(f"ttl is {ttl!r}; it must lie between {MIN_TTL} and {MAX_TTL:g} seconds")
        keys = self._values.keys(_checked(topic), key)
        return json_text.loads(self._text(keys, load, seconds))

    def invalidate(self, *topics: str) -> bool:
        """Invalidate all values of these topics. Call it after the commit, never before.

        Returns:
            Whether Redis was reached. If not, the invalidation is sent before this instance uses the topic again.

        Raises:
            InvalidValue: one of them is no topic.
        """
        for topic in topics:
            _checked(topic)
        if not self._gateway.configured:
            return True
        for topic in topics:
            self._pending.add(topic)
        sent = [self._send_pending(topic) for topic in topics]
        return all(sent)

    def _text(self, keys: CacheKeys, load: Callable[[], Any], ttl: float) -> bytes:
        found = self._lookup(keys)
        if found is None:
            return _computed(load, keys)
        if found.text is not None:
            return found.text
        # The version is part of the key: a caller after an invalidation must not join a computation begun before it.
        return self._single_flight.run((keys.value, found.version), lambda: self._fill(keys, load, ttl))

    def _lookup(self, keys: CacheKeys) -> Lookup | None:
        """Return what Redis holds, or None if Redis is not configured or away, or an invalidation is pending."""
        if self._gateway.configured and self._send_pending(keys.topic):
            with suppress(RedisUnavailable):
                return self._values.lookup(keys)
        return None

    def _fill(self, keys: CacheKeys, load: Callable[[], Any], ttl: float) -> bytes:
        """Load the value and store it. If another process is loading it, wait at most a second for its value."""
        deadline = time.monotonic() + self._wait
        while True:
            try:
                attempt = self._values.begin_fill(keys, round(_WAIT_SECONDS * 1000))
            except RedisUnavailable:
                return _computed(load, keys)
            if attempt.granted or time.monotonic() >= deadline:
                break
            time.sleep(_POLL_SECONDS)
            found = self._lookup(keys)
            if found is not None and found.text is not None:
                return found.text
        text = b""
        try:
            text = _computed(load, keys)
        finally:
            self._store(keys, attempt, text, ttl)
        return text

    def _store(self, keys: CacheKeys, attempt: FillAttempt, text: bytes, ttl: float) -> None:
        with suppress(RedisUnavailable):
            self._values.store(keys, attempt, text, ttl)

    def _send_pending(self, topic: str) -> bool:
        """Send the pending invalidation of a topic, if there is one; return False if Redis is away."""
        number = self._pending.pending(topic)
        if number is None:
            return True
        try:
            self._values.invalidate(topic)
        except RedisUnavailable:
            return False
        self._pending.sent(topic, number)
        return True


def _checked(topic: str) -> str:
    if _TOPIC.fullmatch(topic) is None:
        raise InvalidValue(f"topic is {topic!r}; use 1 to 64 lower-case letters, digits, dots, dashes and underscores")
    return topic


def _computed(load: Callable[[], Any], keys: CacheKeys) -> bytes:
    value = load()
    try:
        return json_text.dumps(json_text.portable(value)).encode()
    except ValueError as problem:
        raise InvalidValue(f"what was loaded for topic {keys.topic} is no JSON: {problem}") from problem

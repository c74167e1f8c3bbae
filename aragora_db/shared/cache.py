"""A cache that all instances share. Redis is never the only copy, and never a reason to fail."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aragora_db.errors import InvalidValue, RedisUnavailable
from aragora_db.shared.gateway import Door
from aragora_db.shared.pending_invalidations import Unsent
from aragora_db.shared.single_flight import Flights
from aragora_db.shared.versioned_cache import Seen, Slot, Ticket, Versions
from aragora_db.types import json_text

__all__ = ["MAX_TTL", "MIN_TTL", "Cache"]

MIN_TTL, MAX_TTL = 0.1, 86_400.0  # seconds, as ARAGORA_CACHE_TTL

_WAIT_SECONDS = 1.0  # for another process, which may be gone
_FLIGHT_SECONDS = 10.0  # for another thread, which is not
_POLL_SECONDS = 0.01
_TOPIC = re.compile(r"[a-z0-9_.-]{1,64}")


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
        door: the way to Redis.
        namespace: how the keys begin.
        ttl: age at which a value is computed again, in seconds.
    """

    def __init__(self, door: Door, namespace: str, ttl: float) -> None:
        self._door = door
        self._versions = Versions(door, namespace)
        self._ttl = ttl
        self._wait = _WAIT_SECONDS
        self._flights = Flights(_FLIGHT_SECONDS)
        self._unsent = Unsent()

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
        slot = self._versions.slot(_checked(topic), key)
        return json_text.loads(self._text(slot, load, seconds))

    def invalidate(self, *topics: str) -> bool:
        """Let no value of these topics count any more. Call it after the commit, never before.

        Returns:
            Whether Redis knows. If not, it will be told before this instance uses the topic again.

        Raises:
            InvalidValue: one of them is no topic.
        """
        for topic in topics:
            _checked(topic)
        if not self._door.configured:
            return True
        for topic in topics:
            self._unsent.add(topic)
        told = [self._send(topic) for topic in topics]
        return all(told)

    def _text(self, slot: Slot, load: Callable[[], Any], ttl: float) -> bytes:
        seen = self._look(slot)
        if seen is None:
            return _computed(load, slot)
        if seen.text is not None:
            return seen.text
        # The version is part of the key: who comes after an invalidation must not join who began before it.
        return self._flights.run((slot.value, seen.version), lambda: self._fill(slot, load, ttl))

    def _look(self, slot: Slot) -> Seen | None:
        """What Redis has, or None when it is not to be asked: away, not there at all, or not told what has changed."""
        if self._door.configured and self._send(slot.topic):
            with suppress(RedisUnavailable):
                return self._versions.look(slot)
        return None

    def _fill(self, slot: Slot, load: Callable[[], Any], ttl: float) -> bytes:
        """Load, unless another process does so: then wait a little for its value."""
        deadline = time.monotonic() + self._wait
        while True:
            try:
                ticket = self._versions.begin(slot, round(_WAIT_SECONDS * 1000))
            except RedisUnavailable:
                return _computed(load, slot)
            if ticket.mine or time.monotonic() >= deadline:
                break
            time.sleep(_POLL_SECONDS)
            seen = self._look(slot)
            if seen is not None and seen.text is not None:
                return seen.text
        text = b""
        try:
            text = _computed(load, slot)
        finally:
            self._keep(slot, ticket, text, ttl)
        return text

    def _keep(self, slot: Slot, ticket: Ticket, text: bytes, ttl: float) -> None:
        with suppress(RedisUnavailable):
            self._versions.keep(slot, ticket, text, ttl)

    def _send(self, topic: str) -> bool:
        """Tell Redis what it has not been told about a topic."""
        number = self._unsent.pending(topic)
        if number is None:
            return True
        try:
            self._versions.renew(topic)
        except RedisUnavailable:
            return False
        self._unsent.sent(topic, number)
        return True


def _checked(topic: str) -> str:
    if _TOPIC.fullmatch(topic) is None:
        raise InvalidValue(f"topic is {topic!r}; use 1 to 64 lower-case letters, digits, dots, dashes and underscores")
    return topic


def _computed(load: Callable[[], Any], slot: Slot) -> bytes:
    value = load()
    try:
        return json_text.dumps(json_text.portable(value)).encode()
    except ValueError as problem:
        raise InvalidValue(f"what was loaded for topic {slot.topic} is no JSON: {problem}") from problem

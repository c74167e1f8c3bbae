"""Values in Redis that are valid only under the topic version they were computed under.

Each topic has a version, a random token. Code that changes the topic's rows sets a new version after the commit. A
value carries the version that was read before it was computed, and is valid while the two are equal. So an invalidation
need not find and delete values, and a value that was computed from old rows and stored late is never returned.

* The version is not a counter: Redis may evict any key, and a counter that restarts would make old values valid again.
* Each attempt makes its own token. A SET that Redis executes late, after our timeout, then sets a version under which
  no value was computed.
* Age is counted from the reading of the version, by Redis's clock: the script that stores says when the value ends.
  A store that is carried out late does not make it live longer.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from aragora_db.shared.gateway import Gateway

__all__ = ["CacheKeys", "FillAttempt", "Lookup", "VersionedCache"]

_TOKEN_LENGTH = 32  # hexadecimal digits

# Older servers have neither SET ... NX GET nor PXAT; scripts have both since 2.6, and are one round trip.
_READ_VERSION = """
local version = redis.call('GET', KEYS[1])
if not version then
  version = ARGV[1]
  redis.call('SET', KEYS[1], version)
end
return version
"""

_BEGIN_FILL = """
local version = redis.call('GET', KEYS[1])
if not version then
  version = ARGV[1]
  redis.call('SET', KEYS[1], version)
end
local granted = redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3])
local now = redis.call('TIME')
return {version, granted and 1 or 0, now[1] * 1000 + math.floor(now[2] / 1000)}
"""

_STORE = """
if redis.call('GET', KEYS[3]) == ARGV[4] then redis.call('DEL', KEYS[3]) end
if ARGV[2] == '' or redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[1] .. ARGV[2])
redis.call('PEXPIREAT', KEYS[2], ARGV[3])
return 1
"""


def _random_token() -> str:
    return secrets.token_hex(_TOKEN_LENGTH // 2)


@dataclass(frozen=True)
class CacheKeys:
    """The Redis keys of one cached value. The braces are a hash tag, which puts a topic's keys on one Cluster node.

    Attributes:
        topic: what is invalidated together.
        version: the key of the topic's version.
        value: the key of the value.
        fill: the single-flight key, which holds the fill token of the caller that computes the value.
    """

    topic: str
    version: str
    value: str
    fill: str

    @classmethod
    def of(cls, namespace: str, topic: str, key: str) -> CacheKeys:
        """Return the Redis keys of a value. They hold a digest of ``key``, which may be long and come from outside."""
        digest = blake2b(key.encode(errors="surrogatepass"), digest_size=16).hexdigest()
        tag = f"{namespace}:{{{topic}}}"
        return cls(topic, f"{tag}:version", f"{tag}:value:{digest}", f"{tag}:filling:{digest}")


@dataclass(frozen=True)
class Lookup:
    """The topic's version, and the value if a valid one is stored."""

    version: str
    text: bytes | None


@dataclass(frozen=True)
class FillAttempt:
    """The state of Redis before a value is computed; `VersionedCache.begin_fill` returns it.

    Attributes:
        version: the topic's version.
        granted: whether this caller holds the single-flight key and should compute the value.
        began_ms: Redis's time in milliseconds since 1970.
        fill_token: the value of the single-flight key if it was granted.
    """

    version: str
    granted: bool
    began_ms: int
    fill_token: str


class VersionedCache:
    """Reads, fills and invalidates values. Each method costs one round trip.

    Args:
        gateway: calls Redis.
        namespace: the prefix of all keys.
    """

    def __init__(self, gateway: Gateway, namespace: str) -> None:
        self._gateway = gateway
        self._namespace = namespace
        self._scripts: dict[str, Any] = {}

    def keys(self, topic: str, key: str) -> CacheKeys:
        """Return the Redis keys of one value."""
        return CacheKeys.of(self._namespace, topic, key)

    def lookup(self, keys: CacheKeys) -> Lookup:
        """Return the topic's version and the value, if it is valid.

        Raises:
            RedisUnavailable: Redis is away.
        """

        def work(client: Any) -> Lookup:
            found: list[bytes | None] = client.mget(keys.version, keys.value)
            version, stored = found
            if version is None:
                version = bytes(self._run(client, _READ_VERSION, [keys.version], [_random_token()]))
            text = stored[_TOKEN_LENGTH:] if stored is not None and stored[:_TOKEN_LENGTH] == version else b""
            return Lookup(version.decode(errors="replace"), text or None)

        return self._gateway.call(work)

    def begin_fill(self, keys: CacheKeys, hold_ms: int) -> FillAttempt:
        """Read the topic's version before a value is computed, and try to take the single-flight key.

        Args:
            keys: the value's.
            hold_ms: how long the single-flight key is held, in milliseconds.

        Raises:
            RedisUnavailable: Redis is away.
        """

        def work(client: Any) -> FillAttempt:
            fill_token = _random_token()
            arguments = [_random_token(), fill_token, hold_ms]
            version, granted, now = self._run(client, _BEGIN_FILL, [keys.version, keys.fill], arguments)
            return FillAttempt(version.decode(errors="replace"), bool(granted), int(now), fill_token)

        return self._gateway.call(work)

    def store(self, keys: CacheKeys, attempt: FillAttempt, text: bytes, ttl: float) -> bool:
        """Store a value if the topic's version is unchanged, and give back the single-flight key.

        Args:
            keys: the value's.
            attempt: what `begin_fill` returned.
            text: the value; if it is empty, nothing is stored.
            ttl: the value's time to live, counted from `begin_fill`, in seconds.

        Returns:
            Whether the value is valid now.

        Raises:
            RedisUnavailable: Redis is away.
        """
        names = [keys.version, keys.value, keys.fill]
        arguments = [attempt.version, text, attempt.began_ms + round(ttl * 1000), attempt.fill_token]
        return bool(self._gateway.call(lambda client: self._run(client, _STORE, names, arguments)))

    def invalidate(self, topic: str) -> None:
        """Set a new version of the topic: no value computed before is valid.

        Raises:
            RedisUnavailable: Redis is away; the version may have been set all the same.
        """
        version = self.keys(topic, "").version
        self._gateway.call(lambda client: client.set(version, _random_token()))

    def _run(self, client: Any, text: str, names: list[str], arguments: list[Any]) -> Any:
        script = self._scripts.get(text)
        if script is None:
            script = self._scripts[text] = client.register_script(text)
        return script(keys=names, args=arguments, client=client)
